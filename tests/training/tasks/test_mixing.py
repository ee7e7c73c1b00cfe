"""Shares of the data sets in an epoch."""

from __future__ import annotations

from typing import Any

import pytest

from training.tasks.mixing import data_set_groups, spread

NAMES = ["lspet"] * 20 + ["mpii"] * 4


def test_repeats_are_taken_as_they_are(recipe: Any) -> None:
    groups = data_set_groups(NAMES, recipe(datasets={"mpii": 3, "lspet": 0.5}))
    assert [(list(indices), repeats) for indices, repeats in groups] == [
        ([20, 21, 22, 23], 3),
        (list(range(20)), 0.5),
    ]


def test_balanced_mixing_keeps_the_length_of_an_epoch(recipe: Any) -> None:
    mixed = recipe(mixing="balanced", datasets={"mpii": 1, "lspet": 2})
    (few, often), (many, seldom) = data_set_groups(NAMES, mixed)
    assert (len(few), len(many)) == (4, 20)
    assert len(few) * often == pytest.approx(24 / 3)
    assert len(many) * seldom == pytest.approx(24 * 2 / 3)


def test_a_data_set_without_samples_takes_no_share(recipe: Any) -> None:
    mixed = recipe(mixing="balanced", datasets={"mpii": 1, "lsp": 7})
    ((indices, repeats),) = data_set_groups(["mpii"] * 6, mixed)
    assert len(indices) * repeats == pytest.approx(6)


def test_few_samples_are_of_all_parts() -> None:
    assert spread(range(24), 6) == [2, 6, 10, 14, 18, 22]
    assert spread(range(3), 3) == spread(range(3), 7) == spread(range(3), None) == [0, 1, 2]
    assert spread(range(5), 1) == [2]
    assert spread([], 4) == []
    names = [NAMES[i] for i in spread(range(24), 6)]
    assert names.count("mpii") == 1
