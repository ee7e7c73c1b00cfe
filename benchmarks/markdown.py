"""Tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"[\\`*\[\]<>|~]|(?<!\w)_|_(?!\w)")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the first column is words, the others are to the right."""
    lines = [[escape(cell) for cell in head], ["---", *("---:" for _ in head[1:])]]
    escaped = ([escape(cell) for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (*lines, *escaped))


def escape(text: str) -> str:
    """Return plain text as Markdown that shows it as it is, on one line."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
