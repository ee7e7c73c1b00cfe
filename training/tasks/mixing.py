"""Which samples a run takes, and how often an epoch shows those of each data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from training.recipe import Recipe
from training.samples import Group

T = TypeVar("T")


def data_set_groups(names: Sequence[str], recipe: Recipe) -> list[Group]:
    """Return one group per data set of the recipe.

    Balanced mixing keeps the length of an epoch and gives each data set that has samples a share
    in proportion to its weight.

    Args:
        names: the data set of each sample.
        recipe: its `datasets` and `mixing`.
    """
    members = {
        name: np.array([i for i, of in enumerate(names) if of == name], np.int64)
        for name in recipe.datasets
    }
    if recipe.mixing == "repeats":
        return [(members[name], repeats) for name, repeats in recipe.datasets.items()]
    weights = {name: w for name, w in recipe.datasets.items() if len(members[name])}
    share = len(names) / sum(weights.values())
    return [(members[name], share * w / len(members[name])) for name, w in weights.items()]


def spread(samples: Sequence[T], limit: int | None) -> list[T]:
    """Take `limit` samples at equal distances: the first are of one data set, or of one class."""
    if limit is None or limit >= len(samples):
        return list(samples)
    return [samples[(2 * i + 1) * len(samples) // (2 * limit)] for i in range(limit)]
