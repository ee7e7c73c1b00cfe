"""What every power meter offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from edge_pose.errors import PowerError

PowerSource: TypeAlias = Literal["measured", "estimated"]
Scope: TypeAlias = Literal["wall", "battery", "board", "package", "gpu"]
"""What is in a figure, from the whole device with its power supply to one chip of it."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How wrong one reading may be, as far as the maker of the sensor says.

    Attributes:
        relative: largest error as a fraction of the reading; None where nobody states it.
        offset_w: largest error at no load, W.
        resolution_w: step between two readings that differ, W.
        update_s: longest time between two new values of the sensor, seconds.
    """

    relative: float | None = None
    offset_w: float = 0.0
    resolution_w: float = 0.0
    update_s: float = 0.0


class MeterSetupError(PowerError):
    """The meter is there, and something must be set right before it can be used."""


class PowerMeter(Protocol):
    """Reads electrical power. Meters derive from it, for the values that most of them share.

    Attributes:
        name: registry name, for example "estimate".
        source: "measured" or "estimated"; every figure derived from the meter carries it.
        detail: one line that says what is read, for example a rail's name or the profile's figures.
        scope: what is in the figure.
        accuracy: of one reading.
        averages: True where a reading is the mean since the previous one, False where it is the
            power of the moment.
        min_window_s: shortest time that such a mean is worth something for; `read_w` waits for it.
        rails_w: W of each part at the latest reading, where the meter tells them apart. They need
            not add up to the total: one may be a part of another.
        counted_j: J since the meter was opened, as of the latest reading; None where it does not
            count energy.
        throttled: why the measured chip holds its clock back, as of the latest reading.
    """

    name: str
    source: PowerSource = "measured"
    detail: str
    scope: Scope = "board"
    accuracy: Accuracy = Accuracy()
    averages: bool = False
    min_window_s: float = 0.0
    rails_w: Mapping[str, float] = MappingProxyType({})
    counted_j: float | None = None
    throttled: tuple[str, ...] = ()

    def read_w(self) -> float:
        """Return the power in W, averaged since the previous call where the meter can.

        Raises:
            PowerError: the meter vanished.
        """
        ...

    def read_at_once_w(self) -> float:
        """Return the same without waiting, for the end of a run: what follows is not part of it.

        Raises:
            PowerError: the meter vanished.
        """
        return self.read_w()

    def close(self) -> None:
        """Release the meter; nothing to do where every reading opens and closes its files."""
        return
