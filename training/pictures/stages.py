"""Intermediate stages beside the final one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.pictures.predictions import Predictions
from training.pictures.sheets import LEGEND, TILE_PX, prediction_tile, right_of, sheet
from training.pictures.style import PictureError


def stage_sheet(
    predictions: Predictions, order: Sequence[int], threshold: float, out: Path, *, metric: str
) -> Path:
    """Draw a row per person and a column per stage; the title has every stage's accuracy.

    Args:
        predictions: of a network with at least two stages.
        order: which people.
        threshold: of the metric, units; joints beyond it are marked.
        out: file to write.
        metric: its name.

    Raises:
        PictureError: there is one stage or nobody, or the file cannot be written.
    """
    count = len(predictions.stages)
    if count < 2 or not order:
        raise PictureError(f"{out}: found {count} stages, {len(order)} people: nothing to compare")
    cells = [(number, stage) for number in order for stage in range(count)]
    tiles = [prediction_tile(predictions, n, s, threshold, TILE_PX) for n, s in cells]
    captions = [
        f"{predictions.persons[n].index}, stage {s + 1}{' (final)' if s == count - 1 else ''}:"
        f" {right_of(predictions, n, s, threshold)} right"
        for n, s in cells
    ]
    accuracy = " → ".join(f"{result.mean14:.1f}" for result in predictions.results)
    title = f"{metric} stage by stage: {accuracy} % ({len(predictions.persons)} people)"
    return sheet(tiles, captions, out, title=title, note=LEGEND, columns=count)
