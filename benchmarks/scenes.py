"""Clips with a chosen number of people in them, put together from a clip with one.

People walk in cells of a grid that is the same for every number of them, so that only the number
changes, and neither the size of the picture nor that of a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge_pose.config import RunConfig
from edge_pose.errors import PublisherError, SourceError
from edge_pose.preprocess import Region, crop, region_affine
from edge_pose.session import stream
from edge_pose.types import FrameResult, Image

CUT_OUT_PX = 360
CUT_OUT_PADDING = 1.5  # cell side over the person's longer side
LONGEST = 200  # frames of the original that are looked at
APART = 7  # frames of the original between two neighbours, so that they are not in step
FRAME_RATE_HZ = 25.0


def cut_out_person(config: RunConfig) -> list[Image]:
    """Return squares around the person of a clip, as the artifact itself finds him.

    Args:
        config: source and model; the clip should show one person.

    Raises:
        SourceError: nobody is found.
        EdgePoseError: the clip or the artifact cannot be opened.
    """
    results = stream(config.source, model=config.model, trust_ungated=config.trust_ungated)
    seen = [result for result in islice(results, LONGEST) if result.poses]
    if not seen:
        raise SourceError(f"{config.source}: nobody found, scenes are made of people")
    boxes = np.array([result.poses[0].bbox_xyxy for result in seen])
    # One size for all, or the person would breathe with the box.
    side = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1))) * CUT_OUT_PADDING
    return [_cut_out(result, side) for result in seen]


def _cut_out(result: FrameResult, side: float) -> Image:
    x1, y1, x2, y2 = (float(v) for v in result.poses[0].bbox_xyxy)
    size = (CUT_OUT_PX, CUT_OUT_PX)
    region = Region(((x1 + x2) / 2, (y1 + y2) / 2), (side, side))
    return crop(result.frame.image, region_affine(region, size), size)


def write_scene(
    file: Path,
    cut_outs: Sequence[Image],
    people: int,
    most_people: int,
    size: tuple[int, int],
    frames: int,
) -> None:
    """Write a clip.

    Args:
        file: to be written, .mp4.
        cut_outs: of one person, from frame to frame.
        people: in the clip.
        most_people: that there is room for.
        size: width and height of the picture, px.
        frames: length.

    Raises:
        PublisherError: it cannot be written.
    """
    fourcc = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, fourcc, FRAME_RATE_HZ, size)
    if not writer.isOpened():
        raise PublisherError(f"{file}: cannot be written as a video of {size[0]}x{size[1]} px")
    try:
        for picture in _pictures(cut_outs, people, most_people, size, frames):
            writer.write(picture)
    finally:
        writer.release()


def _pictures(
    cut_outs: Sequence[Image], people: int, most_people: int, size: tuple[int, int], frames: int
) -> Iterator[Image]:
    width, height = size
    cells = grid(most_people, size)[:people]
    side = cells[0][2] if cells else 1
    scaled = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in cut_outs]
    edges = np.concatenate([one[0] for one in cut_outs])
    floor = np.median(edges, axis=0).astype(np.uint8)
    for frame in range(frames):
        picture = np.full((height, width, 3), floor, np.uint8)
        for number, (x, y, _) in enumerate(cells):
            picture[y : y + side, x : x + side] = scaled[to_and_fro(frame + APART * number, scaled)]
        yield picture


def to_and_fro(step: int, items: Sequence[object]) -> int:
    """Return the index of a step on a walk from the first to the last and back: nobody jumps."""
    last = len(items) - 1
    return last - abs(step % (2 * last) - last) if last else 0


def grid(most_people: int, size: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Return x, y and side in px of a square for each person, the most central ones first."""
    width, height = size
    columns = math.ceil(math.sqrt(most_people * width / height))
    rows = math.ceil(most_people / columns)
    wide, high = width // columns, height // rows
    side = min(wide, high)
    places = [
        (column * wide + (wide - side) // 2, row * high + (high - side) // 2, side)
        for row in range(rows)
        for column in range(columns)
    ]

    def off_center(place: tuple[int, int, int]) -> float:
        return math.hypot(place[0] + side / 2 - width / 2, place[1] + side / 2 - height / 2)

    return sorted(places, key=off_center)
