"""Choose the artifact that a device should run, by measuring the candidates on it.

The best is the one with the highest accuracy × FPS / W (AE, Neff et al., EfficientHRNet,
https://arxiv.org/abs/2007.08090) among those that keep within the limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from converters.steps import Tick, silent
from edge_pose.artifact import Artifact
from edge_pose.errors import EdgePoseError, PowerError
from edge_pose.estimator import load, load_detector
from edge_pose.power import EnergyRecorder, PowerMeter
from edge_pose.preprocess import fit_region

SCHEMA = "edge_pose.selection/1"
BURST_S = 1.0
BURSTS = 3
WARM_UP = 3
PICTURE = (640, 480)  # w, h px

Work = Callable[[], object]
Refusal = tuple[str, str]
"""Name of a candidate, which another one may have, too, and the reason."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What a candidate has to keep; None: anything.

    Attributes:
        min_accuracy: percent, by the gate's report.
        max_p95_ms: of one picture from pixels to keypoints, ms.
        max_watts: mean power while it works without a pause, W.
    """

    min_accuracy: float | None = None
    max_p95_ms: float | None = None
    max_watts: float | None = None

    def missed(self, result: Result) -> str:
        """Return what the candidate misses in words; empty where it keeps all."""
        words = []
        if self.min_accuracy is not None and result.accuracy < self.min_accuracy:
            words.append(f"accuracy {result.accuracy:.1f} is below {self.min_accuracy:g}")
        if self.max_p95_ms is not None and result.p95_ms > self.max_p95_ms:
            words.append(f"p95 {result.p95_ms:.1f} ms is above {self.max_p95_ms:g}")
        if self.max_watts is not None and result.watts > self.max_watts:
            words.append(f"{result.watts:.1f} W ({result.power}) are above {self.max_watts:g}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact in a runtime.

    Attributes:
        artifact: with a gate report.
        label: what people call it; names of artifacts are not always unique.
        backend: name of the runtime.
        device: what to run on, in the runtime's words.
        threads: inference threads.
    """

    artifact: Artifact
    label: str
    backend: str
    device: str = "CPU"
    threads: int = 1

    @property
    def name(self) -> str:
        """Artifact and runtime."""
        return f"{self.label} on {self.backend}"


@dataclass(frozen=True, slots=True)
class Result:
    """A candidate's figures on this device.

    Attributes:
        candidate: its name.
        accuracy: percent, by the gate's report.
        p50_ms: median time of one picture from pixels to keypoints, ms.
        p95_ms: 95th percentile, ms.
        fps: pictures per second, one after the other.
        watts: mean power meanwhile, W.
        power: "measured" or "estimated".
        ae: accuracy × FPS / W.
        rejected: why it was not chosen; empty for the chosen one.
    """

    candidate: str
    accuracy: float
    p50_ms: float
    p95_ms: float
    fps: float
    watts: float
    power: str
    ae: float
    rejected: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Selection:
    """What was measured and chosen.

    Attributes:
        chosen: the best candidate; None where none keeps the limits.
        results: of all that ran, the highest AE first.
        refused: name and reason of each candidate that could not be measured.
    """

    chosen: Candidate | None
    results: tuple[Result, ...]
    refused: tuple[Refusal, ...]


def select(
    candidates: Sequence[Candidate],
    demands: Demands,
    meter: PowerMeter,
    *,
    burst_s: float = BURST_S,
    bursts: int = BURSTS,
    tick: Tick = silent,
) -> Selection:
    """Measure the candidates in turns and choose.

    Args:
        candidates: what there is; accuracies of another data set or metric than the first one's
            cannot be compared and are refused.
        demands: limits.
        meter: of this device.
        burst_s: seconds of work at a time.
        bursts: how often each candidate has its turn.
        tick: told of each turn.

    Raises:
        PowerError: the meter fails; a candidate that fails is refused.
    """
    refused: list[Refusal] = []
    runners: list[_Runner] = []
    try:
        for candidate in candidates:
            first = runners[0].candidate if runners else candidate
            with _refusing(candidate, refused):
                check_alike(first.artifact, candidate.artifact)
                runners.append(_Runner(candidate))
        for turn in range(bursts):
            there = tuple(runners)  # without those that failed in the turn before
            for index, runner in enumerate(there):
                tick(turn * len(there) + index, bursts * len(there))
                with _refusing(runner.candidate, refused, runner, runners):
                    runner.burst(meter, burst_s)
        tick(bursts * len(runners), bursts * len(runners))
        measured = []
        for runner in runners:
            with _refusing(runner.candidate, refused):
                measured.append((runner.candidate, runner.result(meter)))
    finally:
        for runner in runners:
            runner.close()
    return _choose(measured, demands, refused)


