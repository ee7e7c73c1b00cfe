"""`python -m edge_pose` is the same as `edge-pose`."""

from edge_pose.cli import main

main()
