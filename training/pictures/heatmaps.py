"""What a network thinks where each joint of one person is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_pose.types import FloatArray, Image
from training.pictures.people import OUTLINE, TRUTH
from training.pictures.sheets import TILE_PX, sheet
from training.pictures.style import PictureError

COLUMNS = 4
DIMMED = 0.6  # of the crop's brightness, so that the map stands out
NOTE = "Each map is scaled to its own peak; the cross is the decoded position."


def heatmap_sheet(
    crop: Image,
    heatmaps: FloatArray,
    names: Sequence[str],
    out: Path,
    *,
    kind: str = "logits",
    found: FloatArray | None = None,
    title: str = "",
) -> Path:
    """Draw one map per joint over the crop; each is scaled to its own peak.

    Args:
        crop: (h, w, 3) uint8 BGR, the network's input.
        heatmaps: (K, H, W) of one person.
        names: of the K joints.
        out: file to write.
        kind: "logits" (drawn as probabilities) or "gaussian".
        found: (K, 2) decoded positions in px of the crop, marked by a cross.
        title: of the picture.

    Raises:
        PictureError: there is another number of names than of maps, or the file cannot be written.
    """
    if len(names) != len(heatmaps):
        raise PictureError(f"{out}: found {len(names)} names for {len(heatmaps)} heatmaps")
    zoom = TILE_PX / crop.shape[1]
    size = (TILE_PX, round(crop.shape[0] * zoom))
    gray = cv2.cvtColor(cv2.resize(crop, size), cv2.COLOR_BGR2GRAY)
    dimmed = DIMMED * gray[:, :, None].astype(np.float32)
    tiles, captions = [], []
    for number, name in enumerate(names):
        chance = probability(heatmaps[number], kind)
        peak = float(chance.max())
        tile = _over(dimmed, chance / max(peak, 1e-9))
        if found is not None:
            # The centre of px (0, 0) lies half a px inside of the picture.
            x, y = (np.clip(found[number], -1e4, 1e4) + 0.5) * zoom - 0.5
            for colour, thickness in ((OUTLINE, 4), (TRUTH, 2)):
                at = (round(float(x)), round(float(y)))
                cv2.drawMarker(tile, at, colour, cv2.MARKER_CROSS, 13, thickness)
        tiles.append(tile)
        captions.append(f"{name.replace('_', ' ')}: peak {peak:.2g}")
    return sheet(tiles, captions, out, title=title, note=NOTE, columns=COLUMNS)


def probability(heatmap: FloatArray, kind: str) -> FloatArray:
    """Return an (H, W) map that is not negative: logits as probabilities that sum to one."""
    if kind != "logits":
        return np.maximum(heatmap, 0)
    mass = np.exp(heatmap - heatmap.max())
    chance: FloatArray = mass / mass.sum()
    return chance


def _over(dimmed: FloatArray, share: FloatArray) -> Image:
    """Lay a map in [0, 1] over a picture (h, w, 1), as colours from black to yellow."""
    large = cv2.resize(share, (dimmed.shape[1], dimmed.shape[0])).clip(0, 1)
    glow = cv2.applyColorMap((large * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = np.minimum(1.3 * large, 0.9)[:, :, None]
    return np.asarray(dimmed * (1 - opacity) + glow * opacity, np.float32).astype(np.uint8)