@contextmanager
def _refusing(
    candidate: Candidate,
    refused: list[Refusal],
    runner: _Runner | None = None,
    runners: list[_Runner] | None = None,
) -> Iterator[None]:
    """Note a candidate that fails, and let the others go on without its runner."""
    try:
        yield
    except PowerError:
        raise
    except EdgePoseError as error:
        refused.append((candidate.name, str(error)))
        if runner is not None and runners is not None:
            runners.remove(runner)
            runner.close()


def check_alike(one: Artifact, other: Artifact) -> None:
    """Make sure that two accuracies say the same thing.

    Raises:
        EdgePoseError: task, metric, data set or pictures differ, or there is no gate report.
    """
    for artifact in (one, other):
        if artifact.manifest.gate is None:
            name = artifact.manifest.name
            raise EdgePoseError(f"{name}: its accuracy was never measured, convert it again")
    for what, left, right in zip(("task", "metric", "data set", "data hash"),
                                 _measured(one), _measured(other), strict=True):  # fmt: skip
        if left != right:
            raise EdgePoseError(
                f"its accuracy cannot be compared: {what} is {right}, of the first candidate {left}"
            )


def _measured(artifact: Artifact) -> tuple[str, str, str, str]:
    manifest, gate = artifact.manifest, artifact.manifest.gate
    if gate is None:
        return manifest.task, "", "", ""
    where = f"{gate.dataset}, n = {gate.n_persons}"
    return manifest.task, gate.stated.metric, where, f"{gate.data_sha256[:12]}…"


def _choose(
    measured: Sequence[tuple[Candidate, Result]], demands: Demands, refused: Sequence[Refusal]
) -> Selection:
    judged = [(replace(r, rejected=demands.missed(r)), c) for c, r in measured]
    ranked = sorted(judged, key=lambda pair: -pair[0].ae)
    best = next(((r, c) for r, c in ranked if not r.rejected), None)
    if best is None:
        return Selection(None, tuple(r for r, _ in ranked), tuple(refused))
    behind = tuple(
        r if r.rejected or r is best[0] else replace(r, rejected=f"AE {r.ae:.0f} is lower")
        for r, _ in ranked
    )
    return Selection(best[1], behind, tuple(refused))


class _Runner:
    """A candidate at work."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self._work, self._close = _open(candidate)
        self._taken_s: list[float] = []
        self._energy_j = self._energy_s = 0.0
        try:
            for _ in range(WARM_UP):
                self._work()
        except BaseException:
            self.close()
            raise

    def burst(self, meter: PowerMeter, seconds: float) -> None:
        """Work without a pause for a while, with the meter running."""
        with EnergyRecorder(meter, interval_s=min(0.2, seconds / 4)) as energy:
            end_s = perf_counter() + seconds
            while perf_counter() < end_s:
                start_s = perf_counter()
                self._work()
                self._taken_s.append(perf_counter() - start_s)
        used = energy.summary()
        self._energy_j += used.energy_j
        self._energy_s += used.duration_s

    def result(self, meter: PowerMeter) -> Result:
        """Return the figures of all bursts."""
        gate = self.candidate.artifact.manifest.gate
        if gate is None or not self._taken_s or not self._energy_s:
            raise EdgePoseError(f"{self.candidate.name}: nothing was measured")
        p50, p95 = np.percentile(np.array(self._taken_s) * 1e3, (50, 95))
        fps = len(self._taken_s) / sum(self._taken_s)
        accuracy = gate.stated.artifact_accuracy
        watts = self._energy_j / self._energy_s
        return Result(
            candidate=self.candidate.name,
            accuracy=accuracy,
            p50_ms=float(p50),
            p95_ms=float(p95),
            fps=fps,
            watts=watts,
            power=meter.source,
            ae=accuracy * fps / watts if watts > 0 else 0.0,
        )

    def close(self) -> None:
        """Release the runtime."""
        self._close()


def _open(candidate: Candidate) -> tuple[Work, Callable[[], None]]:
    """Return what a candidate does with one picture, from pixels to result, and its end.

    Raises:
        BackendError: the runtime or the device is not here.
    """
    artifact = candidate.artifact
    options: dict[str, Any] = {
        "backend": candidate.backend,
        "device": candidate.device,
        "threads": candidate.threads,
        "strict": True,
    }
    width, height = PICTURE
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if artifact.manifest.task == "detector":
        detector = load_detector(artifact, **options)
        return (lambda: detector(image)), detector.close
    estimator = load(artifact, **options)
    if artifact.manifest.task == "bottom_up":
        return (lambda: estimator.search(image)), estimator.close
    center = ((width - 1) / 2, (height - 1) / 2)
    person = fit_region(center, (height / 2, height / 2), estimator.input_size)
    return (lambda: estimator.estimate(image, person)), estimator.close
