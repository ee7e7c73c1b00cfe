"""The ablation of Newell et al. (https://arxiv.org/abs/1603.06937), figure 9: 2, 4 and 8 stacks.

All three have about the same number of parameters, with more residuals per location where there are
fewer stacks; what counts is the accuracy of each stage, at half of the way and at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.comparisons.rows import OurRow
from training.recipe import Recipe, Stage

SCHEMA = "edge_pose.stacks/1"
# Accuracy in percent that the paper prints: half of the way, end.
PUBLISHED = {
    "hourglass_2stack_equal": (84.6, 87.4),
    "hourglass_4stack_equal": (86.5, 87.8),
    "hourglass_8stack_equal": (87.1, 88.1),
}


def stack_recipes(base: Recipe, epochs: int, input_side: int, width: int) -> dict[str, Recipe]:
    """Return one recipe per number of stacks.

    Args:
        base: everything else.
        epochs: of each.
        input_side: px.
        width: channels inside the blocks; the paper's 128 are dear.
    """
    stage = Stage(epochs=epochs, input_side=input_side, sigma=base.stages[-1].sigma)
    arguments = {"num_feats": width, "inplanes": width // 2}
    update = {"stages": (stage,), "model_args": arguments, "perceptual": None, "init": ""}
    return {name: base.model_copy(update={**update, "model": name}) for name in PUBLISHED}


def report(rows: Sequence[OurRow], recipes: Mapping[str, Recipe]) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "schema": SCHEMA,
        "rows": [
            {
                "model": row.key,
                "params": row.params,
                "samples": row.trained,
                "input_side": recipes[row.key].stages[0].input_side,
                "model_args": recipes[row.key].model_args,
                "persons": row.persons,
                "stages": row.stages,
                "published_half": PUBLISHED[row.key][0],
                "published_end": PUBLISHED[row.key][1],
            }
            for row in rows
        ],
    }


def markdown(found: Mapping[str, Any]) -> str:
    """Return the report as a table."""
    lines = [
        "| network | params | samples | PCKh@0.5 of each stage, ours | paper: half way, end |",
        "|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        stages = " → ".join(f"{value:.1f}" for value in row["stages"])
        lines.append(
            f"| `{row['model']}` | {row['params'] / 1e6:.2f}M | {row['samples']:,} | {stages}"
            f" | {row['published_half']}, {row['published_end']} |"
        )
    return "\n".join(lines) + "\n"
