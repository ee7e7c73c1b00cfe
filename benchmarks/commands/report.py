"""`edge-pose-bench report`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.commands.options import say


@click.command("report", short_help="Results of `run` as one HTML page with pictures.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    help="HTML file.",
)
def command(results: tuple[Path, ...], out: Path) -> None:
    """Results of `run` as one HTML page with pictures, which loads nothing and prints well."""
    from benchmarks.device_files import read_device_results, write_text
    from benchmarks.report_page.page import page

    text = page(read_device_results(results))
    write_text(out, text)
    say(f"{out}: {len(results)} result{'s' * (len(results) > 1)}")
