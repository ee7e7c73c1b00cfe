"""The overview as a table, for a README or a comment."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.device_files import Named
from benchmarks.markdown import escape, markdown_table
from benchmarks.overview import HEAD, accuracy_text, note, overview


def export(results: Sequence[Named]) -> str:
    """Return a table with one row per result, and what must be known to read it."""
    lines = overview(results)
    rows = [(line.cells[0] + " (INVALID)" * bool(line.invalid), *line.cells[1:]) for line in lines]
    notes = [note(results)]
    for accuracy in dict.fromkeys(accuracy_text(one.result) for one in results):
        names = [one.name for one in results if accuracy_text(one.result) == accuracy]
        notes.append(f"{', '.join(names)}: {accuracy}.")
    if any(line.estimated for line in lines):
        notes.append("Estimated power is no measurement: it compares on one machine only.")
    for line in lines:
        notes += [f"{line.cells[0]} is INVALID: {reason}." for reason in line.invalid]
    listed = "\n".join(f"- {escape(text)}" for text in notes)
    return f"{markdown_table(HEAD, rows)}\n\n{listed}\n"
