"""The generated parts of the documents."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "update_docs.py"


@pytest.fixture
def update_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_docs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], ["PCKh@0.5, blobs", "**80.0**", "80.0", "100"]),
        (
            [
                {"dataset": "mpii", "metric": "PCKh@0.5", "n_persons": 126,
                 "checkpoint_accuracy": 79.0, "artifact_accuracy": 78.3},
                {"dataset": "lspet", "metric": "PCK@0.2 (torso)", "n_persons": 417,
                 "checkpoint_accuracy": 67.0, "artifact_accuracy": 66.0},
            ],
            ["PCKh@0.5, mpii", "**78.3**", "79.0", "126"],
        ),
    ],
)  # fmt: skip
def test_the_table_names_one_metric_of_one_data_set(
    update_docs: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    artifact_copy: Any,
    parts: list[dict[str, object]],
    expected: list[str],
) -> None:
    artifact_copy.set("gate.parts", parts)
    artifact_copy.set("schema", "edge_pose.artifact/2")
    shipped = {"default": artifact_copy.folder, "blobs_fp32": artifact_copy.folder}
    monkeypatch.setattr(update_docs, "shipped", lambda: shipped)
    *_, row = update_docs.model_table().splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["`blobs_fp32`", "top_down", "onnx fp32", "64×64", "0.00 M", "0.00", "0.0 MB",
                     *expected]  # fmt: skip


def test_the_committed_figures_are_of_the_networks_as_they_are(update_docs: ModuleType) -> None:
    import json

    import torch

    from training.registry import get_model, model_names

    file = update_docs.ROOT / "benchmarks" / "results" / "networks.json"
    rows = {row["name"]: row for row in json.loads(file.read_text("utf-8"))["networks"]}
    assert tuple(sorted(rows)) == model_names()
    for name, row in rows.items():
        with torch.device("meta"):
            model = get_model(name).build()
        assert row["params"] == sum(p.numel() for p in model.parameters()), name
        assert row["latency_ms"] > 0


def test_networks_show_what_their_documents_count(update_docs: ModuleType) -> None:
    lines = {
        line.split("`")[1]: line for line in update_docs.network_table().splitlines() if "`" in line
    }
    assert "| 1,417,616 | 2.567 G |" in lines["hourglass_168_resconcat_narrowres"]
    assert "| 1,130,728 | 273.43 Mi |" in lines["lite_hrnet_18"]
    assert "| 2,764,706 | 2.10 G | 1.807 G | 384×384 |" in lines["efficient_hrnet_hm4"]
    assert "**65.7 PCKh@0.5 (n = 126)**" in lines["hourglass_168_resconcat_narrowres"]
    assert "not trained here" in lines["efficientnet_b0"]
    rows = [line for line in update_docs.table1_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 2 * 15
