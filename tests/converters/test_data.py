from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from converters.data import need_calibration, open_data
from edge_pose.errors import EdgePoseError
from training.checkpoint import pack_persons
from training.datasets import DatasetError
from training.datasets.generated import MARKER, write_generated
from training.datasets.scenes import load_scenes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MPII's layout, 20 training and 105 validation persons."""
    root = tmp_path_factory.mktemp("data")
    write_generated(root, 20, 105, size=(96, 96))
    (root / "mpii" / MARKER).unlink()
    return root


@pytest.fixture
def lspet(tmp_path: Path) -> Path:
    """Data folder with LSPET's layout, 40 persons of whom numbers 9 and 29 are held out."""
    folder = tmp_path / "both" / "lspet"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(1)
    joints = np.ones((14, 3, 40))
    joints[:, :2] = rng.uniform(20, 100, (14, 2, 40))
    for i in range(40):
        picture = rng.integers(0, 256, (120, 110, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"im{i + 1:05d}.jpg"), picture)
    scipy.io.savemat(folder / "joints.mat", {"joints": joints})
    return tmp_path / "both"


def test_validation_persons_of_mpii_are_for_the_gate(folder: Path) -> None:
    with open_data(folder, generated=False, n_images=32) as data:
        assert (data.gate.dataset, len(data.gate.persons)) == ("mpii", 105)
        assert (data.calibration.dataset, len(data.calibration.persons)) == ("mpii", 20)
        assert all(p.held_out for p in data.gate.persons)
        assert not any(p.held_out for p in data.calibration.persons)


def test_drawn_data_does_not_pass_for_mpii(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "data")
    (tmp_path / "data" / "mpii" / MARKER).touch()
    with open_data(tmp_path / "data", generated=False, n_images=32) as data:
        assert data.gate.dataset == data.calibration.dataset == "generated"


def test_generated_replaces_what_is_there_and_goes_away(folder: Path) -> None:
    with open_data(folder, generated=True, n_images=24) as data:
        assert data.gate.dataset == data.calibration.dataset == "generated"
        assert len(data.calibration.persons) == 24
        picture = data.gate.persons[0].image
        assert picture.is_file()
    assert not picture.exists()


@pytest.mark.parametrize("given", [True, False])
def test_without_data_the_gate_measures_on_drawn_people(
    tmp_path: Path, given: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING),
        open_data(tmp_path if given else None, generated=False, n_images=32) as data,
    ):
        assert data.gate.dataset == "generated"
        assert len(data.gate.persons) >= 100
        assert data.calibration.persons == ()
        with pytest.raises(EdgePoseError, match="--generated") as caught:
            need_calibration(data.calibration)
    assert "\n" not in str(caught.value)
    assert "measuring on 120 drawn" in caplog.text


def test_too_few_held_out_persons_are_not_enough(tmp_path: Path) -> None:
    write_generated(tmp_path, 20, 99, size=(96, 96))
    (tmp_path / "mpii" / MARKER).unlink()
    with open_data(tmp_path, generated=False, n_images=32) as data:
        assert data.gate.dataset == "generated"
        assert data.calibration.dataset == "mpii"


def test_missing_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(DatasetError, match="no such folder, expected one with mpii or lspet"),
        open_data(tmp_path / "nowhere", generated=False, n_images=32),
    ):
        pass


def test_damaged_annotations(tmp_path: Path) -> None:
    write_generated(tmp_path, 1, 1, size=(96, 96))
    (tmp_path / "mpii" / "mpii_annotations.json").write_text("[{]")
    with (
        pytest.raises(DatasetError, match="not MPII annotations"),
        open_data(tmp_path, generated=False, n_images=32),
    ):
        pass


def test_data_sets_are_measured_together(folder: Path, lspet: Path) -> None:
    shutil.copytree(folder / "mpii", lspet / "mpii")
    with open_data(lspet, generated=False, n_images=32) as data:
        assert data.gate.dataset == data.calibration.dataset == "mpii+lspet"
        assert data.sets == ("mpii", "lspet")
        names = [p.dataset for p in data.gate.persons]
        assert (names.count("mpii"), names.count("lspet")) == (105, 2)
        lspet_seen = pack_persons([9])
        left = data.without({"lspet": lspet_seen}).gate.persons
        assert sum(p.dataset == "lspet" for p in left) == 1
        # MPII's validation persons are never trained on: its files number people differently.
        everybody = pack_persons(range(500))
        left = data.without({"mpii": everybody, "lspet": everybody}).gate.persons
        assert [p.dataset for p in left] == ["mpii"] * 105


def test_who_was_trained_on_is_not_measured(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_data(folder, generated=False, n_images=32) as data:
        lspet = tuple(replace(p, dataset="lspet") for p in data.gate.persons)
        only = replace(data, gate=replace(data.gate, persons=lspet), sets=("lspet",))
        seen = {"lspet": pack_persons(p.index for p in lspet[:6])}
        with caplog.at_level(logging.WARNING):
            found = only.without(seen)
        assert found.gate.dataset == "generated"
        assert "trained on nearly everybody" in caplog.text
        assert all(p.image.is_file() for p in found.gate.persons)


def test_drawn_crowds(folder: Path) -> None:
    with open_data(folder, generated=False, n_images=32) as data:
        crowd = data.drawn(people=3)
        scenes = load_scenes("mpii", crowd.root)
        assert sorted({len(scene.present) for scene in scenes}) == [1, 2, 3]
        assert sum(len(scene.present) for scene in scenes) == len(crowd.gate.persons) == 120
        assert all(p.held_out for p in crowd.gate.persons)
