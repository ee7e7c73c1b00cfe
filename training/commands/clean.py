"""`edge-pose-train data clean`."""

from __future__ import annotations

from pathlib import Path

import click

from training.commands.options import data_option, json_option, show


@click.command("clean")
@click.argument("dataset")
@data_option
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    required=True,
    help="Checkpoint, artifact or MoveNet's .tflite; may be given several times.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help=".jsonl or .jsonl.gz")
@click.option("--sheet", type=click.Path(path_type=Path), help="Picture of the largest ones.")
@click.option("--gate", type=click.FloatRange(0, 1), help="Least confidence of the teachers.")
@click.option("--far", type=click.FloatRange(0, min_open=True), help="Torsos that are too far.")
@click.option("--swaps-only", is_flag=True, help="Change sides, leave all places.")
@click.option("--replace", is_flag=True, help="Move labels to the teachers' place, do not drop.")
@click.option("--unseen-only", is_flag=True, help="Ask only teachers not trained on the person.")
@click.option("--limit", type=click.IntRange(1), help="Only so many persons, for a trial.")
@json_option
def clean_command(
    dataset: str,
    data: Path,
    teachers: tuple[str, ...],
    out: Path,
    sheet: Path | None,
    gate: float | None,
    far: float | None,
    swaps_only: bool,
    replace: bool,
    unseen_only: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """Compare the labels of DATASET with what teachers see, and write corrections.

    Labels stay as they are: a recipe takes the file with `corrections`. Persons that are held out
    are not judged.
    """
    from rich.console import Console
    from rich.progress import Progress

    from training.checkpoint import sha256_file
    from training.datasets import load_dataset
    from training.pictures.corrections import correction_sheet
    from training.teaching.clean import CleanOptions, clean
    from training.teaching.corrections import write_corrections
    from training.teaching.teachers import open_teacher

    flags = {"swaps_only": swaps_only, "replace": replace, "unseen_only": unseen_only}
    numbers = {"gate": gate, "far": far}
    given = {name: value for name, value in numbers.items() if value is not None}
    options = CleanOptions.model_validate(flags | given)
    opened = [open_teacher(teacher) for teacher in teachers]
    persons = [person for person in load_dataset(dataset, data) if not person.held_out][:limit]
    with Progress(console=Console(stderr=True)) as progress:
        report = clean(persons, opened, options, progress)
    summary = report.summary()
    meta = {
        "teachers": [
            {"name": Path(t).name, "sha256": sha256_file(Path(t)) if Path(t).is_file() else None}
            for t in teachers
        ],
        "options": options.model_dump(),
    }
    write_corrections(out, dataset, report.corrections, meta)
    if sheet and report.corrections:
        summary["sheet"] = str(correction_sheet(persons, report.corrections, sheet))
    show({"corrections": str(out), **summary}, as_json)
