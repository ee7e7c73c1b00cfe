"""What every power meter offers."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

PowerSource: TypeAlias = Literal["measured", "estimated"]


class PowerMeter(Protocol):
    """Reads electrical power.

    Attributes:
        name: registry name, for example "estimate".
        source: "measured" or "estimated"; every figure derived from the meter carries it.
        detail: one line that says what is read, for example a rail's name or the profile's figures.
        averages: True where a reading is the mean since the previous one, False where it is the
            power of the moment.
    """

    name: str
    source: PowerSource
    detail: str
    averages: bool

    def read_w(self) -> float:
        """Return the power in W, averaged since the previous call where the meter can.

        Raises:
            PowerError: the meter vanished.
        """
        ...

    def close(self) -> None:
        """Release the meter."""
        ...
