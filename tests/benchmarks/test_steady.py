from __future__ import annotations

import pytest

from benchmarks.steady import SteadyState


def feed(state: SteadyState, latencies: list[float]) -> int:
    """Return after how many frames it was done."""
    for latency in latencies:
        if state.done:
            break
        state.add(latency)
    return state.frames


def test_a_machine_that_warms_up_is_waited_for() -> None:
    # 2.0, 1.5, 1.25, 1.125 … : the windows of 10 frames halve their distance to 1.
    latencies = [1.0 + 0.5**k for k in range(20) for _ in range(10)]
    state = SteadyState(window=10, tolerance=0.02)
    frames = feed(state, latencies)
    assert state.steady
    # 1 + 1/32 and 1 + 1/64 are the first neighbours within 2 %: the sixth and seventh window.
    assert frames == 70
    assert state.medians_s[-1] == 1.0 + 0.5**6


def test_single_slow_frames_do_not_disturb() -> None:
    state = SteadyState(window=10)
    assert feed(state, [5.0, *[1.0] * 9, 50.0, *[1.0] * 9]) == 20
    assert state.steady


def test_patience_ends() -> None:
    state = SteadyState(window=5, at_most=40)
    assert feed(state, [float(k) for k in range(1, 100)]) == 40
    assert state.done
    assert not state.steady


def test_a_drift_below_the_tolerance_is_steady_and_above_is_not() -> None:
    for step, steady in ((0.019, True), (0.021, False)):
        state = SteadyState(window=4, tolerance=0.02, at_most=8)
        feed(state, [1.0] * 4 + [1.0 + step] * 4)
        assert state.steady is steady


def test_no_warm_up_at_all() -> None:
    state = SteadyState(at_most=0)
    assert state.done
    assert not state.steady


@pytest.mark.parametrize("wrong", [{"window": 0}, {"tolerance": 0.0}, {"at_most": -1}])
def test_wrong_arguments(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="window"):
        SteadyState(**wrong)  # type: ignore[arg-type]
