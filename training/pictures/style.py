"""What all pictures have in common: colours, figures, where they are written.

Colours are Okabe and Ito's, which people with any colour weakness tell apart; a difference that
matters is shown by shape or place, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_pose.errors import EdgePoseError

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GRAY = "#777777"
LINES = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
DPI = 110


class PictureError(EdgePoseError):
    """A picture cannot be drawn or written."""


def new_figure(width_in: float, height_in: float, *, arrange: bool = True) -> Any:  # noqa: ANN401 - matplotlib has no types
    """Return a matplotlib figure that needs no screen; its parts arrange themselves or not."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained" if arrange else None)
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Any) -> None:  # noqa: ANN401
    """Leave the left and the lower line and a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Any, out: Path) -> Path:  # noqa: ANN401
    """Write a figure, in the format that the name of the file ends in; returns `out`.

    Raises:
        PictureError: the file cannot be written, or there is no such format.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=DPI)
    except OSError as error:
        raise PictureError(f"{out}: cannot be written: {error.strerror}") from None
    except ValueError as error:
        raise PictureError(f"{out}: {str(error).splitlines()[0]}") from None
    return out
