"""`edge-pose-convert`: from a checkpoint to what a device runs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.logging import RichHandler

from converters import PRECISIONS
from edge_pose.command_line import common_options, run_command
from edge_pose.errors import UsageError

PACKAGES = ("converters", "training", "edge_pose")


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Convert a checkpoint to artifacts, each measured against the checkpoint."
    "\n\nNothing is written where the accuracy falls too far. With one --precision, --out is the"
    " artifact's folder; with several, each goes to <model>_<precision> below it.",
)
@common_options
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), required=True, help="A .safetensors file."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write.")
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(PRECISIONS),
    multiple=True,
    default=("int8",),
    show_default=True,
    help="May be given several times.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="EDGE_POSE_DATA",
    show_envvar=True,
    help="Folder with mpii/, lspet/ or both.",
)
@click.option("--generated", is_flag=True, help="Use drawn people instead of --data, for trials.")
@click.option(
    "--limit-points",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="Largest fall of the accuracy in percent points.",
)
@click.option("--force", is_flag=True, help="Write an artifact that failed, marked as such.")
@click.option(
    "--calibration-images", "n_images", type=click.IntRange(1), default=256, show_default=True
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the calibration."
)
@click.option(
    "--graph-only",
    is_flag=True,
    help="Write --out as a plain float ONNX file: networks of every task, no artifact, no gate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    checkpoint: Path,
    out: Path,
    precisions: tuple[str, ...],
    data: Path | None,
    generated: bool,
    limit_points: float,
    force: bool,
    n_images: int,
    seed: int,
    graph_only: bool,
    as_json: bool,
    verbose: int,
) -> None:
    """Convert to each precision."""
    # torch takes seconds to import: --help and wrong usage need none of it.
    from converters.build import Settings, build
    from converters.data import open_data
    from training.checkpoint import read_info

    console = Console(file=sys.stderr)  # the stream itself: converters redirect the name
    _log_to(console, verbose)
    wanted = tuple(dict.fromkeys(precisions))
    info = read_info(checkpoint)
    model = info.model
    if graph_only:
        _graph(checkpoint, out, as_json=as_json)
        return
    if info.entry.task != "top_down":
        raise UsageError(
            f"{checkpoint}: is a {info.entry.task} network, artifacts are of top_down ones;"
            " --graph-only writes its ONNX graph"
        )
    results = []
    with (
        console.status(f"{checkpoint.name}: reading data") as status,
        open_data(data, generated=generated, n_images=n_images) as people,
    ):
        for precision in wanted:
            status.update(f"{model}: {precision}")
            folder = out if len(wanted) == 1 else out / f"{model}_{precision}"
            settings = Settings(
                precision, limit_points=limit_points, n_images=n_images, seed=seed, force=force
            )
            manifest = build(checkpoint, folder, people, settings).manifest
            results.append(
                {
                    "path": str(folder),
                    "size_bytes": manifest.file.size_bytes,
                    "sha256": manifest.file.sha256,
                    "gate": manifest.gate and manifest.gate.model_dump(mode="json"),
                }
            )
    _report(results, as_json=as_json)


def _graph(checkpoint: Path, out: Path, *, as_json: bool) -> None:
    from converters.graph import write_graph

    graph = write_graph(checkpoint, out)
    if as_json:
        click.echo(json.dumps(asdict(graph), default=str))
        return
    click.echo(f"{graph.file}: {graph.model}, differs from torch by {graph.difference:.1e}")
    for name, shape in graph.outputs.items():
        click.echo(f"  {name}: {'x'.join(map(str, shape))}")


def _report(results: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(results[0] if len(results) == 1 else results))
        return
    for result in results:
        click.echo(f"{result['path']}: {result['size_bytes'] / 1e6:.2f} MB")


def _log_to(console: Console, verbose: int) -> None:
    """Send this project's progress to stderr, and what others say only where it is asked for."""
    handler: logging.Handler = logging.StreamHandler()
    if console.is_terminal:
        handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler], force=True)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)


def main() -> None:
    """Entry point of the console script."""
    run_command(command, "edge-pose-convert")


if __name__ == "__main__":
    main()
