"""What stands in for a power meter that is gone."""

from __future__ import annotations

from edge_pose.power import PowerMeter


class NoMeter(PowerMeter):
    """Has the name of the lost meter and reads 0 W, which nobody may take for a figure.

    Args:
        gone: the meter that was lost.
    """

    def __init__(self, gone: PowerMeter) -> None:
        self.name, self.source, self.scope, self.detail = (
            gone.name,
            gone.source,
            gone.scope,
            gone.detail,
        )

    def read_w(self) -> float:
        """Return 0.0."""
        return 0.0
