"""`edge-pose-bench reference`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.commands.options import json_option, say


@click.command("reference", short_help="The documents' own tables, computed again.")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--table1",
    "table1_file",
    type=click.Path(path_type=Path),
    help="Written by `edge-pose-train table1`.  [default: training/weights/table1.json]",
)
@json_option
def command(results: tuple[Path, ...], table1_file: Path | None, as_json: bool) -> None:
    """The documents' own tables, computed again, with RESULTS of `run` beside them.

    Of EfficientHRNet's AE = AP × FPS / W the power that each row implies; of the hourglass
    document's Table 1 the weighted mean. What does not follow from a table's other columns is
    marked, and so is why our figures do not compare with the documents'.
    """
    from benchmarks.checkout import TABLE1
    from benchmarks.device_files import read_device_results
    from benchmarks.reference import reference

    if table1_file is None and TABLE1.is_file():
        table1_file = TABLE1
    found = reference(read_device_results(results), table1_file)
    if as_json:
        click.echo(found.model_dump_json(by_alias=True))
        return
    from rich.console import Console

    from benchmarks.compare_tables import WIDTH
    from benchmarks.reference_tables import reference_tables

    console = Console()
    console.width = max(console.width, WIDTH)  # at less the cells break within words
    for part in reference_tables(found):
        console.print(part, markup=False, highlight=False)
    if found.weighted_mean is None:
        say("the hourglass document's Table 1 is in the repository: training/weights/table1.json")
