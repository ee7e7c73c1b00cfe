"""Keypoints of pictures in a folder, as JSON; run by arm64.py on both machines.

The pictures are given as PNG: video is decoded with other rounding on another processor.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import cv2

import edge_pose
from edge_pose.preprocess import Region


def main(artifact: str, folder: str) -> None:
    estimator = edge_pose.load(artifact, threads=1, trust_ungated=True)
    width, height = estimator.input_size
    found = []
    for file in sorted(Path(folder).glob("*.png")):
        # Every fourth or so px, none blended: nothing is rounded differently, either.
        picture = cv2.resize(
            cv2.imread(str(file)), (width, height), interpolation=cv2.INTER_NEAREST
        )
        whole = Region(((width - 1) / 2, (height - 1) / 2), (float(width), float(height)))
        found.append(estimator.estimate(picture, whole).keypoints.tolist())
    values = {
        "machine": platform.machine(),
        "name": estimator.manifest.name,
        "precision": estimator.manifest.file.precision,
        "backend": estimator.backend.name,
        "version": estimator.backend.version,
        "keypoints": found,
    }
    sys.stdout.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
