"""What to try when a conversion fails its gate.

The cheapest first: another way to find number ranges, more calibration pictures, then the layers
that suffer most in float, by measurement. What still fails falls back to fp16 where the device
runs that, and says so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from converters import CONVERTERS
from converters.base import Options
from converters.export_graph import Fold
from converters.gates import LIMITS, verdict
from converters.gates.maps import off_by
from converters.job import Job
from converters.settings import Settings
from edge_pose.artifact import Artifact
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Attempt, Gate

log = logging.getLogger(__name__)

MORE_IMAGES = (2, 4)
FLOAT_LAYERS = (1, 2, 4, 8, 16)
MAX_FLOAT_SHARE = 0.5  # of the layers: with more of them in float there is little left to gain
FALLBACK = {"int8": "fp16", "dynamic_int8": "fp16"}


class GateError(EdgePoseError):
    """No try passed the gate; `attempts` says what was tried."""

    def __init__(self, message: str, attempts: tuple[Attempt, ...]) -> None:
        super().__init__(message)
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to convert.

    Attributes:
        precision: of the result.
        method: how number ranges are found; empty: the converter's first.
        n_images: calibration pictures; 0 where none are needed.
        float_layers: layers that stay float.
    """

    precision: str
    method: str = ""
    n_images: int = 0
    float_layers: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [self.precision, self.method]
        parts += [f"{self.n_images} images"] if self.n_images else []
        layers = len(self.float_layers)
        parts += [f"{layers} float layer{'s' * (layers > 1)}"] if layers else []
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Trial:
    """A rung that was tried.

    Attributes:
        rung: how, with the method that the converter chose where the choice was its own.
        artifact: what came out, in no folder yet.
        gate: its report.
    """

    rung: Rung
    artifact: Artifact
    gate: Gate

    @property
    def row(self) -> Attempt:
        """For the manifest."""
        file, calibration = self.artifact.manifest.file, self.artifact.manifest.calibration
        return Attempt(
            precision=file.precision,
            method=calibration.method if calibration else "",
            n_images=calibration.n_images if calibration else 0,
            float_layers=len(calibration.float_layers) if calibration else 0,
            size_bytes=file.total_bytes,
            artifact_accuracy=self.gate.artifact_accuracy,
            drift_p95_px=self.gate.drift_p95_px,
            argmax_agreement=self.gate.argmax_agreement,
            passed=self.gate.passed,
        )

    def tell(self) -> None:
        """Log how it failed."""
        log.info("%s: %s", replace(self.rung, n_images=self.row.n_images), verdict(self.gate))

    @property
    def miss(self) -> float:
        """The worst measure as a share of its limit: what passes is not above 1.

        Infinite for outputs that mean nothing: no other figure of theirs counts.
        """
        gate = self.gate
        if gate.broken:
            return math.inf
        shares = [
            _share(gate.checkpoint_accuracy - gate.artifact_accuracy, gate.limit_points),
            _share(gate.drift_p95_px, gate.limit_drift_px),
            _share(gate.drift_p50_px, gate.limit_median_px),
            _short(gate.argmax_agreement, gate.min_agreement),
            _share(gate.score_drift_p95, gate.limit_score_drift),
            _short(gate.same_side, gate.min_same_side),
            _short(gate.map_correlation, gate.min_correlation),
            _share(gate.lost_people, gate.limit_people),
            _share(gate.invented_people, gate.limit_people),
            _share(gate.map_offset, gate.max_offset),
            *(_short(share, gate.min_joint_agreement) for share in gate.joint_agreement.values()),
        ]
        if gate.map_gain is not None and gate.max_gain is not None:
            shares.append(math.log(off_by(gate.map_gain)) / math.log(gate.max_gain))
        return max(share if math.isfinite(share) else math.inf for share in shares)


def _share(value: float | None, limit: float | None) -> float:
    """Return a value as a share of its limit; 0 where there is no limit."""
    tight = 1e-6  # stands for limits of zero
    return 0.0 if value is None or limit is None else value / max(limit, tight)


def _short(value: float | None, lowest: float | None) -> float:
    """Return what a value lacks to 1, as a share of what it may lack."""
    return 0.0 if value is None or lowest is None else _share(1 - value, 1 - lowest)


def climb(job: Job, settings: Settings) -> Artifact:
    """Convert until something passes the gate.

    Returns:
        The first artifact that passes, in no folder yet; with `settings.force` the best one if
        none does. Its manifest lists all attempts.

    Raises:
        GateError: none passed.
        EdgePoseError: the first way cannot be converted or run at all.
    """
    return _climbed(job, settings).result()


def best_try(job: Job, settings: Settings) -> Artifact:
    """Return the first artifact that passes the gate, or the best one, in no folder yet.

    Raises:
        EdgePoseError: the first way cannot be converted or run at all.
    """
    return _climbed(job, settings).artifact


def _climbed(job: Job, settings: Settings) -> Ladder:
    ladder = Ladder(job, settings, attempt(job, settings, first_rung(settings)))
    ladder.climb()
    return ladder


