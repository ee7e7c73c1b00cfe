from __future__ import annotations

import io

import pytest
from rich.console import Console

from converters.terminal import progress


def test_a_terminal_shows_a_bar_and_a_file_a_line_per_step(
    caplog: pytest.LogCaptureFixture,
) -> None:
    terminal, file = io.StringIO(), io.StringIO()
    with progress(Console(file=terminal, force_terminal=True, width=100)) as steps:
        steps.overall(3, 4)
        steps("measuring x")
        steps.tick(120, 543)
    last = terminal.getvalue().rpartition("\x1b[?25h")[0].splitlines()[-2:]
    assert "in all" in last[0]
    assert "3 of 4" in last[0]
    assert "measuring x" in last[1]
    assert "120 of 543" in last[1]
    assert all("━━━━" in line for line in last)
    with caplog.at_level("INFO"), progress(Console(file=file)) as steps:
        steps.overall(3, 4)
        steps("converting x")
        steps.tick(3, 4)
    assert (caplog.messages, file.getvalue()) == (["converting x"], "")


def test_a_bar_is_there_only_while_something_is_counted() -> None:
    terminal = io.StringIO()
    with progress(Console(file=terminal, force_terminal=True, width=100)) as steps:
        steps.overall(0, 1)  # a single piece of work is no news
        steps("measuring x")
        steps.tick(543, 543)
        steps("measuring y")
        steps.tick(1, 2)
        steps("writing y")
    last = terminal.getvalue().rpartition("\x1b[?25h")[0].splitlines()[-1]
    assert "writing y" in last
    assert "━" not in last
    assert "in all" not in terminal.getvalue()
