"""`edge-pose-bench cold-start`."""

from __future__ import annotations

from typing import Any

import click

from benchmarks.commands.options import (
    measured_environment,
    measurement_options,
    pipeline_config,
    say,
    show,
)


@click.command("cold-start")
@measurement_options(rounds=7)
def command(rounds: int, as_json: bool, **flags: Any) -> None:  # noqa: ANN401 - by name
    """From the start of a process to the first published pose."""
    environment = measured_environment()
    config = pipeline_config(flags)
    from benchmarks.cold_start import cold_start_benchmark

    report = cold_start_benchmark(
        config,
        rounds,
        environment,
        lambda n, r: say(f"round {n} of {rounds}: {r.total_s:.3f} s"),
    )
    show(report, as_json=as_json)
