"""`edge-pose-bench supported`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from benchmarks.commands.options import say
from edge_pose.errors import UsageError


@click.command("supported")
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option("--write", is_flag=True, help="Write the table into SUPPORTED.md.")
@click.option(
    "--check",
    is_flag=True,
    help="Check RESULTS; without any, the recorded ones and SUPPORTED.md.",
)
@click.option("--add", is_flag=True, help="Record RESULTS, without paths, addresses and names.")
@click.option(
    "--repository",
    type=click.Path(path_type=Path, file_okay=False),
    help="Checkout of edge_pose.  [default: the one that this is run from]",
)
def command(
    results: tuple[Path, ...], write: bool, check: bool, add: bool, repository: Path | None
) -> int:
    """What was measured on which device: the table of SUPPORTED.md.

    RESULTS are files that `run --out` wrote. With --check everything that is wrong with them is
    shown; with --add they are copied to benchmarks/results/devices, where a pull request adds them.

    Exit code: 1 where a result breaks a rule, or SUPPORTED.md is out of date.
    """
    from benchmarks.checkout import ROOT, SUPPORTED
    from benchmarks.supported import devices_table, document, read_document

    root = repository or ROOT
    if write + check + add > 1:
        raise UsageError("supported: --write, --check and --add exclude each other")
    if bool(results) and not (check or add):
        raise UsageError("supported: RESULTS need --check or --add")
    if add and not results:
        raise UsageError("supported: --add needs RESULTS")
    if results and check:
        return _check(results)
    text = read_document(root / SUPPORTED)  # else this is no checkout
    if add:
        return _add(results, root)
    if check:
        return _check_recorded(root, text)
    if write:
        from benchmarks.device_files import write_text

        write_text(root / SUPPORTED, document(root))
    else:
        click.echo(devices_table(root))
    return 0


def _check(files: Iterable[Path]) -> int:
    """Check files of this machine, of which nobody else knows the names."""
    from benchmarks.privacy import local_names
    from benchmarks.submission import check_result
    from edge_pose.types import utc_now

    names = local_names()
    wrong = False
    for one in (check_result(file, utc_now(), names) for file in files):
        for line in one.wrong:
            click.echo(f"{one.file}: {line}", err=True)
        for line in one.flags:
            say(f"note: {one.file}: {line}")
        if any(": holds " in line for line in one.wrong):
            say("note: --add takes paths and addresses out")
        wrong = wrong or bool(one.wrong)
        if not one.wrong:
            click.echo(f"{one.file}: in order")
    return 1 if wrong else 0


def _add(files: Iterable[Path], root: Path) -> int:
    from benchmarks.privacy import local_names
    from benchmarks.submission import record
    from edge_pose.types import utc_now

    for file in files:
        done = record(file, root, utc_now(), local_names())
        for line in done.flags:
            say(f"note: {file}: {line}")
        click.echo(f"{done.file}: recorded")
    say("now: edge-pose-bench supported --write")
    return 0


def _check_recorded(root: Path, text: str) -> int:
    from benchmarks.checkout import SUPPORTED
    from benchmarks.submission import recorded
    from benchmarks.supported import document
    from edge_pose.types import utc_now

    wrong = [f"{one.file}: {line}" for one in recorded(root, utc_now()) for line in one.wrong]
    if not wrong and document(root) != text:
        wrong = [f"{root / SUPPORTED}: is out of date, run edge-pose-bench supported --write"]
    for line in wrong:
        click.echo(line, err=True)
    return 1 if wrong else 0