class Ladder:
    """The tries of one conversion.

    Attributes:
        best: the try that passed, or came nearest to it.
        attempts: what was tried so far, for the manifest.

    Args:
        job: the checkpoint.
        settings: what is wanted.
        first: the first try, which failed its gate or not.
    """

    def __init__(self, job: Job, settings: Settings, first: Trial) -> None:
        self.best = first
        self.attempts = [first.row]
        self._job, self._settings = job, settings

    def climb(self) -> None:
        """Try everything else until something passes, where `settings.ladder` allows it."""
        if self.best.gate.passed or not self._settings.ladder:
            return
        self.best.tell()
        for rung in self._rungs():
            try:
                trial = attempt(self._job, self._settings, rung)
            except EdgePoseError as error:
                log.warning("%s: left out: %s", rung, error)
                continue
            self.attempts.append(trial.row)
            if trial.gate.passed or trial.miss < self.best.miss:
                self.best = trial
            if trial.gate.passed:
                return
            trial.tell()

    def _rungs(self) -> Iterator[Rung]:
        """Yield what to try next; each step goes on from the best try so far."""
        settings = self._settings
        if settings.entry.calibrated:
            module = settings.entry.load_module()
            # The converter passes over methods that find no ranges: not always its first was tried.
            tried = {row.method for row in self.attempts}
            for method in module.METHODS[1:]:
                if method not in tried:
                    yield replace(self.best.rung, method=method)
            yield from self._more_images()
            yield from self._mixed(module.rank_layers)
        if (fallback := fallback_precision(settings)) is not None:
            yield Rung(fallback)

    def _more_images(self) -> Iterator[Rung]:
        """As far as there are any."""
        asked = last = self._settings.n_images
        for factor in MORE_IMAGES:
            count = min(factor * asked, self._job.n_calibration)
            if count > last:
                yield replace(self.best.rung, n_images=count)
                last = count

    def _mixed(self, rank_layers: Callable[..., tuple[str, ...]]) -> Iterator[Rung]:
        """Keep the one, two, four … most sensitive layers float."""
        job, rung = self._job, self.best.rung
        job.steps(f"ranking the layers of {job.info.model} by what their integers cost")
        calibration = job.calibration(rung.n_images)
        try:
            layers = rank_layers(
                job.model,
                job.info,
                calibration,
                convert_options(self._settings, rung),
                job.steps.tick,
            )
        except EdgePoseError as error:
            log.warning("mixed precision: left out: %s", error)
            return
        for count in FLOAT_LAYERS:
            if count <= MAX_FLOAT_SHARE * len(layers):
                yield replace(rung, float_layers=tuple(layers[:count]))

    @property
    def artifact(self) -> Artifact:
        """The best one, with all attempts in its manifest."""
        artifact = self.best.artifact
        manifest = artifact.manifest.model_copy(update={"attempts": tuple(self.attempts)})
        return replace(artifact, manifest=manifest)

    def result(self) -> Artifact:
        """Return the best artifact, which passed or is written by force.

        Raises:
            GateError: it did not pass, and `settings.force` is not set.
        """
        artifact, gate, wanted = self.artifact, self.best.gate, self._settings.precision
        name, found = artifact.manifest.name, artifact.manifest.file.precision
        rows, says = artifact.manifest.attempts, verdict(gate)
        if not gate.passed and not self._settings.force:
            tries = f"none of {len(rows)} tries passed, the best: " if len(rows) > 1 else ""
            why = _no_fallback(self._settings)
            raise GateError(f"{name}: {tries}{says}{why}; nothing was written", rows)
        if found != wanted:
            log.warning("%s: no %s passes the gate, fell back to %s", name, wanted, found)
        if gate.passed:
            log.info("%s", says)
        else:
            log.warning("%s: written all the same; it needs --trust-ungated to run", says)
        return artifact


def fallback_precision(settings: Settings) -> str | None:
    """Return what is tried last: another precision that the device runs; None: there is none."""
    fallback = FALLBACK.get(settings.precision, "")
    there = settings.ladder and settings.fall_back and (settings.format, fallback) in CONVERTERS
    return fallback if there and settings.can_run(fallback) else None


def _no_fallback(settings: Settings) -> str:
    fallback = FALLBACK.get(settings.precision)
    if fallback is None or not settings.ladder or settings.can_run(fallback):
        return ""
    return f"; no {fallback} instead, the device computes in {', '.join(settings.precisions)}"


def first_rung(settings: Settings) -> Rung:
    """Return what is tried first.

    Raises:
        UsageError: there is no converter for these settings.
    """
    return Rung(settings.precision, n_images=settings.n_images if settings.entry.calibrated else 0)


def attempt(job: Job, settings: Settings, rung: Rung) -> Trial:
    """Convert in one way and measure.

    Raises:
        EdgePoseError: it cannot be converted or run.
    """
    limits = replace(LIMITS[rung.precision], drift_heatmap_px=settings.limit_drift_px)
    if settings.limit_points is not None:
        limits = replace(limits, points=settings.limit_points)
    artifact, gate = job.convert(
        (settings.format, rung.precision),
        convert_options(settings, rung),
        rung.n_images,
        limits,
    )
    if (calibration := artifact.manifest.calibration) is not None and not rung.method:
        rung = replace(rung, method=calibration.method)
    return Trial(rung, artifact, gate)


def convert_options(settings: Settings, rung: Rung) -> Options:
    """Return what a converter is told."""
    return Options(
        fold=Fold(settings.fold_pixels, settings.fold_decoder),
        arch=settings.arch,
        method=rung.method,
        float_layers=rung.float_layers,
        integer_io=settings.integer_io,
    )
