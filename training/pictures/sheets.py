"""Contact sheets: many people on one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_pose.preprocess import apply_affine
from edge_pose.skeleton import MPII16
from edge_pose.types import Image
from training.datasets.base import Person
from training.pictures.people import cut_out, draw_prediction, draw_truth, truth_tile
from training.pictures.predictions import Predictions, person_errors
from training.pictures.style import DPI, PictureError, new_figure, save

TILE_PX = 220
GAP_PX, CAPTION_PX, TITLE_PX, NOTE_PX = 8, 18, 34, 24
LEAST_WIDTH_PX = 820  # room for the title
COLUMNS = 6
LEGEND = (
    "Predicted: bold; left side orange, right side blue, middle yellow; ×: wrong."
    "  Annotated: thin, white."
)


def sheet(
    tiles: Sequence[Image],
    captions: Sequence[str],
    out: Path,
    *,
    title: str,
    note: str = "",
    columns: int = COLUMNS,
) -> Path:
    """Put (h, w, 3) BGR tiles of one size in rows, each with a line of text below it.

    Raises:
        PictureError: there is no tile, or the file cannot be written.
    """
    if not tiles:
        raise PictureError(f"{out}: nobody to draw")
    columns = min(columns, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    tile_h, tile_w = tiles[0].shape[:2]
    step_x, step_y = tile_w + GAP_PX, tile_h + CAPTION_PX + GAP_PX
    width = max(columns * step_x + GAP_PX, LEAST_WIDTH_PX)
    height = rows * step_y + TITLE_PX + (NOTE_PX if note else 0)
    left = (width - columns * step_x + GAP_PX) // 2
    canvas = np.full((height, width, 3), 255, np.uint8)
    # One picture and one set of axes: a set per tile takes seconds to lay out.
    figure = new_figure(width / DPI, height / DPI, arrange=False)
    axes = figure.add_axes((0, 0, 1, 1))
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        row, column = divmod(number, columns)
        x, y = left + column * step_x, TITLE_PX + row * step_y
        canvas[y : y + tile_h, x : x + tile_w] = tile
        axes.text(x + tile_w / 2, y + tile_h + 2, caption, fontsize=8, ha="center", va="top")
    axes.imshow(cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB), interpolation="none", aspect="auto")
    axes.set_axis_off()
    middle = width / 2
    axes.text(middle, TITLE_PX / 2, title, fontsize=11, weight="bold", ha="center", va="center")
    if note:
        axes.text(middle, height - NOTE_PX / 2, note, fontsize=8.5, ha="center", va="center")
    return save(figure, out)


def truth_sheet(persons: Sequence[Person], out: Path, *, title: str) -> Path:
    """Draw people with their annotated skeletons; captions are their numbers."""
    tiles = [truth_tile(person, TILE_PX, MPII16) for person in persons]
    captions = [f"{p.index}{' (held out)' if p.held_out else ''}" for p in persons]
    return sheet(tiles, captions, out, title=title)


def prediction_sheet(
    predictions: Predictions, order: Sequence[int], threshold: float, out: Path, *, title: str
) -> Path:
    """Draw the people numbered in `order`, with the predicted and the annotated skeleton.

    Args:
        predictions: of the network.
        order: which people, first to last.
        threshold: of the metric, units; joints beyond it are marked.
        out: file to write.
        title: of the sheet.
    """
    mean = person_errors(predictions.errors[-1])
    tiles = [prediction_tile(predictions, i, -1, threshold, TILE_PX) for i in order]
    captions = [
        f"{predictions.persons[i].index}: {right_of(predictions, i, -1, threshold)}, {mean[i]:.2f}"
        for i in order
    ]
    title = f"{title} (number: joints right, mean error in units)"
    return sheet(tiles, captions, out, title=title, note=LEGEND)


def right_of(predictions: Predictions, number: int, stage: int, threshold: float) -> str:
    """Return "right/known" joints of person `number`."""
    error = predictions.errors[stage, number]
    known = error[np.isfinite(error)]
    return f"{(known <= threshold).sum()}/{len(known)}"


def prediction_tile(
    predictions: Predictions, number: int, stage: int, threshold: float, side_px: int
) -> Image:
    """Return the crop of person `number` with what `stage` found and what is annotated."""
    person = predictions.persons[number]
    image, matrix = cut_out(person, side_px)
    found = apply_affine(predictions.stages[stage, number], matrix)
    truth = apply_affine(person.keypoints, matrix)
    error = predictions.errors[stage, number]
    draw_prediction(image, found, np.isfinite(error), error > threshold, MPII16)
    draw_truth(image, truth, person.present, MPII16)
    return image
