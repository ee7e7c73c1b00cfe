"""Conditions on a comparison: `latency_p95 > +5%`.

    FIGURE OP [+|-]NUMBER[%|UNIT]        OP: > >= < <=

A number with a sign is a change against A: `%` relative to A, a unit (`pp` for percentage points)
absolute. A number without a sign is a limit for B itself.

Means alone would raise false alarms: of 200,000 simulated pairs of equal results (five repeats,
normal, standard deviation 10 %) 22 % differ by more than 5 %. So a change must also be shown by
Welch's test, which leaves 2 %. With two repeats that test sees next to nothing (10 % slower at a
standard deviation of 3 %: 21 % of the pairs), so fewer than three go by the value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.compare_significance import Difference, difference
from benchmarks.compare_units import factor, units_like
from benchmarks.interval import Interval, interval
from benchmarks.named_figures import STATISTICS, Figure, short_names
from edge_pose.errors import UsageError
from edge_pose.lookup import suggestion

GRAMMAR = re.compile(
    r"\s*(?P<figure>[A-Za-z_][\w.]*)\s*(?P<op>>=|<=|>|<)\s*"
    r"(?P<sign>[+-]?)\s*(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>%|[A-Za-z]*)\s*"
)
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
FEWEST = 3  # repeats for Welch's test to decide
EXAMPLE = "write it as FIGURE OP [+|-]NUMBER[%|UNIT], for example 'latency_p95 > +5%'"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes:
        text: as it was written.
        figure: full name.
        op: one of OPERATORS.
        limit: in the figure's unit, or a factor on A's value where `relative`.
        change: the limit is a change against A, not a value of B.
        relative: the change is a part of A.
    """

    text: str
    figure: str
    op: str
    limit: float
    change: bool
    relative: bool

    def holds(self, a: Figure, b: Figure, *, significant: bool) -> bool:
        """Return whether it holds.

        By the means, and for a change only where Welch's test shows one; fewer than 3 repeats: by
        the value.

        Args:
            a: the figure of the first result.
            b: that of the second one.
            significant: only where it holds in the whole 95 % confidence interval, too.

        Raises:
            UsageError: it must be significant, and the figure has no repeats.
        """
        beyond = self._beyond(a, b)
        if not significant:
            return self._meets(beyond.mean) and not self.within_scatter(a, b)
        if beyond.low is None or beyond.high is None:
            raise UsageError(
                f"--fail-if '{self.text}': {self.figure} has one value only, so nobody can tell"
                " whether it is significant: measure with --repeats, or leave --significant out"
            )
        return all(self._meets(end) for end in (beyond.low, beyond.high))

    def within_scatter(self, a: Figure, b: Figure) -> bool:
        """Return whether the means meet it only by a change that the repeats do not show.

        A condition that no change at all would meet, as `fps < +5%`, needs none to be shown; fewer
        than FEWEST repeats show too little, and are taken at their value.
        """
        if min(len(a.value.values), len(b.value.values)) < FEWEST:
            return False
        if not self.change or not self._meets(self._beyond(a, b).mean) or self._meets_unchanged(a):
            return False
        return difference(a.value, b.value, exact=b.exact).significant is False

    def _meets(self, beyond: float) -> bool:
        return OPERATORS[self.op](beyond, 0.0)

    def _meets_unchanged(self, a: Figure) -> bool:
        return self._meets(a.value.mean - self._moved(a.value).mean)

    def _beyond(self, a: Figure, b: Figure) -> Difference:
        """Return by how much B is above the limit."""
        if not self.change:
            limit, known = interval([self.limit]), b.value
            if b.exact or known.low is None or known.high is None:
                return difference(limit, known, exact=b.exact)
            ends = (known.low - self.limit, known.high - self.limit)
            return Difference(mean=known.mean - self.limit, low=ends[0], high=ends[1])
        return difference(self._moved(a.value), b.value, exact=b.exact)

    def _moved(self, a: Interval) -> Interval:
        """Return A's values at the limit."""
        if self.relative:
            return interval(value + self.limit * abs(value) for value in a.values)
        return interval(value + self.limit for value in a.values)


def parse_condition(text: str, figures: Mapping[str, Figure]) -> Condition:
    """Read a condition.

    Args:
        text: as it was written.
        figures: that may be named.

    Raises:
        UsageError: it is malformed, or there is no such figure or unit.
    """
    match = GRAMMAR.fullmatch(text)
    if match is None:
        raise UsageError(f"--fail-if '{text}': is no condition; {EXAMPLE} ({_known(figures)})")
    figure = _figure(text, match["figure"], figures)
    change = match["sign"] != ""
    number = float(f"{match['sign']}{match['number']}")
    unit = match["unit"] or figure.unit
    if change and unit == "%" and match["unit"]:
        return Condition(text, figure.name, match["op"], number / 100.0, change, relative=True)
    if unit != figure.unit and unit not in units_like(figure.unit):
        raise UsageError(f"--fail-if '{text}': {_wrong_unit(figure, unit)}")
    limit = number if unit == figure.unit else number * factor(unit, figure.unit)
    return Condition(text, figure.name, match["op"], limit, change, relative=False)


def _figure(text: str, name: str, figures: Mapping[str, Figure]) -> Figure:
    short = short_names(figures)
    found = figures.get(name) or figures.get(short.get(name, ""))
    if found is None:
        near = suggestion(name, [*short, *figures])
        raise UsageError(
            f"--fail-if '{text}': figure '{name}' is unknown{near} ({_known(figures)})"
        )
    return found


def _wrong_unit(figure: Figure, unit: str) -> str:
    allowed = ", ".join(units_like(figure.unit)) or "none"
    if unit == "%":
        return (
            f"'%' needs a sign, for it is a change against A, for example '+5%'; for a limit of"
            f" {figure.name} itself the units are {allowed}"
        )
    return f"'{unit}' is no unit of {figure.name} (known: {allowed}, or '%' with a sign)"


def _known(figures: Mapping[str, Figure]) -> str:
    """Return the short names, a stage's six statistics as one."""
    families: dict[str, None] = {}
    for name in short_names(figures):
        what, _, statistic = name.rpartition("_")
        families[f"{what}_*" if statistic in STATISTICS else name] = None
    return (
        f"known: {', '.join(families)}; * is one of {', '.join(STATISTICS)}; with a mode before,"
        " as in offline.fps, in that mode"
    )
