"""`edge-pose-bench export`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.export import EXPORTERS


@click.command("export", short_help="Results of `run` as CSV, Markdown or for Prometheus.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(list(EXPORTERS)), required=True, help="Form of the text.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a file, not stdout."
)
def command(results: tuple[Path, ...], to: str, out: Path | None) -> None:
    """Results of `run` as CSV, as a Markdown table or for Prometheus."""
    from benchmarks.device_files import read_device_results, write_text
    from benchmarks.export import export

    text = export(read_device_results(results), to)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_text(out, text)
