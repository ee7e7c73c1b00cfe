"""One-Euro filter: little lag when a joint moves fast, little jitter when it rests.

Casiez, Roussel, Vogel: "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_pose.config import SmoothingConfig
from edge_pose.types import FloatArray, Pose

NOMINAL_STEP_S = 1 / 30
FORGET_AFTER_S = 2.0


class OneEuroFilter:
    """Filters (K, 2) keypoints, each coordinate on its own.

    Args:
        min_cutoff_hz: cutoff frequency at rest, Hz, above 0; lower means steadier.
        beta: how fast the cutoff rises with speed, Hz per (px/s); higher means less lag.
        derivative_cutoff_hz: cutoff frequency of the speed estimate, Hz.
    """

    def __init__(
        self, min_cutoff_hz: float, beta: float, derivative_cutoff_hz: float = 1.0
    ) -> None:
        self.min_cutoff_hz = min_cutoff_hz
        self.beta = beta
        self.derivative_cutoff_hz = derivative_cutoff_hz
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next keypoints come out unchanged."""
        self._position: NDArray[np.float64] | None = None

    def __call__(
        self, keypoints: FloatArray, time_s: float, valid: NDArray[np.bool_] | None = None
    ) -> FloatArray:
        """Return the filtered keypoints.

        Args:
            keypoints: (K, 2) px.
            time_s: their time, seconds. Where it does not advance (a repeated time stamp, a clip
                that starts again) the last step is taken once more.
            valid: (K,) which of them to trust. The others come out unchanged and leave the filter
                as it was, as do keypoints that are not finite.

        Returns:
            (K, 2) float32 px.
        """
        raw = np.asarray(keypoints, np.float64)
        fed: NDArray[np.bool_] = np.all(np.isfinite(raw), axis=1)
        if valid is not None:
            fed &= valid
        if self._position is None or self._position.shape != raw.shape:
            self._start(raw.shape)
        assert self._position is not None  # noqa: S101 - set by _start
        step_s = time_s - self._time_s
        step_s = np.where(
            step_s > 0, step_s, self._step_s
        )  # NaN before the first: comparison fails
        known = fed & np.isfinite(self._time_s)
        start = fed & ~known

        dt = step_s[known, None]
        before = self._position[known]
        speed = _low_pass(
            (raw[known] - before) / dt, self._speed[known], dt, self.derivative_cutoff_hz
        )
        cutoff_hz = self.min_cutoff_hz + self.beta * np.abs(speed)
        self._position[known] = _low_pass(raw[known], before, dt, cutoff_hz)
        self._speed[known] = speed
        self._step_s[known] = step_s[known]
        self._position[start] = raw[start]
        self._speed[start] = 0.0
        self._time_s[fed] = time_s
        return np.where(fed[:, None], self._position, raw).astype(np.float32)

    def _start(self, shape: tuple[int, ...]) -> None:
        self._position = np.zeros(shape)
        self._speed = np.zeros(shape)
        self._time_s = np.full(shape[0], np.nan)
        self._step_s = np.full(shape[0], NOMINAL_STEP_S)


def _low_pass(
    new: NDArray[np.float64],
    old: NDArray[np.float64],
    dt_s: NDArray[np.float64],
    cutoff_hz: NDArray[np.float64] | float,
) -> NDArray[np.float64]:
    """Blend new over old with the smoothing factor of the cutoff: α = 1 / (1 + τ/dt)."""
    alpha = 1.0 / (1.0 + 1.0 / (2.0 * np.pi * cutoff_hz * dt_s))
    blended: NDArray[np.float64] = alpha * new + (1.0 - alpha) * old
    return blended


@dataclass(slots=True)
class _Person:
    filter: OneEuroFilter
    seen_s: float


class KeypointSmoother:
    """Smooths each followed person with a filter of its own.

    Args:
        config: cutoff and speed coefficient; when not enabled, poses pass unchanged.
        min_score: keypoints below this score pass unchanged and do not feed the filter.
    """

    def __init__(self, config: SmoothingConfig, min_score: float = 0.3) -> None:
        self._config = config
        self._min_score = min_score
        self._people: dict[int, _Person] = {}

    def __call__(self, pose: Pose, time_s: float) -> Pose:
        """Return the pose with smoothed keypoints and a box to match.

        Args:
            pose: passes unchanged where it has no id: nothing says whom to compare it with.
            time_s: time of its frame, seconds (`Frame.time_s`).
        """
        self._forget(time_s)
        if not self._config.enabled or pose.id is None:
            return pose
        person = self._people.get(pose.id)
        if person is None:
            euro = OneEuroFilter(self._config.min_cutoff_hz, self._config.beta)
            person = self._people[pose.id] = _Person(euro, time_s)
        person.seen_s = time_s
        valid = pose.scores >= self._min_score
        keypoints = person.filter(pose.keypoints, time_s, valid)
        if not valid.any():
            return replace(pose, keypoints=keypoints)
        trusted = keypoints[valid]
        box = np.concatenate([trusted.min(axis=0), trusted.max(axis=0)]).astype(np.float32)
        return replace(pose, keypoints=keypoints, bbox_xyxy=box)

    def _forget(self, time_s: float) -> None:
        # A jump back (a clip that starts again) ends a sequence just as a long absence does.
        for key in [k for k, p in self._people.items() if abs(time_s - p.seen_s) > FORGET_AFTER_S]:
            del self._people[key]
