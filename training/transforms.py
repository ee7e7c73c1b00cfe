"""Augmentation: where to look (geometry) and how it looks (colour), one seeded draw per sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edge_pose.preprocess import Region, fit_region
from edge_pose.types import FloatArray, Image
from training.datasets.base import Person

UPPER = (7, 8, 9, 10, 11, 12, 13, 14, 15)  # MPII indices from thorax to hands
LOWER = (0, 1, 2, 3, 4, 5, 6)


class AugmentConfig(BaseModel):
    """Strength of the augmentation; every `p_` is a probability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p_flip: float = Field(0.5, ge=0, le=1)
    p_rotate: float = Field(0.6, ge=0, le=1)
    rotate_deg: float = Field(30.0, ge=0, description="standard deviation; clipped at twice this")
    zoom: Literal["log2", "linear"] = Field("log2", description="what of the zoom is normal")
    scale_sigma: float = Field(0.2, ge=0, description="standard deviation of log2 zoom or zoom")
    scale_limit: float = Field(0.5, ge=0, description="largest |log2 zoom| or |zoom - 1|")
    shift: float = Field(0.08, ge=0, description="largest shift over the crop's side")
    p_far: float = Field(0.08, ge=0, le=1, description="person small in the crop, as in a search")
    far_limit: float = Field(2.6, ge=1, description="largest crop side over the ordinary one")
    p_half_body: float = Field(0.15, ge=0, le=1)
    p_background: float = Field(0.04, ge=0, le=1, description="crop without an annotated joint")
    color_gain: float = Field(0.2, ge=0, lt=1, description="of each channel by itself")
    brightness: float = Field(0.2, ge=0, lt=1, description="of all channels; shifts by 0.4 of it")
    p_gray: float = Field(0.05, ge=0, le=1)
    p_blur: float = Field(0.1, ge=0, le=1)
    p_cutout: float = Field(0.3, ge=0, le=1)


PLAIN = AugmentConfig(
    p_flip=0,
    p_rotate=0,
    scale_sigma=0,
    shift=0,
    p_far=0,
    p_half_body=0,
    p_background=0,
    color_gain=0,
    brightness=0,
    p_gray=0,
    p_blur=0,
    p_cutout=0,
)
"""No augmentation: every epoch sees the same crops."""


@dataclass(frozen=True, slots=True)
class View:
    """A drawn geometry: the region and whether it is mirrored."""

    region: Region
    mirror: bool


def draw_view(
    person: Person,
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    config: AugmentConfig,
    rng: np.random.Generator,
) -> View:
    """Draw the region to cut out of an image of `image_size` (w, h)."""
    mirror = bool(rng.random() < config.p_flip)
    if rng.random() < config.p_background:
        background = _background(person, image_size, input_size, rng)
        if background is not None:
            return View(background, mirror)
    center, side = np.array(person.center), person.side
    if rng.random() < config.p_half_body:
        center, side = _half_body(person, rng) or (center, side)
    if rng.random() < config.p_far:
        side *= rng.uniform(1.3, config.far_limit)
        reach = 0.3  # a searching crop has the person anywhere in it
    else:
        zoom = float(np.clip(rng.normal(0, config.scale_sigma), *_pair(config.scale_limit)))
        side *= 2.0**zoom if config.zoom == "log2" else 1 + zoom
        reach = config.shift
    center = center + rng.uniform(-reach, reach, 2) * side
    angle = 0.0
    if rng.random() < config.p_rotate:
        angle = float(np.clip(rng.normal(0, config.rotate_deg), *_pair(2 * config.rotate_deg)))
    fitted = fit_region((float(center[0]), float(center[1])), (side, side), input_size)
    return View(Region(fitted.center, fitted.size, angle), mirror)


def _pair(limit: float) -> tuple[float, float]:
    return -limit, limit


def _half_body(person: Person, rng: np.random.Generator) -> tuple[FloatArray, float] | None:
    half = UPPER if rng.random() < 0.65 else LOWER
    points = person.keypoints[[i for i in half if person.present[i]]]
    if len(points) < 4:
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    side = float((high - low).max()) * 1.6
    return ((low + high) / 2, side) if side > 0.25 * person.side else None


def _background(
    person: Person,
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    rng: np.random.Generator,
) -> Region | None:
    """Look for a square without any annotated joint; None where the image has none."""
    if person.dataset != "mpii":  # the other sets say nothing of further people in the picture
        return None
    joints = np.concatenate([person.keypoints[person.present], person.others])
    for _ in range(10):
        side = person.side * float(rng.uniform(0.4, 1.0))
        center = rng.uniform((0, 0), image_size)
        margin = side / 2 + 0.1 * person.side
        if (np.abs(joints - center).max(axis=1) > margin).all():
            return fit_region((float(center[0]), float(center[1])), (side, side), input_size)
    return None


def jitter(crop: Image, config: AugmentConfig, rng: np.random.Generator) -> Image:
    """Change colours and sharpness and cut a patch out of a (h, w, 3) uint8 crop."""
    gain = rng.uniform(1 - config.color_gain, 1 + config.color_gain, 3)
    gain *= rng.uniform(1 - config.brightness, 1 + config.brightness)
    offset = rng.uniform(-0.4, 0.4) * config.brightness * 255
    levels = np.arange(256, dtype=np.float32)[:, None] * gain + offset
    table = np.clip(levels, 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    crop = np.asarray(cv2.LUT(crop, table), np.uint8)
    if rng.random() < config.p_gray:
        gray = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
        crop = np.repeat(gray[:, :, None], 3, axis=2)
    if rng.random() < config.p_blur:
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(0.5, 1.5))), np.uint8)
    if rng.random() < config.p_cutout:
        height, width = crop.shape[:2]
        size = rng.uniform(0.08, 0.25, 2) * (height, width)
        top, left = rng.uniform(0, 1, 2) * ((height, width) - size)
        rows, columns = slice(int(top), int(top + size[0])), slice(int(left), int(left + size[1]))
        crop[rows, columns] = rng.integers(0, 256, 3)
    return crop
