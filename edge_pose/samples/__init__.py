"""Two short clips of real people to try edge_pose on (BSD-3-Clause, licence text beside them)."""

from __future__ import annotations

from pathlib import Path

WALKING = Path(__file__).with_name("one_person_walking.mp4")
TWO_PEOPLE = Path(__file__).with_name("two_people.mp4")
