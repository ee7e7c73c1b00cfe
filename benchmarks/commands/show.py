"""`edge-pose-bench show`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.commands.options import json_option, show


@click.command("show")
@click.argument("report", type=click.Path(path_type=Path))
@json_option
def command(report: Path, as_json: bool) -> None:
    """Check a REPORT that was written with --json, and print it."""
    from benchmarks.read_report import read_report

    show(read_report(report), as_json=as_json)
