"""Say where the head of the person in a clip is: `python examples/follow_clip.py [CLIP]`."""

from __future__ import annotations

import sys

import edge_pose
from edge_pose.samples import WALKING


def main() -> None:
    """Print one line per second of the clip."""
    clip = sys.argv[1] if len(sys.argv) > 1 else WALKING
    head = edge_pose.load().keypoint_format.index("head_top")
    for result in edge_pose.stream(clip):
        if result.frame.index % 30 == 0 and result.poses:
            pose = result.poses[0]
            x, y = pose.keypoints[head]
            sys.stdout.write(
                f"frame {result.frame.index}: person {pose.id}, head at {x:.0f}, {y:.0f} px,"
                f" score {pose.scores[head]:.2f}\n"
            )


if __name__ == "__main__":
    main()
