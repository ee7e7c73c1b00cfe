from __future__ import annotations

import pytest

from edge_pose.errors import UsageError
from edge_pose.skeleton import (
    KEYPOINT_FORMATS,
    LSP14,
    MPII16,
    KeypointFormat,
    keypoint_format,
)

FORMATS = list(KEYPOINT_FORMATS.values())


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_a_format_is_consistent(known: KeypointFormat) -> None:
    count = len(known.keypoints)
    assert len(set(known.keypoints)) == count == len(known.sigmas)
    assert {i for edge in known.edges for i in edge} == set(range(count))
    sides = [i for i, name in enumerate(known.keypoints) if name.startswith(("left_", "right_"))]
    assert sorted(i for pair in known.flip_pairs for i in pair) == sides
    for a, b in known.flip_pairs:
        assert {known.keypoints[a], known.keypoints[b]} == {
            side + known.keypoints[a].split("_", 1)[1] for side in ("left_", "right_")
        }
        assert known.sigmas[a] == known.sigmas[b]
    assert keypoint_format(known.name) is known


def test_lsp_has_mpiis_joints_in_its_own_order() -> None:
    assert set(MPII16.keypoints) - set(LSP14.keypoints) == {"pelvis", "thorax"}
    assert set(LSP14.keypoints) < set(MPII16.keypoints)
    for name, sigma in zip(LSP14.keypoints, LSP14.sigmas, strict=True):
        assert sigma == MPII16.sigmas[MPII16.index(name)]
    # Johnson and Everingham's README of the data set.
    assert LSP14.keypoints[:3] == ("right_ankle", "right_knee", "right_hip")
    assert LSP14.keypoints[6:9] == ("right_wrist", "right_elbow", "right_shoulder")
    assert LSP14.keypoints[-2:] == ("upper_neck", "head_top")


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UsageError, match=r"'lsp': unknown.*lsp14"):
        keypoint_format("lsp")
