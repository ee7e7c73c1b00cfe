from __future__ import annotations

from collections.abc import Sequence

import pytest

from converters.openvino_sensitivity import GROUP, search

LAYERS = tuple(f"Convolution_{i}" for i in range(64))
HARM = dict.fromkeys(LAYERS, 0.01) | {
    "Convolution_41": 9.0,
    "Convolution_3": 5.0,
    "Convolution_40": 2.0,
}


class Damage:
    """Adds up, as that of real layers nearly does."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def __call__(self, names: Sequence[str]) -> float:
        self.asked.append(names)
        return sum(HARM[name] for name in names)


def test_each_layer_alone_where_there_is_time() -> None:
    damage = Damage()
    found = search(LAYERS, damage, max_measurements=64)
    assert found[:3] == ("Convolution_41", "Convolution_3", "Convolution_40")
    assert sorted(found) == sorted(LAYERS)
    assert [len(names) for names in damage.asked] == [1] * 64


def test_the_worst_are_found_in_groups_where_there_is_not() -> None:
    damage = Damage()
    found = search(LAYERS, damage, max_measurements=24)
    assert found[:3] == ("Convolution_41", "Convolution_3", "Convolution_40")
    assert sorted(found) == sorted(LAYERS)
    assert len(damage.asked) <= 25
    assert max(len(names) for names in damage.asked) == GROUP


@pytest.mark.parametrize("count", [0, 1, 7])
def test_few_layers(count: int) -> None:
    assert sorted(search(LAYERS[:count], Damage(), 3)) == sorted(LAYERS[:count])


@pytest.mark.parametrize("layers", [0, 1, 7, 64])
@pytest.mark.parametrize("at_most", [1, 3, 9, 24, 64, 1000])
def test_measurements_are_counted_to_the_end(layers: int, at_most: int) -> None:
    damage, told = Damage(), list[tuple[int, int]]()
    search(LAYERS[:layers], damage, at_most, lambda *at: told.append(at))
    total = len(damage.asked)
    assert told == [(done, total) for done in range(total + 1)]


def test_no_measurements_left_is_still_an_order() -> None:
    assert search(LAYERS, Damage(), 1)[0] in LAYERS[40:48]
