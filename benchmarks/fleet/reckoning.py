"""What was lost and how long the rest took, from the moments of sending and arriving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Messages in the order in which they arrived.

    Attributes:
        devices: (M,) number of the device.
        frames: (M,) number of the frame.
        arrived_s: (M,) on the monotonic clock.
    """

    devices: NDArray[np.int64]
    frames: NDArray[np.int64]
    arrived_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The messages of the measured time.

    Attributes:
        due: that the schedule asked for.
        sent: of those.
        received: of those, each counted once.
        duplicates: received again.
        unknown: received, and never sent by this fleet.
        worst_device_lost: of one device.
        devices_with_loss: that lost at least one.
        delay_s: (received,) from sending to arrival, seconds.
        lateness_s: (sent,) from the moment that was due to the sending, seconds.
    """

    due: int
    sent: int
    received: int
    duplicates: int
    unknown: int
    worst_device_lost: int
    devices_with_loss: int
    delay_s: NDArray[np.float64]
    lateness_s: NDArray[np.float64]

    @property
    def unsent(self) -> int:
        """The fleet itself did not get rid of them in time."""
        return self.due - self.sent

    @property
    def lost(self) -> int:
        """Sent, and never received."""
        return self.sent - self.received


def reckon(
    due_s: NDArray[np.float64],
    sent_s: NDArray[np.float64],
    arrivals: Arrivals,
    warm_up_frames: int,
) -> Reckoning:
    """Compare what was sent with what arrived, frame number by frame number.

    Args:
        due_s: (devices, frames), on the monotonic clock.
        sent_s: the same shape, NaN where nothing was sent.
        arrivals: of all receivers.
        warm_up_frames: first frames of each device that do not count.
    """
    known = (arrivals.devices < len(due_s)) & (arrivals.frames < due_s.shape[1])
    devices, frames = arrivals.devices[known], arrivals.frames[known]
    first_s = np.full(due_s.shape, np.inf)
    np.minimum.at(first_s, (devices, frames), arrivals.arrived_s[known])
    counted = frames >= warm_up_frames
    due_s, sent_s, first_s = (v[:, warm_up_frames:] for v in (due_s, sent_s, first_s))
    sent, arrived = ~np.isnan(sent_s), np.isfinite(first_s)
    both = sent & arrived
    lost = (sent & ~arrived).sum(axis=1)
    return Reckoning(
        due=due_s.size,
        sent=int(sent.sum()),
        received=int(both.sum()),
        duplicates=int(counted.sum()) - int(arrived.sum()),
        unknown=int((~known).sum()) + int((arrived & ~sent).sum()),
        worst_device_lost=int(lost.max()),
        devices_with_loss=int((lost > 0).sum()),
        delay_s=(first_s - sent_s)[both],
        lateness_s=(sent_s - due_s)[sent],
    )


def percentiles_ms(values_s: NDArray[np.float64]) -> dict[str, float] | None:
    """Return p50, p95, p99 and max in ms; None where there is no value."""
    if not values_s.size:
        return None
    found = np.percentile(values_s, PERCENTILES) * 1e3
    named = {f"p{p}": float(v) for p, v in zip(PERCENTILES, found, strict=True)}
    return {**named, "max": float(values_s.max()) * 1e3}
