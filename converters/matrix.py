"""Every format × precision of one checkpoint: size, latency, accuracy, drift and verdict."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from converters import CONVERTERS
from converters.job import Job
from converters.ladder import best_try
from converters.settings import Settings
from converters.steps import Tick
from converters.timing import ROUNDS, Latency, noise, time_in_turns
from edge_pose.artifact import Artifact
from edge_pose.backends import open_backend
from edge_pose.errors import BackendError, EdgePoseError
from edge_pose.manifest import Attempt, Gate

log = logging.getLogger(__name__)

SCHEMA = "edge_pose.matrix/1"
THREADS = (1, 2)


@dataclass(frozen=True, slots=True)
class Cell:
    """One artifact of the matrix, or why there is none.

    Attributes:
        format: of its model file.
        precision: that was asked for.
        artifact: in no folder yet, with its gate report; None where the conversion failed.
        error: why it failed.
        latency: by number of threads; empty where the runtime is not here.
    """

    format: str
    precision: str
    artifact: Artifact | None = None
    error: str = ""
    latency: dict[int, Latency] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Format and precision."""
        return f"{self.format} {self.precision}"

    @property
    def gate(self) -> Gate | None:
        """The artifact's report."""
        return self.artifact.manifest.gate if self.artifact is not None else None

    @property
    def passed(self) -> Artifact | None:
        """The artifact if it passed its gate."""
        return self.artifact if self.gate is not None and self.gate.passed else None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What was tried, the artifact's own among it."""
        return self.artifact.manifest.attempts if self.artifact is not None else ()

    @property
    def verdict(self) -> str:
        """Passed, failed with the limits that were missed, or the error."""
        gate = self.gate
        if gate is None:
            return f"error: {self.error}"
        if gate.passed:
            return "passed"
        return f"failed: {'; '.join(gate.reasons)}" if gate.reasons else "failed"

    def to_json(self) -> dict[str, Any]:
        """Return the row of the table as JSON values."""
        row: dict[str, Any] = {"format": self.format, "precision": self.precision}
        if self.artifact is not None and self.gate is not None:
            manifest, gate = self.artifact.manifest, self.gate
            calibration = manifest.calibration
            row |= {
                "backend": manifest.file.backend,
                "size_bytes": manifest.file.total_bytes,
                "sha256": manifest.file.sha256,
                "metric": gate.metric,
                "n_persons": gate.n_persons,
                "checkpoint_accuracy": gate.checkpoint_accuracy,
                "accuracy": gate.artifact_accuracy,
                "drift_p50_px": gate.drift_p50_px,
                "drift_p95_px": gate.drift_p95_px,
                "argmax_agreement": gate.argmax_agreement,
                "method": calibration.method if calibration else "",
                "float_layers": len(calibration.float_layers) if calibration else 0,
                "attempts": [attempt.model_dump(mode="json") for attempt in self.attempts],
                "passed": gate.passed,
            }
        timed = {
            str(threads): {"p50_ms": taken.p50_ms, "p95_ms": taken.p95_ms, "runs": taken.runs}
            for threads, taken in self.latency.items()
        }
        return row | {"verdict": self.verdict, "latency_ms_by_threads": timed}


def build_matrix(
    job: Job,
    settings: Settings,
    *,
    keys: Sequence[tuple[str, str]] = tuple(CONVERTERS),
    threads: Sequence[int] = THREADS,
    rounds: int = ROUNDS,
) -> list[Cell]:
    """Convert to every format and precision, measure each, then time all of them in one run.

    What cannot be converted or fails its gate is a row of the table, not an error.

    Args:
        job: the checkpoint.
        settings: for every cell; format, precision and `fall_back` are not looked at: the other
            precision has a cell of its own.
        keys: of CONVERTERS.
        threads: thread counts to time with.
        rounds: timed runs of each.
    """
    cells: list[Cell] = []
    for kind, name in keys:
        job.steps.overall(len(cells), len(keys))
        wanted = replace(settings, format=kind, precision=name, fall_back=False)
        cells.append(_cell(job, wanted))
    job.steps.overall(len(cells), len(keys))
    if threads:
        job.steps(f"timing {sum(cell.artifact is not None for cell in cells)} artifacts in turns")
    return _timed(cells, threads, rounds, job.steps.tick)


def _cell(job: Job, settings: Settings) -> Cell:
    try:
        artifact = best_try(job, settings)
    except EdgePoseError as error:
        log.warning("%s %s: %s", settings.format, settings.precision, error)
        return Cell(settings.format, settings.precision, error=str(error))
    return Cell(settings.format, settings.precision, artifact)


def _timed(cells: Sequence[Cell], threads: Iterable[int], rounds: int, tick: Tick) -> list[Cell]:
    """Time all artifacts at all thread counts in one run."""
    calls = {}
    with ExitStack() as stack:
        for number in threads:
            for cell in cells:
                if cell.artifact is None:
                    continue
                try:
                    backend = open_backend(cell.artifact, threads=number)
                except BackendError as error:
                    log.warning("%s with %d threads: not timed: %s", cell.name, number, error)
                    continue
                stack.enter_context(closing(backend))
                tensor = noise(cell.artifact.manifest.input)
                calls[cell.name, number] = lambda run=backend.run, tensor=tensor: run(tensor)
        found = time_in_turns(calls, rounds=rounds, tick=tick)
    return [
        replace(cell, latency={n: taken for (name, n), taken in found.items() if name == cell.name})
        for cell in cells
    ]
