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
    ("per_group", "mean12"),
    [
        ({"head": 90, "shoulder": 80, "elbow": 70, "wrist": 60, "hip": 50, "knee": 40}, "60.0"),
        ({"head": 90, "shoulder": 80, "wrist": 60, "ankle": None}, "70.0"),
        ({"head": 90}, ""),
    ],
)
def test_limbs_that_nobody_has_do_not_count(
    update_docs: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    artifact_copy: Any,
    per_group: dict[str, float | None],
    mean12: str,
) -> None:
    artifact_copy.set("gate.per_group", per_group)
    shipped = {"default": artifact_copy.folder, "blobs_fp32": artifact_copy.folder}
    monkeypatch.setattr(update_docs, "shipped", lambda: shipped)
    *_, row = update_docs.model_table().splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["`blobs_fp32`", "64×64", "0.00 M", "0.00", "0.0 MB", "**80.0**", mean12, "100",
                     "80.0"]  # fmt: skip
