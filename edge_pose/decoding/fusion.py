"""One set of heatmaps and tags out of several outputs: two resolutions, mirror image, scales.

Cheng et al., "HigherHRNet", CVPR 2020 (https://arxiv.org/abs/1908.10357), section 3.4: heatmaps of
all outputs are averaged at the finest resolution; tags come from the coarse output alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from edge_pose.errors import ArtifactError
from edge_pose.types import FloatArray


def fuse_outputs(
    outputs: Sequence[FloatArray],
    mirrored: Sequence[FloatArray] | None = None,
    flip_pairs: Iterable[tuple[int, int]] = (),
) -> tuple[FloatArray, FloatArray]:
    """Fuse the outputs of one picture, and those of its mirror image where there are any.

    Args:
        outputs: (2K, h, w), K heatmaps and K tag maps, and (K, 2h, 2w) heatmaps; float32.
        mirrored: the same for the mirrored picture (flip test). Its tags become a second
            dimension: the network gives a person other tags in the mirror.
        flip_pairs: keypoints that swap when the picture is mirrored; needed with `mirrored`.

    Returns:
        heatmaps (K, 2h, 2w), tags (K, 2h, 2w, T) with T = 1, or 2 with `mirrored`; float32.

    Raises:
        ArtifactError: the shapes are not of this kind, or differ between both pictures.
    """
    heatmaps, tags = _fuse_resolutions(outputs)
    if mirrored is None:
        return heatmaps, tags[..., None]
    other_heatmaps, other_tags = _fuse_resolutions(mirrored)
    if other_heatmaps.shape != heatmaps.shape:
        raise ArtifactError(
            f"outputs of the mirrored picture: found {other_heatmaps.shape},"
            f" expected {heatmaps.shape} as of the picture itself"
        )
    partner = np.arange(len(heatmaps))
    for a, b in flip_pairs:
        partner[[a, b]] = b, a
    heatmaps = (heatmaps + other_heatmaps[partner, :, ::-1]) / np.float32(2)
    return heatmaps, np.stack([tags, other_tags[partner, :, ::-1]], axis=-1)


def fuse_scales(heatmaps: FloatArray, others: Sequence[FloatArray]) -> FloatArray:
    """Average the heatmaps of scale 1 with those of other scales (multi-scale test).

    Tags are not averaged, they differ between scales: use those of scale 1.

    Args:
        heatmaps: (K, h, w) of scale 1.
        others: (K, h', w') each, of the same region of the picture at another resolution.

    Returns:
        (K, h, w) float32.
    """
    height, width = heatmaps.shape[1:]
    total = heatmaps.astype(np.float32)  # a copy
    for other in others:
        total += resize(other, (height, width))
    total /= np.float32(1 + len(others))
    return total


def resize(maps: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Resample (..., h, w) maps bilinearly to `size` (height, width).

    Px are areas and keep their place: px i of n has its centre at (i + 0.5) / n of the length.
    Beyond the centres at the border the border's value holds.
    """
    for axis, length in ((-2, size[0]), (-1, size[1])):
        maps = _resize_axis(maps, axis, length)
    return maps


def _resize_axis(maps: FloatArray, axis: int, length: int) -> FloatArray:
    source = maps.shape[axis]
    if source == length:
        return maps
    place = ((np.arange(length) + 0.5) * source / length - 0.5).clip(0, source - 1)
    low = np.minimum(place.astype(np.intp), max(source - 2, 0))
    high = np.minimum(low + 1, source - 1)
    weight = (place - low).astype(np.float32)
    if axis == -2:
        weight = weight[:, None]
    below: FloatArray = maps.take(low, axis)
    above: FloatArray = maps.take(high, axis)
    above -= below
    above *= weight
    above += below
    return above


def _fuse_resolutions(outputs: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return heatmaps (K, 2h, 2w) and tags (K, 2h, 2w)."""
    shapes = [output.shape for output in outputs]
    coarse, fine = (*shapes, (), ())[:2]
    if (
        len(shapes) != 2
        or len(fine) != 3
        or coarse != (2 * fine[0], fine[1] // 2, fine[2] // 2)
        or fine[1] % 2 + fine[2] % 2
    ):
        found = ", ".join(str(shape) for shape in shapes)
        raise ArtifactError(f"outputs: found {found}, expected (2K, h, w), (K, 2h, 2w)")
    raised = resize(np.asarray(outputs[0], np.float32), fine[1:])
    heatmaps = (raised[: fine[0]] + outputs[1]) / np.float32(2)
    return heatmaps, raised[fine[0] :]
