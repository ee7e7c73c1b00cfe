"""Several networks trained under one budget.

Each row is a run of its own in a folder of its own: a comparison that was stopped goes on where it
was, and finished rows are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.progress import Progress

from edge_pose.errors import EdgePoseError
from training.checkpoint import load_checkpoint
from training.complexity import count
from training.evaluate import NetworkPredictor, unseen_persons
from training.pictures.predictions import predict_stages
from training.published import GROUPS
from training.recipe import Recipe
from training.registry import build_model
from training.tasks import build_task
from training.trainer import Trainer

SCHEMA = "edge_pose.comparison/1"


@dataclass(frozen=True, slots=True)
class OurRow:
    """What we measured of one row.

    Attributes:
        key: of the document's row.
        pckh: percent, by joint group and "mean", on MPII's validation persons that are here.
        persons: how many these are.
        params: exact.
        madds: by the document's rule, at the document's 256 px.
        minutes: training time.
        weighted_mean: percent, see `weighted_mean`; None for the baseline and without it.
        trained: samples seen.
    """

    key: str
    pckh: dict[str, float]
    persons: int
    params: int
    madds: int
    minutes: float
    trained: int
    stages: list[float]
    weighted_mean: float | None = None


def train_rows(
    recipes: Mapping[str, Recipe],
    data: Path,
    out: Path,
    device: str,
    progress: Progress,
    limit: int | None = None,
) -> list[OurRow]:
    """Train and measure every row.

    Args:
        recipes: by the rows' keys, which name their folders, too.
        data: folder with the data sets.
        out: folder of the runs.
        device: "cpu" or "cuda".
        progress: shows one bar per row.
        limit: use only this many persons, for trials.

    Raises:
        EdgePoseError: a finished row was trained in another way.
    """
    return [
        _row(key, recipe, data, out / key, device, progress, limit)
        for key, recipe in recipes.items()
    ]


def _row(
    key: str,
    recipe: Recipe,
    data: Path,
    folder: Path,
    device: str,
    progress: Progress,
    limit: int | None,
) -> OurRow:
    done = folder / "row.json"
    identity = {"schema": SCHEMA, "recipe": recipe.model_dump(mode="json"), "limit": limit}
    if done.exists():
        try:
            values = json.loads(done.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise EdgePoseError(f"{done}: damaged ({error}), delete it to train again") from None
        if {name: values.get(name) for name in identity} != identity:
            raise EdgePoseError(f"{done}: belongs to another budget, choose another --out folder")
        return OurRow(**values["row"])
    trainer = Trainer(recipe, build_task(recipe, data, limit), folder, device)
    trainer.run(progress)
    row = _measure(key, recipe, trainer, data)
    text = json.dumps({**identity, "row": asdict(row)}, indent=1)
    done.write_text(text + "\n", "utf-8")
    trainer.paths.resume.unlink()  # a finished row does not go on
    return row


def _measure(key: str, recipe: Recipe, trainer: Trainer, data: Path) -> OurRow:
    model, info = load_checkpoint(trainer.paths.weights)
    persons, _ = unseen_persons("mpii", data, info.trained_on)
    predictor = NetworkPredictor(model.to(trainer.device), info, trainer.device)
    stages = predict_stages(predictor, persons).results
    found = stages[-1]
    cost = count(build_model(recipe.model, recipe.model_args), info.entry.input_size)
    return OurRow(
        key=key,
        pckh={**{g: round(found.per_group[g], 2) for g in GROUPS}, "mean": round(found.mean14, 2)},
        persons=found.n_persons,
        params=cost.params,
        madds=cost.madds_document,
        minutes=round(trainer.seconds / 60, 2),
        trained=trainer.step * recipe.batch_size,
        stages=[round(stage.mean14, 2) for stage in stages],
    )
