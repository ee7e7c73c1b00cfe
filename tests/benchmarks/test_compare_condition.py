"""Conditions for the CI of integrators: they hold, do not hold, or are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from benchmarks.compare import both
from benchmarks.compare_condition import parse_condition
from benchmarks.interval import interval
from benchmarks.named_figures import EVERYTHING, SPEED, Figure, named_figures
from benchmarks.result import DeviceResult
from edge_pose.errors import UsageError

Planted = Callable[..., DeviceResult]


def holds(text: str, a: DeviceResult, b: DeviceResult, *, significant: bool = False) -> bool:
    pairs = both(a, b, EVERYTHING)
    condition = parse_condition(text, {name: pair[0] for name, pair in pairs.items()})
    return condition.holds(*pairs[condition.figure], significant=significant)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latency_p95 > +5%", True),
        ("latency_p95 > +25%", False),
        ("latency_p95>+19.9 %", True),
        ("fps < -10%", True),
        ("fps < -20%", False),
        ("offline.fps<-10%", True),
        ("fixed_rate.infer_p50 >= +15%", True),
        ("ae < -16%", True),
        ("energy > +0%", True),
        ("energy > +0.0000001mJ", True),
        ("accuracy < -0.5pp", True),
        ("accuracy < -1.5pp", False),
        ("accuracy < -1%", True),
        ("accuracy < -1.3%", False),
        ("accuracy < 79.5", True),
        ("accuracy < 79.5 pp", True),
        ("power > +0%", False),
        ("power >= +0%", True),
        ("power > 4.9", True),
        ("power > 4900mW", True),
        ("power <= 4.9W", False),
        ("power > 5.1 W", False),
    ],
)
def test_a_condition_holds_or_not(text: str, expected: bool, planted: Planted) -> None:
    # B is a fifth slower, a point less accurate, and draws the same 5 W.
    assert holds(text, planted(), planted(slow=1.2, accuracy=79.0)) is expected


def test_limits_in_every_unit_of_time(planted: Planted) -> None:
    b = planted(slow=2.0)
    median_ms = b.modes["single_stream"].latency["end_to_end"].p50_ms.mean
    for text, factor in (("ms", 1.0), ("us", 1e3), ("s", 1e-3)):
        below, above = (f"{median_ms * factor * part:.9f}{text}" for part in (0.9, 1.1))
        assert holds(f"latency_p50 > {below}", planted(), b)
        assert not holds(f"latency_p50 > {above}", planted(), b)
        assert holds(f"latency_p50 > +{float(below[: -len(text)]) / 2:.9f}{text}", planted(), b)
        assert not holds(f"latency_p50 > +{above}", planted(), b)


def test_a_change_within_the_scatter_of_the_repeats_does_not_hold(
    planted: Planted, bench: Callable[..., tuple[int, str, str]], write: Callable[..., Path]
) -> None:
    wide = (-0.3, -0.1, 0.0, 0.2, 0.35)
    a, b = planted(scatter=wide), planted(slow=1.1, scatter=wide)
    for significant in (False, True):
        assert not holds("latency_p95 > +5%", a, b, significant=significant)
    code, out, err = bench(
        "compare", write("a", a), write("b", b), "--fail-if", "latency_p95 > +5%"
    )
    assert (code, err) == (0, "")
    assert "does not hold: the means are beyond it, but the repeats scatter" in " ".join(
        out.split()
    )
    # What is demanded needs no proof that it is lacking, and neither does a limit for B itself.
    assert holds("fps < +5%", a, b)
    assert holds("latency_p95 > 0.001", a, b)


def test_fewer_than_three_repeats_go_by_the_value(planted: Planted) -> None:
    for scatter, expected in (((0.0,), True), ((-0.1, 0.1), True), ((-0.1, 0.0, 0.1), False)):
        a, b = planted(scatter=scatter), planted(slow=1.1, scatter=scatter)
        assert holds("latency_p95 > +5%", a, b) is expected
        assert not holds("latency_p95 > +15%", a, b)
    assert holds("latency_p95 > +5%", planted(scatter=(-0.1, 0.1)), planted(slow=1.1))


def test_equal_results_that_scatter_raise_few_false_alarms() -> None:
    random = Random(0)  # noqa: S311 - noise

    def figure() -> Figure:
        repeats = interval(random.gauss(10.0, 1.0) for _ in range(5))
        return Figure("single_stream.latency_p95", "ms", "lower", SPEED, repeats)

    pairs = [(figure(), figure()) for _ in range(200)]
    condition = parse_condition("latency_p95 > +5%", {pairs[0][0].name: pairs[0][0]})
    alarms = sum(condition.holds(a, b, significant=False) for a, b in pairs)
    wolves = sum(condition.within_scatter(a, b) for a, b in pairs)
    assert alarms <= 10  # one in forty is to be expected
    assert wolves >= 25  # what the means alone would have cried


def test_a_planted_slowdown_is_significant(planted: Planted) -> None:
    a, b = planted(), planted(slow=2.0)
    for text in ("latency_p95 > +50%", "fps < -30%", "latency_p95 > +0ms", "accuracy < 81"):
        assert holds(text, a, b, significant=True)
    assert not holds("latency_p95 > +120%", a, b, significant=True)
    limit_ms = a.modes["single_stream"].latency["end_to_end"].p95_ms.mean
    assert holds(f"latency_p95 > {1.9 * limit_ms:.6f}ms", a, b, significant=True)
    # The mean is above this limit, but not the whole of its interval.
    assert holds(f"latency_p95 > {1.99 * limit_ms:.6f}ms", a, b)
    assert not holds(f"latency_p95 > {1.99 * limit_ms:.6f}ms", a, b, significant=True)


def test_one_value_cannot_be_significant(planted: Planted) -> None:
    with pytest.raises(UsageError, match=r"memory has one value only.*--repeats"):
        holds("memory > +5%", planted(), planted(), significant=True)
    single = planted(scatter=(0.0,))
    with pytest.raises(UsageError, match="one value only"):
        holds("fps < 10", single, single, significant=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latncy_p95 > +5%", "'latncy_p95' is unknown, did you mean 'latency_p95'"),
        ("online.fps > +5%", "did you mean 'offline.fps'"),
        ("", "is no condition; write it as FIGURE OP"),
        ("latency_p95", "is no condition"),
        ("latency_p95 > ", "is no condition"),
        ("latency_p95 => 5", "is no condition"),
        ("latency_p95 > +5% or more", "is no condition"),
        ("latency_p95 == +5%", "is no condition"),
        ("latency_p95 > nan", "is no condition"),
        ("latency_p95 > +1e3ms", "is no condition"),
        ("latency_p95 > 5%", "'%' needs a sign"),
        ("latency_p95 > +5W", "'W' is no unit of single_stream.latency_p95 (known: s, ms, us"),
        ("latency_p95 > 5pp", "'pp' is no unit of"),
        ("fps < 30 Hz", "'Hz' is no unit of offline.fps (known: FPS"),
    ],
)
def test_a_malformed_condition_says_what_is_allowed(
    text: str, expected: str, result: DeviceResult
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_condition(text, named_figures(result))
    told = str(caught.value)
    assert told.startswith(f"--fail-if '{text}': ")
    assert expected in told
    assert "\n" not in told
    if "unknown" in expected or "no condition" in expected:
        for name in ("accuracy", "fps", "latency_*", "infer_*", "energy", "misses", "p95"):
            assert name in told


def test_the_exit_code_is_1_where_a_condition_holds(
    planted: Planted, bench: Callable[..., tuple[int, str, str]], write: Callable[..., Path]
) -> None:
    files = write("a", planted()), write("b", planted(slow=1.2))
    code, out, err = bench("compare", *files, "--fail-if", "latency_p95 > +5%", "--significant")
    assert (code, err) == (1, "failed: latency_p95 > +5%\n")
    assert "HOLDS with 95 % confidence" in " ".join(out.split())
    code, out, err = bench("compare", *files, "--fail-if", "latency_p95 > +25%")
    assert (code, err) == (0, "")
    assert "does not hold" in " ".join(out.split())
    both_ways = ("--fail-if", "fps < 0.001", "--fail-if", "fps < -5%")
    code, _, err = bench("compare", *files, *both_ways, "--json")
    assert (code, err) == (1, "failed: fps < -5%\n")


def test_the_exit_code_is_2_for_a_malformed_one(
    planted: Planted, bench: Callable[..., tuple[int, str, str]], write: Callable[..., Path]
) -> None:
    files = write("a", planted()), write("b", planted())
    code, out, err = bench("compare", *files, "--fail-if", "latncy_p95 > +5%")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "did you mean 'latency_p95'?" in err


def test_the_conditions_of_the_documentation_are_conditions(result: DeviceResult) -> None:
    text = (Path(__file__).parents[2] / "docs" / "benchmark.md").read_text("utf-8")
    written = re.findall(r'--fail-if "([^"]+)"', text)
    written += re.findall(r"^\| `([^`]+ [<>] [^`]+)` \|", text, re.MULTILINE)
    assert len(written) >= 9
    for condition in written:
        parse_condition(condition, named_figures(result))
