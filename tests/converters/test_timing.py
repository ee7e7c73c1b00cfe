from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from converters.timing import noise, time_in_turns
from edge_pose.manifest import InputTensor


class Clock:
    """Time that only passes when somebody works."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.calls: list[str] = []

    def work(self, name: str, seconds: float) -> None:
        self.calls.append(name)
        self.now_s += seconds

    def __call__(self) -> float:
        return self.now_s


def test_everyone_is_timed_in_every_round() -> None:
    clock = Clock()
    calls = {
        "slow": lambda: clock.work("slow", 0.020),
        "quick": lambda: clock.work("quick", 0.005),
    }
    found = time_in_turns(calls, rounds=10, warm_up=2, clock=clock)
    assert Counter(clock.calls) == {"slow": 12, "quick": 12}
    # Each round has both, and neither always comes first.
    turns = {tuple(clock.calls[i : i + 2]) for i in range(0, 24, 2)}
    assert turns == {("slow", "quick"), ("quick", "slow")}
    assert found["slow"].p50_ms == pytest.approx(20.0)
    assert found["quick"].p95_ms == pytest.approx(5.0)
    assert found["quick"].runs == 10


def test_warm_up_does_not_count() -> None:
    clock = Clock()

    def cold_at_first() -> None:
        clock.work("x", 1.0 if len(clock.calls) < 3 else 0.001)

    found = time_in_turns({"x": cold_at_first}, rounds=5, warm_up=3, clock=clock)
    assert found["x"].p95_ms == pytest.approx(1.0)


def test_rounds_are_counted_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    time_in_turns({"x": lambda: None}, rounds=2, warm_up=1, tick=lambda *at: told.append(at))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    told.clear()
    nobody: dict[str, Callable[[], object]] = {}
    assert time_in_turns(nobody, tick=lambda *at: told.append(at)) == {}
    assert told == []


def test_zero_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds: 0, at least 1"):
        time_in_turns({"x": lambda: None}, rounds=0)


@pytest.mark.parametrize(
    ("layout", "dtype", "shape"),
    [("nchw", "float32", (1, 3, 48, 64)), ("nhwc", "uint8", (1, 48, 64, 3))],
)
def test_noise_fits_the_model(layout: str, dtype: str, shape: tuple[int, ...]) -> None:
    tensor = InputTensor.model_validate(
        {
            "name": "image",
            "size": (64, 48),
            "layout": layout,
            "dtype": dtype,
            "color": "rgb",
            "mean": (127.5, 127.5, 127.5),
            "std": (127.5, 127.5, 127.5),
        }
    )
    made = noise(tensor)
    assert made.shape == shape
    assert made.dtype == np.dtype(dtype)
    assert made.std() > 0
