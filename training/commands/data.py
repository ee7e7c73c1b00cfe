"""`edge-pose-train data`: look at data sets, draw a small one, let a teacher draw boxes, clean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from edge_pose.errors import EdgePoseError, UsageError
from training.commands.clean import clean_command
from training.commands.options import data_option, json_option, show

SHOWN = 10  # lines per kind of trouble


@click.group("data")
def data_group() -> None:
    """Look at data sets and prepare them."""


@data_group.command("check")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for contact sheets.")
@click.option("--quick", is_flag=True, help="Decode only some of the pictures.")
@json_option
def check_command(folder: Path, out: Path | None, quick: bool, as_json: bool) -> None:
    """Tell what FOLDER holds: data sets, people, joints; missing and damaged pictures by name.

    FOLDER is one data set in its owners' layout, or a folder with several. Exit code 1 where
    something is damaged.
    """
    from rich.console import Console
    from rich.progress import Progress

    from training.datasets.check import check

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("pictures")

        def advance(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        reports = check(folder, out=out, quick=quick, progress=advance)
    if as_json:
        click.echo(json.dumps([{"ok": r.ok, **asdict(r)} for r in reports], default=str))
    for report in () if as_json else reports:
        click.echo(
            f"{report.dataset} in {report.folder}: {report.error or 'annotations read'}\n"
            f"  pictures: {report.pictures}, missing {report.missing},"
            f" decoded {report.decoded}, damaged {len(report.damaged)}\n"
            f"  persons: {report.persons_train} to train on, {report.persons_held_out} held out,"
            f" {report.joints_per_person:.1f} joints each"
        )
        _some("damaged", report.damaged)
        _some("outside of the picture", report.outside)
        if report.contact_sheet:
            click.echo(f"  contact sheet: {report.contact_sheet}")
    damaged = [report.dataset for report in reports if report.error or report.damaged]
    if damaged:
        raise EdgePoseError(f"{folder}: damaged: {', '.join(damaged)}; see above")


def _some(title: str, lines: Sequence[str]) -> None:
    for line in lines[:SHOWN]:
        click.echo(f"  {title}: {line}")
    if len(lines) > SHOWN:
        click.echo(f"  {title}: and {len(lines) - SHOWN} more, --json lists them")


@data_group.command("generate")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--persons", type=click.IntRange(1), default=200, show_default=True)
@click.option("--validation", type=click.IntRange(1), default=40, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def generate_command(folder: Path, persons: int, validation: int, seed: int, as_json: bool) -> None:
    """Draw stick people into FOLDER/mpii, for first steps without any download."""
    from training.datasets.generated import is_generated, write_generated

    if (folder / "mpii").exists() and not is_generated(folder):
        raise UsageError(f"{folder / 'mpii'}: is there already, choose another folder")
    write_generated(folder, persons, validation, seed=seed)
    show({"data": str(folder), "persons": persons, "validation": validation}, as_json)


@data_group.command("boxes")
@click.argument("teacher", type=click.Path(path_type=Path))
@data_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help=".jsonl or .jsonl.gz")
@click.option("--dataset", "names", multiple=True, default=("mpii", "lspet"), show_default=True)
@json_option
def boxes_command(
    teacher: Path, data: Path, out: Path, names: tuple[str, ...], as_json: bool
) -> None:
    """Let TEACHER, an ONNX file of RTMDet, draw boxes around people for the person detector.

    Pictures with one of MPII's validation persons are left out. A stopped run goes on where it was.
    """
    from rich.console import Console
    from rich.progress import Progress

    from training.detection.label_boxes import label_boxes

    with Progress(console=Console(stderr=True)) as progress:
        label_boxes(teacher, data, out, names, progress)
    show({"labels": str(out), "size_bytes": out.stat().st_size}, as_json)


data_group.add_command(clean_command)
