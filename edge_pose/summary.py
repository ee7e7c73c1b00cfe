"""What a run did, as data and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edge_pose.backends.base import Runtime
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Manifest
from edge_pose.metrics.latency import LatencySummary
from edge_pose.power import PowerSummary
from edge_pose.publishers.base import PublisherReport

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = "edge_pose.summary/1"


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The artifact's accuracy, from its gate report; percent."""

    metric: str
    value: float
    dataset: str
    n_persons: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Figures of one run.

    Attributes:
        runtime: what the model ran in.
        load_s: reading, checking and compiling the artifact.
        warm_up_s: the first runs of the model, which are part of no frame.
        frames: results published.
        frames_with_people: of those, with at least one person.
        dropped: frames that the source or the queue dropped.
        duration_s: from the start of capture to the last result published.
        fps: frames per second over that time: capture, decoding and publishing included.
        latency_ms: p50, p95, p99 and mean by stage; "end_to_end" is capture to published.
        publishers: what each publisher sent and dropped.
        power: mean W and energy, measured or estimated.
        joules_per_frame: energy over frames; None without frames.
        accuracy: from the manifest; None for an artifact without a gate report.
        accuracy_fps_per_watt: the AE metric of EfficientHRNet's authors, with this accuracy.
        outcome: "finished", "interrupted" or "failed".
        error: why the run failed.
    """

    schema: str
    model: str
    source: str
    device: str
    runtime: Runtime
    load_s: float
    warm_up_s: float
    frames: int
    frames_with_people: int
    dropped: int
    duration_s: float
    fps: float
    latency_ms: dict[str, dict[str, float]]
    publishers: list[PublisherReport]
    power: PowerSummary
    joules_per_frame: float | None
    accuracy: Accuracy | None
    accuracy_fps_per_watt: float | None
    outcome: str
    error: str | None

    @property
    def start_up(self) -> str:
        """What happened before the first frame, as text."""
        return f"loaded in {self.load_s:.2f} s, warmed up in {self.warm_up_s:.2f} s"

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def summarize(
    *,
    manifest: Manifest,
    source: str,
    device: str,
    runtime: Runtime,
    load_s: float,
    warm_up_s: float,
    frames: int,
    frames_with_people: int,
    dropped: int,
    duration_s: float,
    latency: Mapping[str, LatencySummary],
    reports: Iterable[PublisherReport],
    power: PowerSummary,
    interrupted: bool,
    error: EdgePoseError | None,
) -> RunSummary:
    """Put the figures of a run together."""
    fps = frames / duration_s if duration_s > 0 else 0.0
    gate = manifest.gate
    accuracy = None
    if gate is not None:
        part = gate.stated
        accuracy = Accuracy(part.metric, part.artifact_accuracy, part.dataset, part.n_persons)
    outcome = "failed" if error else "interrupted" if interrupted else "finished"
    return RunSummary(
        schema=SCHEMA,
        model=manifest.name,
        source=source,
        device=device,
        runtime=runtime,
        load_s=load_s,
        warm_up_s=warm_up_s,
        frames=frames,
        frames_with_people=frames_with_people,
        dropped=dropped,
        duration_s=duration_s,
        fps=fps,
        latency_ms={name: stage.to_ms() for name, stage in latency.items()},
        publishers=list(reports),
        power=power,
        joules_per_frame=power.energy_j / frames if frames else None,
        accuracy=accuracy,
        accuracy_fps_per_watt=(
            accuracy.value * fps / power.mean_w if accuracy and power.mean_w > 0 else None
        ),
        outcome=outcome,
        error=str(error) if error else None,
    )


def summary_table(summary: RunSummary) -> Table:
    """Return the summary for a terminal."""
    from rich.table import Table
    from rich.text import Text

    # Text, because rich takes square brackets in a str, as globs have them, for its own markup.
    title = Text(f"edge_pose: {summary.source}")
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, text in (*_run_rows(summary), *_efficiency_rows(summary)):
        table.add_row(name, Text(text))
    if summary.outcome != "finished":
        table.add_row("outcome", summary.outcome)
    return table


def _run_rows(summary: RunSummary) -> list[tuple[str, str]]:
    people = f"a person in {summary.frames_with_people}, {summary.dropped} dropped"
    rows = [
        ("model", summary.model),
        ("runtime", f"{summary.runtime} ({summary.start_up})"),
        ("frames", f"{summary.frames} in {summary.duration_s:.2f} s, {people}"),
        ("FPS", f"{summary.fps:.1f} (capture, decoding and publishing included)"),
    ]
    for stage, values in summary.latency_ms.items():
        figures = " / ".join(f"{values[name]:.2f}" for name in ("p50", "p95", "p99"))
        rows.append((f"{stage.replace('_', ' ')} ms", f"{figures} (p50 / p95 / p99)"))
    for report in summary.publishers:
        text = f"{report.sent} sent, {report.dropped} dropped → {report.target}"
        rows.append((report.name, text))
    return rows


def _efficiency_rows(summary: RunSummary) -> list[tuple[str, str]]:
    power = summary.power
    joules = summary.joules_per_frame
    per_frame = f", {joules * 1e3:.1f} mJ per frame" if joules is not None else ""
    rows = [("power", f"{power.mean_w:.2f} W{per_frame} ({power.source}: {power.detail})")]
    if summary.accuracy is not None:
        a = summary.accuracy
        rows.append(("accuracy", f"{a.value:.1f} {a.metric} ({a.dataset}, n = {a.n_persons})"))
    if summary.accuracy_fps_per_watt is not None:
        text = f"{summary.accuracy_fps_per_watt:.0f} (accuracy × FPS / W, {power.source} power)"
        rows.append(("AE", text))
    return rows
