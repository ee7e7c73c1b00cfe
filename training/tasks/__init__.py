"""Kinds of networks: what each of them learns from, its loss and its figure of merit."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup
from training.recipe import Recipe
from training.registry import get_model
from training.tasks.base import Batch, Task

TASKS = {
    "top_down": "training.tasks.top_down",
    "bottom_up": "training.tasks.bottom_up",
    "detector": "training.tasks.detector",
    "classifier": "training.tasks.classifier",
}


# Parts of a recipe that only some tasks know; the others refuse them.
TAKES: dict[str, tuple[str, ...]] = {
    "top_down": ("corrections", "distill", "perceptual"),
    "bottom_up": ("corrections",),
    "detector": (),
    "classifier": (),
}


def build_task(recipe: Recipe, data: Path, limit: int | None = None) -> Task:
    """Load the data of a recipe.

    Args:
        recipe: what to train.
        data: folder with the data sets.
        limit: use only this many samples, for trials.

    Raises:
        UsageError: the model is unknown, or the recipe asks for what its task does not have.
        DatasetError: a data set is missing or damaged.
    """
    entry = get_model(recipe.model)
    for part in ("corrections", "distill", "perceptual"):
        if getattr(recipe, part) and part not in TAKES.get(entry.task, ()):
            raise UsageError(f"{part}: {recipe.model} is a {entry.task} network, it takes none")
    module = import_module(lookup(TASKS, entry.task, "trainable task"))
    task: Task = module.build(recipe, entry, data, limit)
    return task


__all__ = ["TASKS", "Batch", "Task", "build_task"]
