"""Accuracy of keypoints on the persons of several data sets together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from converters.gates.judge import Score
from edge_pose.metrics.pck import GROUPS, MEAN14, pck
from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import FloatArray
from training.evaluate import METRIC, THRESHOLD

Mask = NDArray[np.bool_]


def joint_score(
    *,
    predicted: FloatArray,
    truth: FloatArray,
    present: Mask,
    unit_px: FloatArray,
    datasets: Sequence[str],
    keypoints: KeypointFormat = MPII16,
    suffix: str = "",
) -> Score:
    """Measure everybody, each by the definition of his data set.

    Args:
        predicted: (N, K, 2) px.
        truth: (N, K, 2) px.
        present: (N, K) True where annotated.
        unit_px: (N,) the data set's unit.
        datasets: N names.
        keypoints: names of the K keypoints.
        suffix: of the metric's name.
    """
    names = np.array(datasets)
    sets = sorted(set(datasets))
    parts, groups = {}, {}
    for name in sets:
        who = names == name
        result = pck(
            predicted[who], truth[who], unit_px[who], present[who], keypoints, THRESHOLD[name]
        )
        parts[name, METRIC[name] + suffix] = (int(who.sum()), result.mean14)
        groups = result.per_group
    if len(sets) == 1:
        ((_, metric),) = parts
        ((_, accuracy),) = parts.values()
        return Score(metric, accuracy, parts, groups)
    limit_px = unit_px * np.array([THRESHOLD[name] for name in datasets], np.float32)
    right = np.linalg.norm(predicted - truth, axis=2) <= limit_px[:, None]
    metric = "right joints: " + ", ".join(f"{METRIC[name]} in {name}" for name in sets) + suffix
    return Score(
        metric,
        _share(right, present, MEAN14, keypoints),
        parts,
        {name: _share(right, present, joints, keypoints) for name, joints in GROUPS.items()},
    )


def _share(right: Mask, present: Mask, names: Sequence[str], keypoints: KeypointFormat) -> float:
    """Return the percentage of the labelled joints of these names that are right."""
    columns = [keypoints.index(name) for name in names if name in keypoints.keypoints]
    labelled = int(present[:, columns].sum())
    if not labelled:
        return float("nan")
    return 100.0 * int((right & present)[:, columns].sum()) / labelled
