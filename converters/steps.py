"""How long work tells where it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

Say = Callable[[str], None]
"""Told what is done now, in a few words."""
Tick = Callable[[int, int], None]
"""Told how many of how many are done."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Whom to tell; called with what is done now.

    Attributes:
        say: told of each step.
        tick: counts within the step that was said last.
        overall: counts the larger pieces of work that steps belong to.
    """

    say: Say = log.info
    tick: Tick = silent
    overall: Tick = silent

    def __call__(self, text: str) -> None:
        """See `say`."""
        self.say(text)


LOGGED = Steps()
"""A log line per step, and nothing is counted."""
