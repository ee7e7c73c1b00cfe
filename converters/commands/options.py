"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from converters import CONVERTERS, PRECISIONS
from converters.settings import LIMIT_DRIFT_PX, N_IMAGES

F = TypeVar("F", bound=Callable[..., object])
PATH = click.Path(path_type=Path)
FORMATS = tuple(sorted({file_format for file_format, _ in CONVERTERS}))
__all__ = [
    "FORMATS",
    "PATH",
    "PRECISIONS",
    "data_options",
    "gate_options",
    "graph_options",
    "ladder_option",
]


def data_options(command: F) -> F:
    """Add --data, --generated, --calibration-images and --seed."""
    for option in (
        click.option(
            "--seed", type=click.IntRange(0), default=1, show_default=True, help="Of their choice."
        ),
        click.option(
            "--calibration-images",
            "n_images",
            type=click.IntRange(1),
            default=N_IMAGES,
            show_default=True,
            help="Pictures of the first try.",
        ),
        click.option("--generated", is_flag=True, help="Use drawn people instead of --data."),
        click.option(
            "--data",
            type=PATH,
            envvar="EDGE_POSE_DATA",
            show_envvar=True,
            help="Folder with data sets, such as mpii/.",
        ),
    ):
        command = option(command)
    return command


def gate_options(command: F) -> F:
    """Add --limit-points and --limit-drift."""
    for option in (
        click.option(
            "--limit-drift",
            "limit_drift_px",
            type=click.FloatRange(0),
            default=LIMIT_DRIFT_PX,
            show_default=True,
            help="Largest p95 of the keypoints' drift, heatmap px.",
        ),
        click.option(
            "--limit-points",
            type=click.FloatRange(0, 100),
            help="Largest fall of accuracy, points.  [default: fp32 0.1, fp16 0.5, int8 1.5]",
        ),
    ):
        command = option(command)
    return command


def ladder_option(command: F) -> F:
    """Add --ladder, for commands that make one try without it."""
    return click.option(
        "--ladder", is_flag=True, help="Try other ways where int8 fails; takes its time."
    )(command)


def graph_options(command: F) -> F:
    """Add --arch, --fold-pixels, --fold-decoder and --integer-io."""
    for option in (
        click.option(
            "--integer-io/--no-integer-io",
            default=None,
            help="TFLite int8 takes and returns integers.  [default: as --profile says]",
        ),
        click.option("--fold-decoder", is_flag=True, help="The graph returns keypoints."),
        click.option(
            "--fold-pixels/--no-fold-pixels",
            default=None,
            help="The graph takes uint8 pixels and normalises.  [default: as --profile says]",
        ),
        click.option(
            "--arch", help="Processor to choose integers for, `uname -m`.  [default: this]"
        ),
    ):
        command = option(command)
    return command
