"""The documents' tables follow from their own columns, or are marked; ours never pass as alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkout import TABLE1
from benchmarks.device_files import Named
from benchmarks.published import FILE, accuracy_efficiency
from benchmarks.reference import efficiency, reference
from benchmarks.reference_table1 import read_table1
from benchmarks.result import DeviceResult
from edge_pose.errors import UsageError

Planted = Callable[..., Path]


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    """Return a function that copies the table of AE with one text replaced."""

    def copy(old: str, new: str) -> Path:
        text = FILE.read_text("utf-8")
        assert text.count(old) == 1
        file = tmp_path / "table.toml"
        file.write_text(text.replace(old, new), "utf-8")
        return file

    return copy


@pytest.fixture
def table1(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], object]], Path]:
    """Return a function that copies our Table 1, changed."""

    def copy(change: Callable[[dict[str, Any]], object]) -> Path:
        values = json.loads(TABLE1.read_text("utf-8"))
        change(values)
        file = tmp_path / "table1.json"
        file.write_text(json.dumps(values), "utf-8")
        return file

    return copy


def row_of(values: dict[str, Any], key: str) -> dict[str, Any]:
    return next(row for row in values["rows"] if row["published"]["key"] == key)


def test_the_power_that_each_row_implies() -> None:
    rows = {row.model: row for row in efficiency(accuracy_efficiency()).rows}
    assert len(rows) == 7
    implied = {name: round(row.implied_w, 1) for name, row in rows.items()}
    assert implied.pop("Lightweight OpenPose") == 45.0
    assert set(implied.values()) == {15.0}
    for name, row in rows.items():
        nominal = 45.0 if name == "Lightweight OpenPose" else 15.0
        assert row.implied_low_w <= nominal <= row.implied_high_w
        assert row.implied_low_w < row.implied_w < row.implied_high_w


def test_which_rows_agree_and_how_well() -> None:
    rows = {row.model: row for row in efficiency(accuracy_efficiency()).rows}
    inexact = {name for name, row in rows.items() if row.agrees != "to the last digit"}
    assert inexact == {"HigherHRNet"}
    assert rows["HigherHRNet"].agrees == "within the rounding of its factors"
    assert rows["HigherHRNet"].computed_ae == pytest.approx(29.8595)
    assert rows["H0"].computed_ae == pytest.approx(64.8 * 1.530)


def test_three_to_five_times_is_not_like_for_like() -> None:
    notes = efficiency(accuracy_efficiency()).notes
    assert "implied power 45.0 W: Lightweight OpenPose" in notes
    assert "EfficientHRNet against HigherHRNet: 2.70 to 4.06 times the AE" in notes
    (openpose,) = (note for note in notes if note.startswith("EfficientHRNet against Light"))
    assert "3.26 to 4.90 times the AE, 1.09 to 1.63 times AP × FPS" in openpose
    assert "45.0 W against 15.0 W, which is not like for like" in openpose


@pytest.mark.parametrize(
    ("old", "new", "model"),
    [
        ('ae = "29.850"', 'ae = "29.950"', "HigherHRNet"),
        ('ae = "121.273"', 'ae = "121.283"', "H-4"),
        ('ap = "44.8"', 'ap = "45.8"', "H-3"),
        ('efficiency = "1.362"', 'efficiency = "1.632"', "H-1"),
    ],
)
def test_a_planted_wrong_number_is_found(old: str, new: str, model: str, planted: Planted) -> None:
    rows = efficiency(accuracy_efficiency(planted(old, new))).rows
    changed = {row.model: row.agrees for row in rows}
    expected = "within the rounding of its factors" if model == "H-4" else "no"
    assert changed[model] == expected
    assert [row.model for row in rows if row.agrees == "no" and row.model != model] == []


def test_another_power_gets_a_note_of_its_own(planted: Planted) -> None:
    notes = efficiency(accuracy_efficiency(planted('fps = "6.68"', 'fps = "13.36"'))).notes
    assert "implied power 30.0 W: HigherHRNet" in notes


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('ae = "29.850"', 'ae = "many"', "rows.0.ae: Input should be a valid decimal"),
        ('ae = "29.850"', "", "rows.0.ae: Field required"),
        ('fps = "6.68"', 'fps = "0"', "rows.0.fps: Input should be greater than 0"),
        ('metric = "AP"', "metric = ", "not valid TOML"),
    ],
)
def test_a_broken_table_is_one_line(old: str, new: str, expected: str, planted: Planted) -> None:
    file = planted(old, new)
    with pytest.raises(UsageError, match=f"^{file}: {expected}") as caught:
        accuracy_efficiency(file)
    assert "\n" not in str(caught.value)


def test_ten_of_thirteen_weighted_means_follow() -> None:
    found = read_table1(TABLE1)
    assert (found.following, found.compared) == (10, 13)
    wrong = {row.key: row for row in found.rows if row.follows is False}
    assert {key: round(row.computed or 0, 2) for key, row in wrong.items()} == {
        "dilated": -19.91,
        "percept": -6.96,
        "168_separable": 14.88,
    }
    assert all("does not follow" in row.note for row in wrong.values())
    assert [row.key for row in found.rows if row.follows is None] == ["2hg", "dice"]
    assert all(row.ours_persons == 126 for row in found.rows)
    assert any("126 validation persons" in line for line in found.unlike)
    assert not any("does not follow" in line for line in found.unlike)


def test_a_planted_wrong_mean_is_found(table1: Any) -> None:
    def plant(values: dict[str, Any]) -> None:
        row_of(values, "ghost")["published"]["weighted_mean"] = 4.26

    found = read_table1(table1(plant))
    assert found.following == 9
    assert {row.key: row.follows for row in found.rows}["ghost"] is False


def test_without_the_baseline_nothing_is_computed(table1: Any) -> None:
    def remove(values: dict[str, Any]) -> None:
        values["rows"].remove(row_of(values, "2hg"))

    found = read_table1(table1(remove))
    assert found.compared == 0
    assert {row.computed for row in found.rows} == {None}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda values: values.update(schema="edge_pose.table1/2"), "schema: Input should be"),
        (lambda values: values.pop("rows"), "rows: Field required"),
        (lambda v: row_of(v, "1hg")["ours"]["pckh"].pop("mean"), "rows.0.ours.pckh.mean: Field"),
    ],
)
def test_a_broken_table_1_is_one_line(change: Any, expected: str, table1: Any) -> None:
    file = table1(change)
    with pytest.raises(UsageError, match=f"^{file}: {expected}"):
        read_table1(file)


def test_table_1_that_is_no_json_or_not_there(tmp_path: Path, errors: Callable[..., str]) -> None:
    file = tmp_path / "table1.json"
    assert f"{file}: cannot be read: No such file" in errors("reference", "--table1", file)
    file.write_text("{", "utf-8")
    assert f"{file}: not valid JSON" in errors("reference", "--table1", file)


def test_ours_say_what_they_are_and_that_they_are_unlike(result: DeviceResult) -> None:
    (row,) = reference([Named("mine", result)], None).ours
    assert (row.metric, row.dataset, row.persons) == ("PCKh@0.5", "blobs", 100)
    assert (row.power_source, row.mode) == ("estimated", "offline")
    assert result.offline is not None
    assert row.fps == result.offline.fps.mean
    assert row.unlike == (
        "metric PCKh@0.5 against AP",
        "data set blobs against coco",
        "n = 100 against an unknown number",
        "power estimated against implied",
        f"{result.device.profile} against devices that are not named",
    )


def test_the_same_metric_and_measured_power_are_not_enough(result: DeviceResult) -> None:
    assert result.artifact.accuracy is not None
    accuracy = result.artifact.accuracy.model_copy(update={"metric": "AP", "dataset": "coco"})
    other = result.model_copy(
        update={
            "artifact": result.artifact.model_copy(update={"accuracy": accuracy}),
            "meter": result.meter.model_copy(update={"source": "measured"}),
        }
    )
    (row,) = reference([Named("mine", other)], None).ours
    assert row.unlike[:2] == ("n = 100 against an unknown number", "power measured against implied")
    nothing = result.artifact.model_copy(update={"accuracy": None})
    (row,) = reference([Named("it", result.model_copy(update={"artifact": nothing}))], None).ours
    assert (row.accuracy_percent, row.unlike[0]) == (None, "no accuracy")


def test_the_command(
    result: DeviceResult,
    bench: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    file = tmp_path / "mine.json"
    file.write_text(result.model_dump_json(by_alias=True), "utf-8")
    code, out, err = bench("reference", file)
    assert (code, err) == (0, "")
    (ours,) = (line for line in out.splitlines() if "ours: mine" in line)
    assert "80.0 PCKh@0.5, blobs, n = 100" in ours
    assert "estimated" in ours
    assert "not comparable" in ours
    assert "10 of 13 follow" in out
    code, out, err = bench("reference", file, "--json")
    found = json.loads(out)
    assert (code, found["schema"]) == (0, "edge_pose.reference/1")
    assert found["efficiency"]["rows"][2]["ae"] == "99.144"
    assert found["ours"][0]["unlike"]


def test_a_narrow_terminal_does_not_break_words(
    bench: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = bench("reference")
    for words in ("AE computed", "within the rounding", "MAdds, G", "+14.87"):
        assert words in out


def test_where_table_1_is_not_installed(
    bench: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmarks.checkout.TABLE1", tmp_path / "none.json")
    code, out, err = bench("reference")
    assert (code, "weighted mean" in out) == (0, False)
    assert "is in the repository: training/weights/table1.json" in err


def test_results_of_other_kinds_are_refused(errors: Callable[..., str]) -> None:
    file = FILE.parents[1] / "results" / "cold_start.json"
    assert "expected a result of `edge-pose-bench run`" in errors("reference", file)
