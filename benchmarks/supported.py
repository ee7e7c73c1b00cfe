"""The table of SUPPORTED.md: every device profile, and what was measured on it.

What nobody measured says so. Of several results of one profile the one with the highest AE is
shown, but only among results that may be compared: unlike ones have a row each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.checkout import SUPPORTED
from benchmarks.figure_text import LOST, interval_text
from benchmarks.generated_part import with_part
from benchmarks.likeness import check_alike
from benchmarks.markdown import escape
from benchmarks.named_figures import LATENCY_MODES, OTHER_MODES, preferred
from benchmarks.result import DeviceResult
from benchmarks.submission import Checked, recorded
from benchmarks.tables import machine_text
from edge_pose.errors import UsageError
from edge_pose.profile import load_profile, profile_names
from edge_pose.types import utc_now

PART = "devices"
NOT_MEASURED = "not measured"
COLUMNS = (
    "profile",
    "device",
    "artifact",
    "FPS",
    "latency p95, ms",
    "W",
    "accuracy × FPS / W",
    "accuracy",
    "measured",
    "result",
)


def document(root: Path, now: datetime | None = None) -> str:
    """Return SUPPORTED.md as it should be.

    Args:
        root: of the repository.
        now: the time; the clock's by default.

    Raises:
        UsageError: a recorded result breaks a rule, or there is no such document here.
    """
    file = root / SUPPORTED
    return with_part(read_document(file), PART, devices_table(root, now), str(file))


def read_document(file: Path) -> str:
    """Return its text.

    Raises:
        UsageError: it cannot be read: this is no checkout.
    """
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be read: {error.strerror}: recorded results are in the repository, not"
            " in the installed package: name a checkout with --repository"
        ) from None


def devices_table(root: Path, now: datetime | None = None) -> str:
    """Return the generated part.

    Raises:
        UsageError: a recorded result breaks a rule; one line for the first one.
    """
    results: dict[str, list[tuple[Checked, DeviceResult]]] = {}
    for one in recorded(root, now or utc_now()):
        if one.wrong or one.result is None:
            raise UsageError(f"{one.file}: {one.wrong[0]}")
        results.setdefault(one.result.device.profile, []).append((one, one.result))
    names = profile_names()
    lines = [
        f"{len(results)} of {len(names)} device profiles were measured.",
        "",
        _line(COLUMNS),
        _line("---" for _ in COLUMNS),
    ]
    notes: list[str] = []
    for name in names:
        if name not in results:
            lines.append(_line(_not_measured(name)))
            continue
        for one, result in _best(results[name]):
            lines.append(_line(_cells(one.file.relative_to(root), result)))
            notes += [f"- `{name}`, {result.created_at:%Y-%m-%d}: {escape(f)}" for f in one.flags]
    return "\n".join(
        [*lines, "", *(["Of these results:", "", *notes, ""] if notes else []), *LEGEND]
    )


LEGEND = (
    "FPS: offline, as fast as it goes. Latency: from capture to published, one frame at a time.",
    "± is half of the 95 % confidence interval over the repeats. *Estimated* watts come from the",
    "profile's figures and processor use; they, and every AE made of them, compare with nothing",
    "else. A row per kind of result: unlike data sets, clips or power meters are never compared.",
)


def _best(
    results: Iterable[tuple[Checked, DeviceResult]],
) -> list[tuple[Checked, DeviceResult]]:
    """Return the best of each group of results that may be compared, measured power first."""
    groups: list[list[tuple[Checked, DeviceResult]]] = []
    for one in results:
        for group in groups:
            # Estimated watts are those of one machine.
            measured = one[1].meter.source == "measured"
            if not check_alike(group[0][1], one[1], other_machine=measured):
                group.append(one)
                break
        else:
            groups.append([one])
    best = [max(group, key=lambda one: _merit(one[1])) for group in groups]
    return sorted(best, key=lambda one: (one[1].meter.source != "measured", one[1].created_at))


def _merit(result: DeviceResult) -> tuple[float, float]:
    _, mode = preferred(result, OTHER_MODES)
    ae = mode.power.accuracy_fps_per_watt
    return (ae.mean if ae else 0.0, mode.fps.mean)


def _not_measured(name: str) -> Iterator[str]:
    yield from (f"`{name}`", escape(load_profile(name).description), NOT_MEASURED)
    yield from ("" for _ in COLUMNS[3:])


def _cells(file: Path, result: DeviceResult) -> Iterator[str]:
    artifact, meter = result.artifact, result.meter
    throughput = preferred(result, OTHER_MODES)[1]
    stream = preferred(result, LATENCY_MODES)[1]
    yield f"`{result.device.profile}`"
    yield escape(f"{result.device.description}: {machine_text(result.environment)}")
    yield escape(f"{artifact.name}, {artifact.precision} {artifact.format}")
    yield interval_text(throughput.fps)
    yield interval_text(stream.latency["end_to_end"].p95_ms)
    power = throughput.power
    watts = f"{interval_text(power.mean_w)} {meter.source}" if power.known else LOST
    yield f"{watts} ({meter.name}, {meter.scope})"
    ae = power.accuracy_fps_per_watt
    yield "" if ae is None else f"{interval_text(ae)} (power {meter.source})"
    yield _accuracy(result)
    versions = f"edge-pose {result.environment.libraries.get('edge-pose', '?')}"
    runtime = f"{artifact.backend} {artifact.backend_version} on {artifact.backend_device}"
    yield escape(f"{result.created_at:%Y-%m-%d}, {versions}, {runtime}")
    division = "closed division" if result.validity.division == "closed" else "open division"
    yield f"[JSON](<{file.as_posix()}>), {division}"


def _accuracy(result: DeviceResult) -> str:
    accuracy = result.artifact.accuracy
    if accuracy is None:
        return "not known"
    return escape(
        f"{accuracy.percent:.1f} {accuracy.metric}, {accuracy.dataset}, n = {accuracy.n_persons}"
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
