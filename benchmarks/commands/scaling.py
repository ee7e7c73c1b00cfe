"""`edge-pose-bench scaling`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from benchmarks.commands.options import (
    Command,
    measured_environment,
    measurement_options,
    pipeline_config,
    say,
    show,
)
from benchmarks.scaling import ScalingCase, scaling_benchmark
from edge_pose.backends import available_cores
from edge_pose.errors import UsageError

AXES = ("people", "threads", "resolution", "processes")
ALL = "all"
MAX_THREADS = 1024


def several(
    name: str, kind: object, default: tuple[object, ...], what: str
) -> Callable[[Command], Command]:
    """Return an option that may be given several times."""
    return click.option(
        name, type=kind, multiple=True, default=default, show_default=True, help=what
    )


def parse_threads(values: Sequence[str]) -> list[int]:
    """Return numbers of threads, each once; `all` is as many as there are cores.

    Raises:
        UsageError: it is neither.
    """
    found = []
    for value in values:
        if value != ALL and not (value.isdecimal() and 1 <= int(value) <= MAX_THREADS):
            raise UsageError(f"--threads-of: {value!r}, allowed is 1 to {MAX_THREADS} or '{ALL}'")
        found.append(available_cores() if value == ALL else int(value))
    return list(dict.fromkeys(found))


@click.command("scaling", short_help="FPS against people, threads, resolution and processes.")
@measurement_options(rounds=3, source="a video file of one person")
@click.option("--detector", help="Person detector beside a top-down model: a folder.")
@several("--axis", click.Choice(AXES), AXES, "What to vary; each may be given several times.")
@several("--people", click.IntRange(0, 100), (0, 1, 2, 4, 8), "In every picture.")
@several("--widths", click.IntRange(64, 7680), (320, 640, 1280, 1920), "Of 16:9 pictures, px.")
@several("--threads-of", str, ("1", "2", ALL), "Inference threads.")
@several("--processes", click.IntRange(1, 64), (1, 2, 4), "Side by side.")
@click.option(
    "--frames",
    type=click.IntRange(10, 100_000),
    default=100,
    show_default=True,
    help="Per pass, after the warm-up.",
)
def command(
    rounds: int,
    as_json: bool,
    detector: str | None,
    axis: tuple[str, ...],
    frames: int,
    **flags: Any,  # noqa: ANN401 - by name
) -> None:
    """FPS against people in the picture, threads, resolution and processes side by side.

    People are cut out of a clip and put into scenes. Every process runs the frame loop of
    `edge-pose run SCENE --jsonl FILE` with one camera.
    """
    environment = measured_environment()
    config = pipeline_config(flags).model_copy(update={"detector": detector})
    base = ScalingCase(people=1, width=1280, threads=config.threads)
    values = {
        "people": [{"people": n} for n in flags["people"]],
        "threads": [{"threads": n} for n in parse_threads(flags["threads_of"])],
        "resolution": [{"width": n} for n in flags["widths"]],
        "processes": [{"processes": n} for n in flags["processes"]],
    }
    report = scaling_benchmark(
        config,
        {name: tuple(base.model_copy(update=one) for one in values[name]) for name in axis},
        base,
        frames,
        rounds,
        environment,
        lambda n, case, fps: say(f"round {n} of {rounds}: {case}: {fps:.1f} FPS"),
    )
    show(report, as_json=as_json)
