"""`edge-pose-convert calibration-cache`: number ranges for an 8-bit TensorRT engine."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from converters.commands.options import PATH, data_options
from converters.terminal import log_to, progress


@click.command("calibration-cache")
@click.argument("artifact", type=PATH)
@click.option("--out", type=PATH, required=True, help="File to write.")
@data_options
@click.option("-v", "--verbose", count=True, help="Say more; twice says everything.")
def calibration_cache_command(
    artifact: Path,
    out: Path,
    data: Path | None,
    generated: bool,
    n_images: int,
    seed: int,
    verbose: int,
) -> None:
    """Write the 8-bit scales of ARTIFACT, in ONNX fp16 or fp32, for `edge-pose model engine`."""
    console = Console(file=sys.stderr)
    log_to(console, verbose)
    # torch takes seconds to import: --help and wrong usage need none of it.
    from converters.calibration import draw_calibration
    from converters.data import need_calibration, open_data
    from converters.folder import check_file, write_file
    from converters.tensorrt_cache import calibration_cache, check_float_onnx
    from edge_pose.artifact import load_artifact

    model = load_artifact(artifact)
    check_float_onnx(model)
    check_file(out)
    with (
        progress(console) as steps,
        open_data(data, generated=generated, n_images=n_images) as pictures,
    ):
        group = need_calibration(pictures.calibration)
        steps(f"drawing calibration pictures from {group.dataset}")
        size, task = model.manifest.input.size, model.manifest.task
        drawn = draw_calibration(
            group.persons, group.dataset, size, n_images, seed, task=task, tick=steps.tick
        )
        steps(f"running {model.manifest.name} on {len(drawn.crops)} pictures")
        text = calibration_cache(model, drawn, tick=steps.tick)
    write_file(out, text.encode("ascii"))
    click.echo(f"{out}: scales of {len(text.splitlines()) - 1} tensors")
