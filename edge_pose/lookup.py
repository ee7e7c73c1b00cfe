"""Look a name up in a table, with a suggestion when it is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from edge_pose.errors import UsageError

T = TypeVar("T")


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the nearest allowed name, else an empty string."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else ""


def lookup(table: Mapping[str, T], name: str, what: str) -> T:
    """Return `table[name]`.

    Raises:
        UsageError: the name is not in the table; the message lists what is.
    """
    try:
        return table[name]
    except KeyError:
        allowed = ", ".join(sorted(table))
        message = f"{what} '{name}': unknown{suggestion(name, table)} (known: {allowed})"
        raise UsageError(message) from None
