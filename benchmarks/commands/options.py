"""Options and steps that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from benchmarks.environment import Environment, read_environment
from benchmarks.report import Report
from edge_pose.config import RunConfig, load_config

Command = TypeVar("Command", bound=Callable[..., object])

# Flags that are keys of the pipeline's configuration.
CONFIG_KEYS = (
    "model",
    "detector",
    "source",
    "threads",
    "trust_ungated",
    "profile",
    "power",
    "max_frames",
)


def measurement_options(rounds: int, source: str = "a video file") -> Callable[[Command], Command]:
    """Add the options that every measurement has; `rounds` is how many there are by default."""

    def add(command: Command) -> Command:
        for option in reversed(
            (
                click.option(
                    "--artifact",
                    "--model",
                    "model",
                    default="default",
                    show_default=True,
                    help="Shipped artifact, or a folder.",
                ),
                click.option("--source", help=f"Clip: {source}; the shipped one by default."),
                click.option(
                    "--rounds",
                    "--repeats",
                    "rounds",
                    type=click.IntRange(1, 1000),
                    default=rounds,
                    show_default=True,
                    help="How often everything is measured.",
                ),
                click.option(
                    "--threads",
                    type=int,
                    help="Inference threads; 0: the profile's, or one core free.  [default: 0]",
                ),
                click.option("--trust-ungated", is_flag=True, help="Unchecked artifacts too."),
                json_option,
            )
        ):
            command = option(command)
        return command

    return add


json_option = click.option("--json", "as_json", is_flag=True, help="Report as JSON on stdout.")

max_frames_option = click.option(
    "--max-frames",
    type=click.IntRange(1, 4096),
    default=1000,
    show_default=True,
    help="Frames of a long clip that are used.",
)


def measured_environment() -> Environment:
    """Read the machine's state, before anything loads it, and say what may disturb."""
    environment = read_environment()
    for warning in environment.warnings:
        say(f"warning: {warning}")
    return environment


def pipeline_config(flags: Mapping[str, Any]) -> RunConfig:
    """Return the pipeline's configuration from the flags that belong to it.

    Raises:
        ConfigError: a value is wrong.
    """
    from edge_pose.samples import WALKING

    own = {key: flags[key] for key in CONFIG_KEYS if key in flags}
    # No environment variables: a benchmark is what its command line says, and nothing else.
    return load_config(flags={**own, "source": flags["source"] or str(WALKING)}, env={})


def say(line: str) -> None:
    """Tell progress on stderr."""
    click.echo(line, err=True)


def show(report: Report, *, as_json: bool) -> None:
    """Print a report on stdout, as JSON or as tables."""
    if as_json:
        click.echo(report.model_dump_json(by_alias=True))
        return
    from rich.console import Console

    from benchmarks.tables import tables

    console = Console()
    for table in tables(report):
        console.print(table)
