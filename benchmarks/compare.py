"""Two device results side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from pydantic import Field

from benchmarks.compare_condition import Condition
from benchmarks.compare_significance import Difference, difference
from benchmarks.device_files import Named
from benchmarks.interval import Interval
from benchmarks.likeness import Aspect, require_alike
from benchmarks.named_figures import EVERYTHING, Figure, named_figures
from benchmarks.report import Table
from benchmarks.result import DeviceResult
from edge_pose.errors import UsageError

HINT = "--only compares the figures that need nothing else to be alike, --other-machine machines"
Verdict = Literal["better", "worse", "no difference shown", "too few repeats"]


class Side(Table):
    """One of the two results."""

    name: str
    created_at: datetime
    valid: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


class Row(Table):
    """One figure of both."""

    name: str
    unit: str
    better: Literal["lower", "higher"]
    a: Interval
    b: Interval
    ratio: float | None = Field(description="b / a; None where that is 0 or below")
    difference: Difference = Field(description="b - a")
    verdict: Verdict


class Outcome(Table):
    """What became of one condition."""

    condition: str
    figure: str
    holds: bool
    within_scatter: bool = Field(False, description="the means meet it, the repeats do not show it")


class Comparison(Table):
    """The whole comparison."""

    schema_: Literal["edge_pose.compare/1"] = Field("edge_pose.compare/1", alias="schema")
    a: Side
    b: Side
    aspects: tuple[Aspect, ...] = Field(description="that must be alike, and are")
    changed: dict[str, tuple[str, str]] = Field(description="what else differs")
    power: Literal["measured", "estimated"] | None = Field(
        description="of both; None: power was not compared"
    )
    figures: tuple[Row, ...]
    significant_conditions: bool = False
    conditions: tuple[Outcome, ...] = ()

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The conditions that hold."""
        return tuple(outcome for outcome in self.conditions if outcome.holds)


def compare(
    a: Named,
    b: Named,
    *,
    aspects: tuple[Aspect, ...] = EVERYTHING,
    other_machine: bool = False,
) -> Comparison:
    """Put two results side by side.

    Args:
        a: the one to start from.
        b: the other one.
        aspects: only figures that need no more than these are compared.
        other_machine: two machines are what is compared.

    Raises:
        UsageError: the results are unlike in one of the aspects.
    """
    try:
        require_alike(a.result, b.result, aspects=aspects, other_machine=other_machine)
    except UsageError as error:
        raise UsageError(f"{error} ({HINT})") from None
    figures = both(a.result, b.result, aspects)
    return Comparison(
        a=_side(a),
        b=_side(b),
        aspects=aspects,
        changed=dict(_changed(a.result, b.result)),
        power=a.result.meter.source if "power" in aspects else None,
        figures=tuple(_row(*pair) for pair in figures.values()),
    )


def both(
    a: DeviceResult, b: DeviceResult, aspects: tuple[Aspect, ...]
) -> dict[str, tuple[Figure, Figure]]:
    """Return the figures that both results have, and that need no more than these aspects."""
    ours, theirs = named_figures(a), named_figures(b)
    return {
        name: (figure, theirs[name])
        for name, figure in ours.items()
        if name in theirs and set(figure.needs) <= set(aspects)
    }


def with_conditions(
    found: Comparison,
    pairs: dict[str, tuple[Figure, Figure]],
    conditions: Iterable[Condition],
    *,
    significant: bool,
) -> Comparison:
    """Return the comparison with what became of the conditions."""
    outcomes = tuple(
        Outcome(
            condition=one.text,
            figure=one.figure,
            holds=one.holds(*pairs[one.figure], significant=significant),
            within_scatter=one.within_scatter(*pairs[one.figure]),
        )
        for one in conditions
    )
    return found.model_copy(update={"conditions": outcomes, "significant_conditions": significant})


def _row(a: Figure, b: Figure) -> Row:
    found = difference(a.value, b.value, exact=a.exact)
    return Row(
        name=a.name,
        unit=a.unit,
        better=a.better,
        a=a.value,
        b=b.value,
        ratio=b.value.mean / a.value.mean if a.value.mean > 0 <= b.value.mean else None,
        difference=found,
        verdict=_verdict(found, a.better),
    )


def _verdict(found: Difference, better: str) -> Verdict:
    if found.significant is None:
        return "too few repeats"
    if not found.significant:
        return "no difference shown"
    return "better" if (found.mean > 0) == (better == "higher") else "worse"


def _side(one: Named) -> Side:
    result = one.result
    return Side(
        name=one.name,
        created_at=result.created_at,
        valid=result.validity.valid,
        reasons=result.validity.reasons,
        warnings=result.warnings,
    )


def _changed(a: DeviceResult, b: DeviceResult) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what differs and may be the reason of a difference."""
    facts_a, facts_b = _facts(a), _facts(b)
    for name in dict.fromkeys([*facts_a, *facts_b]):
        pair = (facts_a.get(name, "none"), facts_b.get(name, "none"))
        if pair[0] != pair[1]:
            yield name, pair


def _facts(result: DeviceResult) -> dict[str, str]:
    artifact, environment = result.artifact, result.environment
    backend = f"{artifact.backend} {artifact.backend_version} on {artifact.backend_device}"
    found: dict[str, object] = {
        "artifact": artifact.name,
        "sha256": artifact.sha256[:12],
        "precision": artifact.precision,
        "input": "×".join(map(str, artifact.input_size)),
        "runtime": backend,
        "detector": result.detector and f"{result.detector.name} {result.detector.sha256[:12]}",
        "threads": result.setup.threads,
        "repeats": result.setup.repeats,
        "profile": result.device.profile,
        "machine": environment.cpu_model or environment.machine,
        "kernel": environment.kernel,
        "governor": environment.governor,
        "turbo": environment.turbo,
        "load before": environment.load_1min,
        "Python": environment.python,
        **environment.libraries,
    }
    return {name: "none" if value is None else str(value) for name, value in found.items()}
