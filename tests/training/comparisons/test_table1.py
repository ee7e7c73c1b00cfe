"""Table 1: the document's figures as data, its figure of merit, and rows trained for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.progress import Progress

from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.metrics.merit import weighted_mean
from training.comparisons.rows import OurRow, train_rows
from training.comparisons.table1 import (
    choose_rows,
    report,
    row_recipe,
    tradeoff_rows,
    with_weighted_means,
)
from training.comparisons.table1_text import markdown
from training.published import GROUPS, table1
from training.recipe import load_recipe
from training.registry import get_model

RECIPE = Path(__file__).parents[3] / "training" / "configs" / "table1.toml"
NOT_FOLLOWING = {"dilated", "percept", "168_separable"}


def test_the_weighted_mean_of_the_documents_own_figures() -> None:
    rows = {row.key: row for row in table1()}
    base = rows["2hg"]
    reference = (base.pckh["mean"], base.madds_g or 0, 6.73)
    measured = {
        key: weighted_mean(row.pckh["mean"], row.madds_g, row.params_m, reference)
        for key, row in rows.items()
        if row.madds_g and row.weighted_mean is not None
    }
    following = {
        key
        for key, value in measured.items()
        if value == pytest.approx(rows[key].weighted_mean, abs=0.0051)
    }
    assert set(measured) - following == NOT_FOLLOWING
    assert len(following) == 10
    assert measured["dilated"] == pytest.approx(-19.91, abs=0.005)
    assert all(row.note for row in rows.values() if row.key in NOT_FOLLOWING)


def test_the_mean_is_that_of_fourteen_joints() -> None:
    for row in table1():
        assert set(row.pckh) == {*GROUPS, "mean"}
        assert min(row.pckh.values()) <= row.pckh["mean"] <= max(row.pckh.values())
        assert get_model(row.model)


def test_rows_are_chosen_by_key() -> None:
    assert [row.key for row in choose_rows(["3hg", "1hg"])] == ["1hg", "3hg"]
    assert len(choose_rows([])) == 15
    with pytest.raises(UsageError, match="row 'gost': unknown, did you mean 'ghost'"):
        choose_rows(["gost"])


def test_rows_are_trained_measured_and_kept(generated: Path, tmp_path: Path) -> None:
    base = load_recipe(RECIPE).model_copy(
        update={"datasets": {"mpii": 1.0}, "batch_size": 4, "workers": 0, "bf16": False}
    )
    rows = choose_rows(["2hg", "168_resconcat_narrowres_percept"])

    reports: list[str] = []

    def train(epochs: int) -> list[str]:
        with Progress(disable=True) as progress:
            recipes = {row.key: row_recipe(base, row, epochs, 64) for row in rows}
            found = train_rows(recipes, generated, tmp_path, "cpu", progress, limit=8)
        reports.append(json.dumps(report(found, base, 64)))
        text = markdown(json.loads(reports[-1]))
        assert [row.persons for row in found] == [8, 8]
        assert [row.params for row in found] == [6_730_912, 1_417_616]
        assert all(0 <= row.pckh["mean"] <= 100 for row in found)
        assert all(len(row.stages) == 2 and row.stages[1] == row.pckh["mean"] for row in found)
        return text.splitlines()

    lines = train(1)
    drawn = [row["name"] for row in tradeoff_rows(json.loads(reports[0]))]
    assert drawn == ["2hg", "168_resconcat_narrowres_percept"]
    assert lines[3].startswith("|  | paper | 58.12 |")
    assert "8 samples at 64 px" in "\n".join(lines)
    written = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/row.json")}
    assert len(written) == 2
    assert train(1) == lines
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/row.json")} == written
    recipe = json.loads((tmp_path / rows[1].key / "row.json").read_text())["recipe"]
    assert recipe["perceptual"] == {"kind": "mse", "weight": 2.0, "alpha": 0.7}
    with pytest.raises(EdgePoseError, match="belongs to another budget"):
        train(2)


def test_means_need_their_base() -> None:
    one = OurRow("1hg", {"mean": 40.0}, 8, 100, 1000, 1.0, 10, [40.0])
    base = OurRow("2hg", {"mean": 50.0}, 8, 200, 2000, 1.0, 10, [50.0])
    assert with_weighted_means([one])[0].weighted_mean is None
    filled = {row.key: row.weighted_mean for row in with_weighted_means([one, base])}
    assert filled["2hg"] is None
    assert filled["1hg"] == pytest.approx(0.8 * -20 + 5 + 5)
    nothing = OurRow("2hg", {"mean": 0.0}, 8, 200, 2000, 1.0, 10, [50.0])
    assert with_weighted_means([one, nothing])[0].weighted_mean is None
