from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from converters.calibration import draw_calibration
from converters.data import ConversionData
from edge_pose.errors import EdgePoseError
from edge_pose.whole_picture import fit_picture
from training.datasets import Person
from training.samples import read_image

SIZE = (64, 64)


@pytest.fixture
def painted(tmp_path: Path, drawn: ConversionData) -> Callable[[int, int], list[Person]]:
    """Persons in front of nothing: pictures of one flat colour."""

    def paint(count: int, level: int) -> list[Person]:
        file = tmp_path / f"flat_{level}.png"
        cv2.imwrite(str(file), np.full((900, 900, 3), level, np.uint8))
        return [
            replace(p, image=file, center=(450, 450)) for p in drawn.calibration.persons[:count]
        ]

    return paint


def test_same_seed_same_crops_other_seed_others(drawn: ConversionData) -> None:
    persons = drawn.calibration.persons
    first = draw_calibration(persons, "drawn", SIZE, 20, seed=1)
    again = draw_calibration(persons, "drawn", SIZE, 20, seed=1)
    other = draw_calibration(persons, "drawn", SIZE, 20, seed=2)
    assert first.crops.shape == (20, 64, 64, 3)
    assert np.array_equal(first.crops, again.crops)
    assert first.sha256 == again.sha256 != other.sha256


def test_held_out_persons_are_never_taken(drawn: ConversionData) -> None:
    with pytest.raises(EdgePoseError, match="0 training persons in mpii, at least 16"):
        draw_calibration(drawn.gate.persons, "mpii", SIZE, 20, seed=1)
    few = drawn.calibration.persons[:18]
    mixed = draw_calibration((*few, *drawn.gate.persons), "mpii", SIZE, 100, seed=1)
    assert len(mixed.crops) == len(few)


def test_data_sets_take_turns(
    drawn: ConversionData, painted: Callable[[int, int], list[Person]]
) -> None:
    small = [replace(p, dataset="lspet") for p in painted(32, 77)]
    large = drawn.calibration.persons * 4
    with pytest.raises(EdgePoseError, match="10 of 20 crops of both show one flat colour"):
        draw_calibration((*large, *small), "both", SIZE, 20, seed=1)


@pytest.mark.parametrize("level", [0, 200])
def test_flat_pictures_are_refused(painted: Callable[[int, int], list[Person]], level: int) -> None:
    with pytest.raises(EdgePoseError, match="20 of 20 crops of mpii show one flat colour") as error:
        draw_calibration(painted(20, level), "mpii", SIZE, 20, seed=1)
    assert "\n" not in str(error.value)


def test_flat_pictures_among_others_are_left_out(
    drawn: ConversionData,
    painted: Callable[[int, int], list[Person]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    persons = [*drawn.calibration.persons, *painted(5, 0)]
    with caplog.at_level(logging.WARNING):
        found = draw_calibration(persons, "mpii", SIZE, 37, seed=1)
    assert len(found.crops) == 32
    assert "32 of 37 images are usable" in caplog.text


@pytest.mark.parametrize("count", [1, 15])
def test_too_few_asked_for(drawn: ConversionData, count: int) -> None:
    with pytest.raises(EdgePoseError, match=f"{count} images asked for, at least 16"):
        draw_calibration(drawn.calibration.persons, "drawn", SIZE, count, seed=1)


@pytest.mark.parametrize("task", ["bottom_up", "detector"])
def test_networks_of_whole_pictures_are_shown_whole_pictures(
    drawn: ConversionData, task: str
) -> None:
    persons = drawn.calibration.persons
    found = draw_calibration(persons, "drawn", SIZE, 20, seed=1, task=task)
    whole = [fit_picture(read_image(p.image), SIZE)[0].tobytes() for p in persons]
    drawn_at = [whole.index(image.tobytes()) for image in found.crops]
    assert len(set(drawn_at)) == 20
    assert drawn_at != sorted(drawn_at)
    again = draw_calibration(persons, "drawn", SIZE, 20, seed=1, task=task)
    assert again.sha256 == found.sha256


def test_a_picture_with_somebody_held_out_is_not_shown(drawn: ConversionData) -> None:
    persons = list(drawn.calibration.persons[:20])
    beside = replace(drawn.gate.persons[0], image=persons[0].image)
    twice = replace(persons[1], index=99)  # another person of a picture that is there once
    found = draw_calibration([*persons, beside, twice], "drawn", SIZE, 50, seed=1, task="detector")
    assert len(found.crops) == 19


def test_flat_whole_pictures_are_refused(painted: Callable[[int, int], list[Person]]) -> None:
    persons = painted(20, 0)
    copies = []
    for i, person in enumerate(persons):
        file = person.image.with_name(f"black_{i}.png")
        file.write_bytes(person.image.read_bytes())
        copies.append(replace(person, image=file))
    with pytest.raises(EdgePoseError, match="20 of 20 crops of mpii show one flat colour"):
        draw_calibration(copies, "mpii", SIZE, 20, seed=1, task="bottom_up")
    with pytest.raises(EdgePoseError, match="1 training pictures in mpii, at least 16"):
        draw_calibration(persons, "mpii", SIZE, 20, seed=1, task="bottom_up")
