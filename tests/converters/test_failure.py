from __future__ import annotations

from converters.failure import MAX_LENGTH, reason


def test_the_innermost_cause_in_one_line() -> None:
    inner = ValueError("\n  \x1b[96mno operator\x1b[0m 'j0'\nmore of it")
    outer = RuntimeError("Failed. Next steps: read these pages")
    outer.__cause__ = TypeError("in between")
    outer.__cause__.__cause__ = inner
    assert reason(outer) == "no operator 'j0'"
    assert reason(RuntimeError("alone")) == "alone"


def test_exceptions_that_say_nothing_or_too_much() -> None:
    assert reason(MemoryError()) == "MemoryError"
    long = reason(RuntimeError("x" * 1000))
    assert (len(long), long[-1]) == (MAX_LENGTH, "…")
