from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random

import pytest

from benchmarks.result import DeviceResult
from benchmarks.steady import SteadyState, drift


def feed(state: SteadyState, passes: Iterable[Sequence[float]]) -> int:
    """Return after how many frames it was done."""
    for latencies in passes:
        if state.done:
            break
        state.add(latencies)
    return state.frames


def passes(
    random: Random, levels: Iterable[float], *, whole: float = 0.0, frame: float
) -> Iterator[list[float]]:
    """Yield passes of 40 frames; `whole` and `frame` are the scatter of a pass and of a frame."""
    for level in levels:
        mean = level * random.lognormvariate(0, whole)
        yield [mean * random.lognormvariate(0, frame) for _ in range(40)]


def test_a_machine_that_warms_up_is_waited_for() -> None:
    # 2.0, 1.5, 1.25, 1.125 … : every pass halves the distance to 1.
    state = SteadyState(window=10, tolerance=0.02)
    frames = feed(state, ([1.0 + 0.5**k] * 10 for k in range(20)))
    assert state.steady
    # 1 + 1/32 and 1 + 1/64 are the first neighbours within 2 %, the sixth and seventh pass; the
    # eighth confirms it.
    assert frames == 80
    assert state.medians_s[-1] == 1.0 + 0.5**7


def test_what_is_in_a_frame_is_no_warm_up() -> None:
    clip = [1.0] * 10 + [2.5] * 10 + [1.5] * 20  # a search takes longer than following
    state = SteadyState(window=40)
    assert feed(state, [clip] * 5) == 3 * 40
    assert state.steady


def test_single_slow_frames_do_not_disturb() -> None:
    state = SteadyState(window=10)
    slow_once = [[5.0, *[1.0] * 9], [50.0, *[1.0] * 9], [*[1.0] * 9, 7.0]]
    assert feed(state, slow_once) == 30
    assert state.steady


def test_a_noisy_machine_that_does_not_change_is_steady() -> None:
    random = Random(0)  # noqa: S311 - noise
    took = []
    for _ in range(200):
        state = SteadyState()
        took.append(feed(state, passes(random, [1.0] * 10, frame=0.3)))
        assert state.steady
    assert sum(frames == 120 for frames in took) > 160


def test_other_work_that_slows_whole_passes_is_no_warm_up() -> None:
    random = Random(0)  # noqa: S311 - noise
    for scatter in (0.03, 0.06):
        states = [SteadyState() for _ in range(200)]
        for state in states:
            feed(state, passes(random, [1.0] * 10, whole=scatter, frame=0.005))
        # 40 % and 80 % are shifted from pass to pass up to the end.
        assert sum(state.frames == 400 for state in states) > 60
        assert sum(not state.steady for state in states) <= 10


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_trend_is_found_where_whole_passes_are_slowed(factor: float) -> None:
    random = Random(0)  # noqa: S311 - noise
    states = [SteadyState() for _ in range(200)]
    for state in states:
        feed(state, passes(random, [factor**k for k in range(10)], whole=0.02, frame=0.005))
    assert sum(not state.steady for state in states) > 180


def test_in_fewer_passes_no_trend_is_looked_for() -> None:
    to_and_fro = [[1.0 + 0.1 * (k % 2)] * 40 for k in range(7)]
    for at_most, steady in ((240, False), (280, True)):
        state = SteadyState(at_most=at_most)
        assert feed(state, to_and_fro) == at_most
        assert state.steady is steady


def test_a_pass_that_was_cut_short_tells_nothing() -> None:
    state = SteadyState(at_most=81)
    assert feed(state, [[1.0] * 40, [1.0] * 40, [1.0]]) == 81
    assert state.done
    assert not state.steady
    assert len(state.medians_s) == 2


def test_a_clock_that_says_0() -> None:
    state = SteadyState(window=8)
    assert feed(state, [[0.0] * 8] * 3) == 24
    assert state.steady


def test_a_noisy_machine_that_warms_up_is_waited_for() -> None:
    random = Random(0)  # noqa: S311 - noise
    for _ in range(100):
        state = SteadyState()
        levels = (2.0, 1.6, 1.28, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
        feed(state, passes(random, levels, frame=0.1))
        assert state.frames >= 6 * 40


def test_patience_ends() -> None:
    state = SteadyState(window=5, at_most=38)
    slower = [[1.2**k] * 5 for k in range(7)]
    assert feed(state, [*slower, [1.2**7] * 3]) == 38
    assert state.done
    assert not state.steady


def test_a_shift_below_the_tolerance_is_steady_and_above_is_not() -> None:
    for step, steady in ((0.019, True), (0.021, False)):
        state = SteadyState(window=8, tolerance=0.02, at_most=24)
        feed(state, [[1.0] * 8, [1.0 + step] * 8, [(1.0 + step) ** 2] * 8])
        assert state.steady is steady


def test_no_warm_up_at_all() -> None:
    state = SteadyState(at_most=0)
    assert state.done
    assert not state.steady


@pytest.mark.parametrize("wrong", [{"window": 0}, {"tolerance": 0.0}, {"at_most": -1}])
def test_wrong_arguments(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="window"):
        SteadyState(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("repeats", "change"),
    [
        ((10.0, 10.3, 10.4, 10.9, 11.0), 0.1),
        ((11.0, 10.9, 10.4, 10.3, 10.0), -1 / 11),
        ((10.0, 10.01, 10.02, 10.03, 10.04), None),  # a trend of no importance
        ((10.0, 10.9, 10.3, 11.0, 10.4), None),
        ((10.0, 11.0, 12.0, 13.0), None),  # one of 24 orders: chance does that
        ((10.0,), None),
        ((10.0, 10.5, 10.2, 11.0, 11.2, 11.1, 11.9, 12.0), 0.2),
    ],
)
def test_a_drift_from_repeat_to_repeat(repeats: tuple[float, ...], change: float | None) -> None:
    assert drift(repeats) == (None if change is None else pytest.approx(change))


def test_noise_is_seldom_a_drift() -> None:
    random = Random(0)  # noqa: S311 - noise
    found = [drift([random.gauss(10.0, 1.0) for _ in range(5)]) for _ in range(1000)]
    # Two of the 120 orders of five repeats rise or fall all the way.
    assert 5 <= sum(change is not None for change in found) <= 30


@pytest.mark.parametrize(
    ("scatter", "words"),
    [
        ((-0.1, -0.05, 0.0, 0.05, 0.1), "rose by 22% (offline): it heats up, or is held back"),
        ((0.1, 0.05, 0.0, -0.05, -0.1), "fell by 18% (offline): it was not warm yet"),
        ((0.05, 0.0, -0.1, 0.1, -0.05), None),
    ],
)
def test_a_latency_that_rises_or_falls_over_the_repeats_is_warned_of(
    scatter: tuple[float, ...],
    words: str | None,
    planted: Callable[..., DeviceResult],
    told: Callable[..., tuple[str, ...]],
) -> None:
    lines = [one for one in told(planted(scatter=scatter)) if "from the first repeat" in one]
    assert len(lines) == (0 if words is None else 3)  # one for each mode
    assert not lines or any(line.endswith(words or "") for line in lines)
