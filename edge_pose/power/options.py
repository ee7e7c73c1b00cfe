"""What follows a meter's name: `smart_plug:mqtt://host/topic,path=power,stale_s=30`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup


@dataclass(frozen=True, slots=True)
class Options:
    """A meter's options, taken apart.

    Attributes:
        meter: its name, for messages.
        first: what is in front of the settings: an address or a file.
        settings: key to value.
    """

    meter: str
    first: str
    settings: dict[str, str]

    def seconds(self, key: str, default_s: float) -> float:
        """Return a setting as seconds.

        Raises:
            UsageError: it is no number above 0.
        """
        text = self.settings.get(key)
        try:
            value_s = default_s if text is None else float(text)
        except ValueError:
            value_s = -1.0
        if not 0 < value_s < float("inf"):
            raise UsageError(f"{self.meter}: {key}={text}: expected seconds above 0")
        return value_s


def split_options(meter: str, options: str, keys: Collection[str]) -> Options:
    """Take "FIRST,KEY=VALUE,…" apart; commas before the first known key belong to FIRST.

    Raises:
        UsageError: an unknown key, or nothing in front of the settings.
    """
    first, *parts = options.split(",")
    while parts and "=" not in parts[0]:
        first += "," + parts.pop(0)
    settings = {}
    for part in parts:
        key, _, value = part.partition("=")
        settings[lookup({name: name for name in keys}, key.strip(), f"option of {meter}")] = value
    if not first:
        raise UsageError(f"{meter}: nothing in front of {','.join(parts) or 'the options'!r}")
    return Options(meter, first, settings)
