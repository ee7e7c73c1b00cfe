"""A body of straight segments that faces the camera, for whatever draws people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray

# Segment lengths over the body height, after Drillis and Contini (1966).
SHANK, THIGH, TRUNK, NECK, HEAD = 0.245, 0.245, 0.29, 0.05, 0.13
UPPER_ARM, FOREARM = 0.186, 0.146
HALF_HIPS, HALF_SHOULDERS = 0.07, 0.11

Point = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LimbAngles:
    """Arm and leg of one side, rad: 0 hangs straight down, positive angles lead away sideways."""

    thigh: float
    shank: float
    upper_arm: float
    forearm: float


def stick_figure(
    right: LimbAngles, left: LimbAngles, *, lean_rad: float = 0.0, head_rad: float = 0.0
) -> FloatArray:
    """Return (16, 2) float32 MPII keypoints around the pelvis, in body heights, y down.

    Args:
        right: the person's right side, which is on the left of the picture.
        left: the other side.
        lean_rad: turn of the trunk, clockwise on screen.
        head_rad: turn of the head against the trunk.
    """
    up = _rotate(np.array([0.0, -1.0]), lean_rad)
    across = _rotate(np.array([1.0, 0.0]), lean_rad)
    thorax = TRUNK * up
    neck = thorax + NECK * up
    points = {
        "pelvis": np.zeros(2),
        "thorax": thorax,
        "upper_neck": neck,
        "head_top": neck + HEAD * _rotate(up, head_rad),
    }
    for side, sign, limbs in (("right", -1.0, right), ("left", 1.0, left)):
        hip, shoulder = sign * HALF_HIPS * across, thorax + sign * HALF_SHOULDERS * across
        knee = hip + THIGH * _down(sign * limbs.thigh)
        elbow = shoulder + UPPER_ARM * _down(sign * limbs.upper_arm)
        points |= {f"{side}_hip": hip, f"{side}_knee": knee}
        points |= {f"{side}_ankle": knee + SHANK * _down(sign * limbs.shank)}
        points |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow}
        points |= {f"{side}_wrist": elbow + FOREARM * _down(sign * limbs.forearm)}
    return np.array([points[name] for name in MPII16.keypoints], np.float32)


def _rotate(vector: Point, angle_rad: float) -> Point:
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cos, -sin], [sin, cos]]) @ vector


def _down(angle_rad: float) -> Point:
    """Return the unit vector that points down, turned towards +x by the angle."""
    return np.array([math.sin(angle_rad), math.cos(angle_rad)])
