"""Energy of traces whose integral is known, and the uncertainty computed by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_pose.power.base import Accuracy
from edge_pose.power.integral import Integral

DURATION_S = 60.0


def regular() -> Iterator[float]:
    yield from (0.1 * step for step in range(601))


def irregular() -> Iterator[float]:
    """Between 5 and 300 ms apart, as a busy machine samples; both ends included."""
    generator = random.Random(7)  # noqa: S311 - no secret
    time_s = 0.0
    while time_s < DURATION_S:
        yield time_s
        time_s += generator.uniform(0.005, 0.3)
    yield DURATION_S


SHAPES: dict[str, tuple[Callable[[float], float], float]] = {
    "constant": (lambda _: 7.5, 7.5 * 60),
    "ramp": (lambda t: 2 + 0.25 * t, 2 * 60 + 0.125 * 3600),
    "sine": (lambda t: 10 + 3 * math.sin(2 * math.pi * t / 4), 10 * 60),  # 15 whole periods
    "half a sine": (lambda t: 8 * math.sin(math.pi * t / 60), 8 * 60 * 2 / math.pi),
    "decay": (lambda t: 5 + 20 * math.exp(-t / 10), 300 + 200 * (1 - math.exp(-6))),
    "parabola": (lambda t: 0.01 * (t - 30) ** 2, 0.01 * 2 * 30**3 / 3),
}


@pytest.mark.parametrize("times", [regular, irregular])
@pytest.mark.parametrize("shape", SHAPES)
def test_energy_to_a_tenth_of_a_percent(shape: str, times: Callable[[], Iterator[float]]) -> None:
    power_w, energy_j = SHAPES[shape]
    integral = Integral()
    for time_s in times():
        integral.add(1000.0 + time_s, power_w(time_s))
    assert integral.energy_j == pytest.approx(energy_j, rel=1e-3)
    assert integral.duration_s == pytest.approx(DURATION_S)
    assert integral.mean_w == pytest.approx(energy_j / DURATION_S, rel=1e-3)


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=30), st.floats(0, 100))
def test_constant_power_is_exact_however_it_is_sampled(steps_s: list[float], watts: float) -> None:
    integral = Integral()
    time_s = 0.0
    integral.add(time_s, watts)
    for step_s in steps_s:
        time_s += step_s
        integral.add(time_s, watts)
    assert integral.energy_j == pytest.approx(watts * sum(steps_s), rel=1e-9)
    assert integral.uncertainty_w(Accuracy()) == 0.0


def test_counted_energy_is_taken_as_it_is() -> None:
    integral = Integral()
    integral.add(0.0, 50.0, mean=True, step_j=99.0)  # of the time before the start
    integral.add(1.0, 50.0, mean=True, step_j=3.0)
    integral.add(3.0, 50.0, mean=True, step_j=4.0)
    assert integral.energy_j == 7.0
    assert integral.mean_w == pytest.approx(7 / 3)


def test_extremes_leave_out_a_mean_of_the_time_before() -> None:
    integral = Integral()
    for time_s, watts in ((0.0, 99.0), (1.0, 4.0), (2.0, 2.0)):
        integral.add(time_s, watts, mean=True)
    assert (integral.min_w, integral.max_w) == (2.0, 4.0)
    integral = Integral()
    integral.add(0.0, 99.0)
    assert (integral.min_w, integral.max_w) == (99.0, 99.0)


def constant(watts: float = 10.0, samples: int = 11) -> Integral:
    integral = Integral()
    for number in range(samples):
        integral.add(float(number), watts)
    return integral


def test_error_of_the_sensor() -> None:
    integral = constant()
    assert integral.uncertainty_w(Accuracy(0.03)) == pytest.approx(2 * 0.3 / math.sqrt(3))
    assert integral.uncertainty_w(Accuracy(offset_w=0.2)) == pytest.approx(2 * 0.2 / math.sqrt(3))
    assert integral.uncertainty_w(Accuracy(resolution_w=0.1)) == pytest.approx(0.2 / math.sqrt(12))
    both = integral.uncertainty_w(Accuracy(0.03, 0.2))
    assert both == pytest.approx(2 * math.hypot(0.3, 0.2) / math.sqrt(3))


def test_spread_of_the_readings() -> None:
    integral = Integral()
    for number in range(101):
        integral.add(float(number), 10.0 + (-1) ** number)
    # neighbours differ by 2: s = sqrt(4/2); 101 readings
    assert integral.uncertainty_w(Accuracy()) == pytest.approx(2 * math.sqrt(2 / 101))
    # a sensor that renews its value every 20 s gives 6 readings that can differ
    slow = math.hypot(math.sqrt(400 / 10) / math.sqrt(6), math.sqrt(40) * 0.2 * math.sqrt(2 / 12))
    assert integral.uncertainty_w(Accuracy(update_s=20)) == pytest.approx(2 * slow)


def test_a_slow_ramp_is_no_spread() -> None:
    integral = Integral()
    for number in range(1001):
        integral.add(number * 0.1, 5.0 + 0.01 * number)
    assert integral.uncertainty_w(Accuracy()) < 0.001


def test_ends_of_a_counter() -> None:
    integral = Integral()
    for number in range(11):
        integral.add(float(number), 10.0, mean=True, step_j=10.0)
    expected_w = 2 * 10 * (0.1 / 10) * math.sqrt(2 / 12)
    assert integral.uncertainty_w(Accuracy(update_s=0.1)) == pytest.approx(expected_w)


def test_nothing_is_known_within_one_update_of_the_sensor() -> None:
    assert constant(samples=2).uncertainty_w(Accuracy(update_s=10)) is None  # 1 s
    assert constant(samples=2).uncertainty_w(Accuracy(0.03, update_s=10)) is None
    assert constant(samples=11).uncertainty_w(Accuracy(update_s=10)) == 0.0
    assert Integral().uncertainty_w(Accuracy(update_s=10)) is None


def test_a_brief_mean_is_no_extreme() -> None:
    integral = Integral()
    integral.add(0.0, 1.0, mean=True)
    integral.add(1.0, 5.0, mean=True)
    integral.add(1.001, 900.0, mean=True, step_j=0.9, brief=True)
    assert (integral.min_w, integral.max_w) == (5.0, 5.0)
    assert integral.energy_j == pytest.approx(5.9)


def test_one_reading_or_none() -> None:
    assert Integral().uncertainty_w(Accuracy(0.01)) == 0.0
    assert constant(samples=1).uncertainty_w(Accuracy(0.03)) == pytest.approx(0.6 / math.sqrt(3))
