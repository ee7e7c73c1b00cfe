"""Pictures as <svg> elements of one page.

Colours are of matplotlib's tableau-colorblind10, those with a contrast of 3 : 1 to white for lines;
whatever matters is shown by shape, place, hatching or words, too.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_pose.errors import EdgePoseError

WIDTH_IN = 5.4  # so narrow that its 9 pt are still readable on a phone
MODE_COLOURS = {"offline": "#006BA4", "single_stream": "#C85200", "fixed_rate": "#595959"}
MODE_DASHES = {"offline": "-", "single_stream": "--", "fixed_rate": ":"}
MODE_MARKERS = {"offline": "o", "single_stream": "s", "fixed_rate": "^"}
INK, MUTED, GRID = "#1b1f24", "#57606a", "#d8dee4"
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.7,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "edge_pose",
    "text.color": INK,
    "text.parse_math": False,  # a $ in a name is a $
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure of the page.

    Attributes:
        key: unique on the page, a letter first.
        title: in a few words.
        caption: what is to be seen and how to read it.
        alt: what it shows, for those who cannot see it.
        svg: the <svg> element.
    """

    key: str
    title: str
    caption: str
    alt: str
    svg: str


def draw(
    key: str,
    height_in: float,
    title: str,
    caption: str,
    alt: str,
    paint: Callable[[Any], None],
) -> Picture:
    """Return a picture.

    Args:
        key: unique on the page.
        height_in: inches, beside WIDTH_IN.
        title: see Picture.
        caption: see Picture.
        alt: see Picture.
        paint: is given an empty matplotlib figure.

    Raises:
        EdgePoseError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise EdgePoseError(
            "report: matplotlib is not installed; pip install 'edge-pose[report]'"
        ) from None
    stream = io.StringIO()
    with rc_context(STYLE), warnings.catch_warnings():
        # The words are drawn by the browser: it has glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        paint(figure)
        undated = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", metadata=undated, transparent=True)
    return Picture(key, title, caption, alt, _element(stream.getvalue(), key))


def _element(document: str, key: str) -> str:
    """Return the <svg> element of a document, with identifiers that no other picture has."""
    text = document[document.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'^<svg ([^>]*?)width="[^"]*" height="[^"]*"|^(<svg)', r"<svg \1\2", text)
    text = re.sub(r'\bid="', f'id="{key}-', text)
    text = re.sub(r'href="#', f'href="#{key}-', text)
    return re.sub(r"url\(#", f"url(#{key}-", text)
