"""Whether two device results may be compared, and what is unlike.

AE above all: dividing one data set's accuracy by another meter's watts gives a number that means
nothing, and published tables do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from benchmarks.result import DeviceResult
from edge_pose.errors import UsageError

Aspect: TypeAlias = Literal["accuracy", "speed", "power", "machine"]
Facts: TypeAlias = dict[str, object]


def check_alike(
    a: DeviceResult,
    b: DeviceResult,
    *,
    aspects: Iterable[Aspect] = ("accuracy", "speed", "power"),
    other_machine: bool = False,
) -> tuple[str, ...]:
    """Return what makes two results unlike, one line for each difference; empty: compare them.

    Args:
        a: the first one.
        b: the second one.
        aspects: what will be compared: "accuracy" needs the same data set, metric and persons;
            "speed" the same clip, modes and camera rate; "power" the same kind of meter, and the
            same machine where it is estimated. AE needs all three.
        other_machine: two machines are what is compared.
    """
    wanted: list[Aspect] = list(aspects)
    if not other_machine and set(wanted) != {"accuracy"}:  # which no machine changes
        wanted.append("machine")
    lines = (
        f"{name}: {_text(facts_a[name])} against {_text(facts_b[name])}"
        for aspect in wanted
        for facts_a, facts_b in [(FACTS[aspect](a), FACTS[aspect](b))]
        for name in facts_a
        if name in facts_b and facts_a[name] != facts_b[name]
    )
    return tuple(dict.fromkeys(lines))


def require_alike(
    a: DeviceResult,
    b: DeviceResult,
    *,
    aspects: Iterable[Aspect] = ("accuracy", "speed", "power"),
    other_machine: bool = False,
) -> None:
    """Do nothing where two results may be compared; see check_alike.

    Raises:
        UsageError: they may not; one line with every difference.
    """
    found = check_alike(a, b, aspects=aspects, other_machine=other_machine)
    if found:
        raise UsageError(f"cannot compare unlike results: {'; '.join(found)}")


def _accuracy(result: DeviceResult) -> Facts:
    known = result.artifact.accuracy
    return {
        "task": result.artifact.task,
        "data set": known and known.dataset,
        "metric": known and known.metric,
        "persons": known and known.n_persons,
    }


def _speed(result: DeviceResult) -> Facts:
    source = result.source
    rate = result.fixed_rate
    return {
        "source": source.sha256 or source.name,
        "frames": source.frames,
        "picture": (source.width, source.height),
        "modes": tuple(sorted(result.modes)),
        "camera rate": rate and rate.rate_hz,
    }


def _power(result: DeviceResult) -> Facts:
    found: Facts = {
        "power": result.meter.source,
        "scope of power": result.meter.scope,
        "power meter": result.meter.name,
    }
    if result.meter.source == "estimated":  # from what a profile assumes of one machine
        found |= {"machine": _machine(result)["machine"], "estimate": result.meter.detail}
    return found


def _machine(result: DeviceResult) -> Facts:
    environment = result.environment
    return {
        "machine": environment.cpu_model or environment.machine,
        "cores": environment.cores_available,
        "profile": result.device.profile,
    }


FACTS: dict[Aspect, Callable[[DeviceResult], Facts]] = {
    "accuracy": _accuracy,
    "speed": _speed,
    "power": _power,
    "machine": _machine,
}


def _text(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple):
        return " ".join(str(part) for part in value)
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
