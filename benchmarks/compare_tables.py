"""A comparison as words: for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.compare import Comparison, Row
from benchmarks.figure_text import (
    figure_words,
    interval_text,
    mode_words,
    number,
    scaled,
    shown_unit,
    with_error,
)
from benchmarks.markdown import markdown_table
from benchmarks.named_figures import LATENCY_MODES, Figure
from benchmarks.tables import plain_table

# Of a stage, unless everything is asked for; and only in the mode that latency is for.
BRIEF = ("p50", "p95")
VERDICTS = {"no difference shown": "", "too few repeats": "?"}
CAPTION = (
    "mean ± 95 % confidence over the repeats; better or worse by Welch's test, empty where no"
    " difference is shown, ? where there are too few repeats; of twenty equal figures about one"
    " looks different by chance"
)
WIDTH = 110  # where there is no terminal, as in CI


class Words(NamedTuple):
    """A comparison in words.

    Attributes:
        title: of everything.
        head: of every table.
        groups: name of the mode, rows.
        notes: whole lines below.
    """

    title: str
    head: tuple[str, ...]
    groups: dict[str, list[tuple[str, ...]]]
    notes: list[str]


def words(found: Comparison, *, everything: bool = False) -> Words:
    """Return a comparison in words.

    Args:
        found: the comparison.
        everything: all statistics of all stages, too.
    """
    groups: dict[str, list[tuple[str, ...]]] = {}
    for row in found.figures:
        figure = _figure(row)
        if everything or not _detail(figure, found):
            groups.setdefault(mode_words(figure.mode), []).append(_cells(row, figure, found.power))
    title = f"A: {found.a.name}, B: {found.b.name}"
    return Words(title, ("", "A", "B", "B / A", "B - A", "B is"), groups, list(_notes(found)))


def print_words(said: Words) -> None:
    """Print everything on stdout."""
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for group, rows in said.groups.items():
        table = plain_table(group or escape(said.title), said.head)
        for row in rows:
            table.add_row(*row, style=_style(row[-1]))
        console.print(table)
    for note in said.notes:
        console.print(note, markup=False, highlight=False)


def markdown(said: Words) -> str:
    """Return everything as Markdown, for a step's summary or a comment."""
    parts = [f"## {said.title}"]
    for group, rows in said.groups.items():
        parts += [f"### {group}"] if group else []
        parts.append(markdown_table(said.head, rows))
    parts += [f"- {note}" for note in said.notes]
    return "\n\n".join(parts[: -len(said.notes)]) + "\n\n" + "\n".join(parts[-len(said.notes) :])


def _figure(row: Row) -> Figure:
    return Figure(row.name, row.unit, row.better, (), row.a)


def _detail(figure: Figure, found: Comparison) -> bool:
    """True for what is left out of a brief table."""
    what, _, statistic = figure.short_name.rpartition("_")
    if not figure.is_latency or what == "latency":
        return False
    measured = {row.name.rpartition(".")[0] for row in found.figures}
    mode = next(name for name in LATENCY_MODES if name in measured)
    return statistic not in BRIEF or figure.mode != mode


def _cells(row: Row, figure: Figure, power: str | None) -> tuple[str, ...]:
    factor, unit = scaled(figure, 1.0), shown_unit(figure)
    label = figure_words(figure)
    label += f", {unit}" if unit not in ("", label) else ""
    label += " (est.)" if power == "estimated" and _from_power(figure) else ""
    found = row.difference
    change = number(found.mean * factor)
    if found.high is not None and found.high != found.mean:
        change = with_error(found.mean * factor, (found.high - found.mean) * factor)
    change = f"+{change}" if found.mean > 0 else change
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    return (
        label,
        interval_text(row.a, factor),
        interval_text(row.b, factor),
        ratio,
        change,
        VERDICTS.get(row.verdict, row.verdict),
    )


def _from_power(figure: Figure) -> bool:
    return figure.unit in ("W", "J") or figure.short_name == "ae"


def _style(verdict: str) -> str | None:
    return {"better": "green", "worse": "red"}.get(verdict)


def _notes(found: Comparison) -> Iterator[str]:
    yield CAPTION
    if found.power == "estimated":
        yield "est.: from estimated power, which is no measurement"
    for letter, side in (("A", found.a), ("B", found.b)):
        if not side.valid:
            yield f"{letter} is INVALID: {'; '.join(side.reasons)}"
    for warning in dict.fromkeys((*found.a.warnings, *found.b.warnings)):
        of = [
            letter for letter, side in (("A", found.a), ("B", found.b)) if warning in side.warnings
        ]
        yield f"{' and '.join(of)}: {warning}"
    if found.changed:
        listed = "; ".join(f"{name}: {a} → {b}" for name, (a, b) in found.changed.items())
        yield f"also different: {listed}"
    for outcome in found.conditions:
        sure = " with 95 % confidence" if found.significant_conditions else ""
        verb = "HOLDS" if outcome.holds else "does not hold"
        why = ": the means are beyond it, but the repeats scatter by more; more --repeats tell"
        why = why if outcome.within_scatter else ""
        yield f"{outcome.condition} ({outcome.figure}): {verb}{sure}{why}"
