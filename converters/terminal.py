"""What a conversion shows while it runs and when it is done."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

from edge_pose.manifest import Attempt

if TYPE_CHECKING:
    from converters.job import Say, Tick

PACKAGES = ("converters", "training", "edge_pose")
ALTERNATIVES = "edge_pose.power"  # says of each meter that there is none, until it finds one
WIDTH = 100  # of a table where stderr is a file

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class Steps:
    """How a long command tells where it is; called with what is done now.

    Attributes:
        say: see converters.job.Say.
        tick: see converters.job.Tick.
    """

    say: Say
    tick: Tick

    def __call__(self, text: str) -> None:
        """See `say`."""
        self.say(text)


class _Bar(ProgressColumn):
    """A bar where the number of steps is known."""

    def render(self, task: Task) -> RenderableType:
        """Return the bar or nothing."""
        if task.total is None:
            return ""
        return ProgressBar(total=task.total, completed=task.completed, width=30)


@contextmanager
def progress(console: Console) -> Iterator[Steps]:
    """Show the step that runs, its seconds and a bar where steps are counted on a terminal.

    Elsewhere a line per step is written.
    """
    if not console.is_terminal:
        yield Steps(log.info, lambda *_: None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), _Bar(), TimeElapsedColumn())
    with Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,  # converters redirect both, which must not be undone in between
        redirect_stderr=False,
    ) as live:
        task = live.add_task("reading data", total=None)

        counted = live.add_task("", visible=False)

        def say(text: str) -> None:
            live.reset(task, description=text)

        def tick(done: int, total: int) -> None:
            live.update(
                counted,
                description=f"{done} of {total}",
                completed=done,
                total=total,
                visible=done < total,
                refresh=True,
            )

        yield Steps(say, tick)


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
