"""What a conversion shows while it runs and when it is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import ParamSpec

from rich import box
from rich.console import Console, RenderableType
from rich.logging import RichHandler
from rich.progress import (
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table

from converters.interrupts import remembered_signals
from converters.steps import LOGGED, Steps
from edge_pose.manifest import Attempt

PACKAGES = ("converters", "training", "edge_pose")
ALTERNATIVES = "edge_pose.power"  # says of each meter that there is none, until it finds one
UNCOUNTED = 0, 0
P = ParamSpec("P")

WIDTH = 100  # of a table where stderr is a file


def log_to(console: Console, verbose: int) -> None:
    """Send this project's progress to stderr, and what others say only where it is asked for."""
    handler: logging.Handler = logging.StreamHandler()
    if console.is_terminal:
        handler = RichHandler(console=console, show_time=False, show_path=False, show_level=False)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler], force=True)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger(ALTERNATIVES).setLevel(logging.NOTSET if verbose else logging.WARNING)


class _Bar(ProgressColumn):
    """A bar and figures while something is counted; a step goes on before and after that."""

    def render(self, task: Task) -> RenderableType:
        """Return the bar or nothing."""
        done, total = task.fields["counted"]
        if done >= total:
            return ""
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_row(ProgressBar(total=total, completed=done, width=30), f"{done} of {total}")
        return row


@contextmanager
def progress(console: Console) -> Iterator[Steps]:
    """Show the step that runs, its seconds and a bar where steps are counted on a terminal.

    Elsewhere a line per step is written. Between steps Ctrl-C is heard, whatever became of it.
    """
    with (
        remembered_signals() as check,
        _live(console) if console.is_terminal else nullcontext(LOGGED) as steps,
    ):
        yield Steps(
            say=_after(check, steps.say),
            tick=_after(check, steps.tick),
            overall=_after(check, steps.overall),
        )


def _after(check: Callable[[], None], tell: Callable[P, None]) -> Callable[P, None]:
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        check()
        tell(*args, **kwargs)

    return checked


@contextmanager
def _live(console: Console) -> Iterator[Steps]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), _Bar(), TimeElapsedColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,  # converters redirect both, which must not be undone in between
        redirect_stderr=False,
    ) as live:
        everything = live.add_task("in all", total=None, visible=False, counted=UNCOUNTED)
        step = live.add_task("reading data", total=None, counted=UNCOUNTED)

        def say(text: str) -> None:
            live.reset(step, description=text, counted=UNCOUNTED)

        def tick(done: int, total: int) -> None:
            live.update(step, counted=(done, total))

        def overall(done: int, total: int) -> None:
            live.update(everything, counted=(done, total), visible=done < total > 1)

        yield Steps(say, tick, overall)


def show_attempts(console: Console, attempts: Sequence[Attempt]) -> None:
    """Print the table of tries."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("precision")
    table.add_column("method")
    for title in ("images", "float layers", "MB", "accuracy", "p95 px", "agreement"):
        table.add_column(title, justify="right")
    table.add_column("gate")
    for row in attempts:
        table.add_row(
            row.precision,
            row.method or "-",
            str(row.n_images or "-"),
            str(row.float_layers),
            f"{row.size_bytes / 1e6:.2f}",
            f"{row.artifact_accuracy:.2f}",
            f"{row.drift_p95_px:.2f}",
            f"{row.argmax_agreement:.1%}",
            "[green]passed[/green]" if row.passed else "[red]failed[/red]",
        )
    console.print(table, width=None if console.is_terminal else WIDTH)
