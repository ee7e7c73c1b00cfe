"""Keypoint formats: names, left/right pairs, limbs to draw and OKS sigmas."""

from __future__ import annotations

from dataclasses import dataclass

from edge_pose.lookup import lookup


@dataclass(frozen=True, slots=True)
class KeypointFormat:
    """An ordered set of body keypoints.

    Attributes:
        name: the name used in manifests and messages.
        keypoints: keypoint names in index order.
        flip_pairs: index pairs that swap when the picture is mirrored.
        edges: index pairs that are joined when a skeleton is drawn.
        sigmas: per-keypoint standard deviation for OKS (Lin et al., COCO keypoint evaluation).
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    edges: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]

    def index(self, keypoint: str) -> int:
        """Return the index of a keypoint name; KeyError lists the known names."""
        table = {name: i for i, name in enumerate(self.keypoints)}
        return lookup(table, keypoint, f"keypoint of {self.name}")


# MPII Human Pose (Andriluka et al., CVPR 2014). MPII defines no sigmas: the twelve joints that COCO
# has too take COCO's, the rest COCO's hip sigma for the trunk and shoulder sigma for neck and head.
MPII16 = KeypointFormat(
    name="mpii16",
    keypoints=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "upper_neck",
        "head_top",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    edges=(
        (0, 1),
        (1, 2),
        (2, 6),
        (6, 3),
        (3, 4),
        (4, 5),
        (6, 7),
        (7, 8),
        (8, 9),
        (10, 11),
        (11, 12),
        (12, 7),
        (7, 13),
        (13, 14),
        (14, 15),
    ),
    sigmas=(
        0.089,
        0.087,
        0.107,
        0.107,
        0.087,
        0.089,
        0.107,
        0.107,
        0.079,
        0.079,
        0.062,
        0.072,
        0.079,
        0.079,
        0.072,
        0.062,
    ),
)

# Leeds Sports Pose (Johnson and Everingham, BMVC 2010): MPII's joints without pelvis and thorax, in
# LSP's order. LSP defines no sigmas: they are those of MPII16 above.
LSP14 = KeypointFormat(
    name="lsp14",
    keypoints=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "upper_neck",
        "head_top",
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9)),
    edges=(
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
        (4, 5),
        (2, 8),
        (3, 9),
        (6, 7),
        (7, 8),
        (8, 12),
        (12, 9),
        (9, 10),
        (10, 11),
        (12, 13),
    ),
    sigmas=(
        0.089,
        0.087,
        0.107,
        0.107,
        0.087,
        0.089,
        0.062,
        0.072,
        0.079,
        0.079,
        0.072,
        0.062,
        0.079,
        0.079,
    ),
)

# COCO keypoints (Lin et al., ECCV 2014); sigmas are those of pycocotools.
COCO17 = KeypointFormat(
    name="coco17",
    keypoints=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    edges=(
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 4),
        (5, 6),
        (5, 7),
        (7, 9),
        (6, 8),
        (8, 10),
        (5, 11),
        (6, 12),
        (11, 12),
        (11, 13),
        (13, 15),
        (12, 14),
        (14, 16),
    ),
    sigmas=(
        0.026,
        0.025,
        0.025,
        0.035,
        0.035,
        0.079,
        0.079,
        0.072,
        0.072,
        0.062,
        0.062,
        0.107,
        0.107,
        0.087,
        0.087,
        0.089,
        0.089,
    ),
)

KEYPOINT_FORMATS: dict[str, KeypointFormat] = {f.name: f for f in (MPII16, LSP14, COCO17)}


def keypoint_format(name: str) -> KeypointFormat:
    """Return a keypoint format by name.

    Raises:
        UsageError: the name is unknown.
    """
    return lookup(KEYPOINT_FORMATS, name, "keypoint format")
