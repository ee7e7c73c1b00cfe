"""2, 4 and 8 stacks of about the same size: one figure per stage."""

from __future__ import annotations

from pathlib import Path

from rich.progress import Progress

from training.comparisons.rows import train_rows
from training.comparisons.stacks import PUBLISHED, markdown, report, stack_recipes
from training.recipe import load_recipe

RECIPE = Path(__file__).parents[3] / "training" / "configs" / "table1.toml"


def test_every_stage_is_measured(generated: Path, tmp_path: Path) -> None:
    base = load_recipe(RECIPE).model_copy(
        update={"datasets": {"mpii": 1.0}, "batch_size": 4, "workers": 0, "bf16": False}
    )
    recipes = stack_recipes(base, epochs=1, input_side=64, width=8)
    with Progress(disable=True) as progress:
        rows = train_rows(recipes, generated, tmp_path, "cpu", progress, limit=4)
    found = report(rows, recipes)
    assert [len(row["stages"]) for row in found["rows"]] == [2, 4, 8]
    sizes = [row["params"] for row in found["rows"]]
    assert max(sizes) < 1.1 * min(sizes)
    lines = markdown(found).splitlines()
    assert len(lines) == 2 + len(PUBLISHED)
    assert lines[2].count("→") == 1
    assert lines[4].count("→") == 7
    assert lines[4].endswith("| 87.1, 88.1 |")
