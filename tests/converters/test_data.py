from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from converters.data import need_calibration, open_data
from edge_pose.errors import EdgePoseError
from training.datasets import DatasetError
from training.datasets.generated import MARKER, write_generated


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MPII's layout, 20 training and 105 validation persons."""
    root = tmp_path_factory.mktemp("data")
    write_generated(root, 20, 105, size=(96, 96))
    (root / "mpii" / MARKER).unlink()
    return root


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
