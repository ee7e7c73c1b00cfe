"""HTML pages that load nothing: text, figures as SVG, a table."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.pictures.style import PictureError

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 72em; margin: 2em auto;
  padding: 0 1em; }}
svg {{ width: 100%; height: auto; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.25em 0.8em; text-align: right; border-bottom: 1px solid #ddd; }}
th {{ border-bottom: 2px solid #222; vertical-align: bottom; }}
td.text {{ text-align: left; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
{figure}
<div class="table">
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
{notes}
</body>
</html>
"""


def page(
    title: str,
    summary: str,
    figure: Any,  # noqa: ANN401 - matplotlib has no types
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    notes: Sequence[str] = (),
) -> str:
    """Return a page with everything it needs inside.

    Args:
        title: plain text.
        summary: plain text.
        figure: a matplotlib figure.
        head: names of the columns.
        rows: of the table; numbers to the right, words to the left.
        notes: lines below the table, plain text.
    """
    lines = ("".join(_cell(value) for value in row) for row in rows)
    return PAGE.format(
        title=html.escape(title),
        summary=html.escape(summary),
        figure=svg(figure),
        head="".join(f"<th>{html.escape(name)}</th>" for name in head),
        rows="\n".join(f"<tr>{line}</tr>" for line in lines),
        notes="\n".join(f"<p>{html.escape(note)}</p>" for note in notes),
    )


def write_page(text: str, out: Path) -> Path:
    """Write a page; returns `out`.

    Raises:
        PictureError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8")
    except OSError as error:
        raise PictureError(f"{out}: cannot be written: {error.strerror}") from None
    return out


def _cell(value: object) -> str:
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    kind = ' class="text"' if isinstance(value, str) and not _is_number(value) else ""
    return f"<td{kind}>{html.escape(text)}</td>"


def _is_number(text: str) -> bool:
    try:
        float(text.removesuffix("%"))
    except ValueError:
        return not text
    return True


def svg(figure: Any) -> str:  # noqa: ANN401
    """Return a figure as an <svg> element whose words are text."""
    from matplotlib import rc_context

    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "edge_pose"}):
        figure.savefig(stream, format="svg", metadata=nothing)
    text = stream.getvalue()
    return text[text.index("<svg") :]
