"""The command line `edge-pose-bench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmarks.environment import Environment, read_environment
from benchmarks.report import Report
from edge_pose.command_line import common_options, run_command, set_up_logging
from edge_pose.config import RunConfig, load_config

Command = TypeVar("Command", bound=Callable[..., object])


def _options(rounds: int, source: str = "a video file") -> Callable[[Command], Command]:
    """Add the options that every measurement has."""

    def add(command: Command) -> Command:
        for option in reversed(
            (
                click.option("--model", default="default", help="Shipped artifact, or a folder."),
                click.option("--source", help=f"Clip: {source}; the shipped one by default."),
                click.option(
                    "--rounds",
                    type=click.IntRange(1, 1000),
                    default=rounds,
                    show_default=True,
                    help="How often everything is measured.",
                ),
                click.option("--threads", type=int, help="Inference threads; 0 leaves one core."),
                click.option("--trust-ungated", is_flag=True, help="Unchecked artifacts too."),
                click.option("--json", "as_json", is_flag=True, help="Report as JSON on stdout."),
            )
        ):
            command = option(command)
        return command

    return add


_max_frames = click.option(
    "--max-frames",
    type=click.IntRange(1, 4096),
    default=1000,
    show_default=True,
    help="Frames of a long clip that are used.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def cli(verbose: int) -> None:
    """Time what is shipped, on the device that it is for."""
    set_up_logging(verbose)


@cli.command("run")
@_options(rounds=5, source="a video file, a folder of pictures or synthetic:640x480@30x100")
@click.option("--profile", default="auto", help="Device profile, for the power estimate.")
@click.option("--power", default="auto", help="Power meter: auto, rapl or estimate.")
@_max_frames
def run_command_(rounds: int, as_json: bool, **flags: Any) -> None:  # noqa: ANN401 - by name
    """Speed, overhead, power and accuracy × FPS/W of the whole pipeline.

    Every round measures the network alone, the estimator on ready frames, reading the clip alone,
    and the whole pipeline as `edge-pose run --jsonl FILE` runs it.
    """
    environment = _environment()
    config = _config(flags)
    from benchmarks.run import run_benchmark

    report = run_benchmark(
        config,
        rounds,
        environment,
        lambda n, r: _say(
            f"round {n} of {rounds}: network {r.bare.ms_per_frame:.2f} ms, pipeline"
            f" {r.pipeline.ms_per_frame:.2f} ms per frame"
        ),
    )
    _show(report, as_json=as_json)


@cli.command("cold-start")
@_options(rounds=7)
def cold_start_command(rounds: int, as_json: bool, **flags: Any) -> None:  # noqa: ANN401
    """From the start of a process to the first published pose."""
    environment = _environment()
    config = _config(flags)
    from benchmarks.cold_start import cold_start_benchmark

    report = cold_start_benchmark(
        config,
        rounds,
        environment,
        lambda n, r: _say(f"round {n} of {rounds}: {r.total_s:.3f} s"),
    )
    _show(report, as_json=as_json)


@cli.command("mediapipe")
@click.option(
    "--python",
    type=click.Path(path_type=Path),
    required=True,
    help="Python of an environment that has mediapipe.",
)
@_options(rounds=3)
@_max_frames
def mediapipe_command(
    python: Path,
    rounds: int,
    as_json: bool,
    **flags: Any,  # noqa: ANN401 - by name
) -> None:
    r"""Our whole pipeline and MediaPipe Pose, side by side on the same clip.

    MediaPipe (solutions.pose, model_complexity=1, tracking on) needs an older NumPy than we do, so
    it gets an environment of its own:

    \b
        python -m venv X && X/bin/pip install mediapipe==0.10.21
        edge-pose-bench mediapipe --python X/bin/python
    """
    environment = _environment()
    config = _config(flags)
    from benchmarks.mediapipe_peer import mediapipe_benchmark

    report = mediapipe_benchmark(
        config,
        python,
        rounds,
        environment,
        lambda n, r: _say(
            f"round {n} of {rounds}: edge_pose {r.edge_pose.fps:.1f}, MediaPipe"
            f" {r.mediapipe.fps:.1f} FPS, ratio {r.ratio:.2f}"
        ),
    )
    _show(report, as_json=as_json)


@cli.command("show")
@click.argument("report", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on stdout.")
def show_command(report: Path, as_json: bool) -> None:
    """Check a REPORT that was written with --json, and print it."""
    from benchmarks.read_report import read_report

    _show(read_report(report), as_json=as_json)


def _environment() -> Environment:
    """Read the machine's state, before anything loads it, and say what may disturb."""
    environment = read_environment()
    for warning in environment.warnings:
        _say(f"warning: {warning}")
    return environment


def _config(flags: dict[str, Any]) -> RunConfig:
    from edge_pose.samples import WALKING

    # No environment variables: a benchmark is what its command line says, and nothing else.
    return load_config(flags={**flags, "source": flags["source"] or str(WALKING)}, env={})


def _say(line: str) -> None:
    click.echo(line, err=True)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(report.model_dump_json(by_alias=True))
        return
    from rich.console import Console

    from benchmarks.tables import tables

    console = Console()
    for table in tables(report):
        console.print(table)


def main() -> None:
    """Entry point of the console script."""
    run_command(cli, "edge-pose-bench")


if __name__ == "__main__":
    main()
