"""Two results side by side: planted differences are found, noise is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.compare import both, compare
from benchmarks.compare_tables import words
from benchmarks.device_files import Named
from benchmarks.interval import interval
from benchmarks.named_figures import EVERYTHING, named_figures, short_names
from benchmarks.result import DeviceResult
from edge_pose.errors import UsageError

Planted = Callable[..., DeviceResult]
Write = Callable[..., Path]
Bench = Callable[..., tuple[int, str, str]]

NOISE = (-0.019, 0.012, 0.004, -0.008, 0.016)  # the same mean and spread in another order
TIMES = [f"single_stream.latency_{name}" for name in ("mean", "p50", "p90", "p95", "p99")]


def side_by_side(a: DeviceResult, b: DeviceResult, **options: object) -> dict[str, str]:
    found = compare(Named("a", a), Named("b", b), **options)  # type: ignore[arg-type]
    return {row.name: row.verdict for row in found.figures}


def test_twice_as_slow_is_worse_in_everything_that_follows_from_time(planted: Planted) -> None:
    a, b = planted(), planted(slow=2.0)
    found = compare(Named("a", a), Named("b", b))
    rows = {row.name: row for row in found.figures}
    for name in (*TIMES, "offline.latency_p95", "fixed_rate.infer_p50"):
        assert rows[name].ratio == pytest.approx(2.0)
        assert rows[name].verdict == "worse"
        assert rows[name].difference.low is not None
        assert rows[name].difference.low > 0.9 * rows[name].a.mean
    for name in ("offline.fps", "single_stream.ae"):
        assert rows[name].ratio == pytest.approx(0.5)
        assert rows[name].verdict == "worse"
    assert rows["offline.energy"].verdict == "worse"
    # What was not planted stays: the same power, the same artifact.
    for name in ("offline.power", "accuracy", "size"):
        assert rows[name].ratio == 1.0
        assert rows[name].verdict == "no difference shown"
    assert {row.verdict for row in compare(Named("b", b), Named("a", a)).figures} >= {"better"}


def test_noise_is_no_difference(planted: Planted) -> None:
    found = side_by_side(planted(), planted(scatter=NOISE))
    assert set(found.values()) == {"no difference shown", "too few repeats"}
    assert found["single_stream.latency_max"] == "too few repeats"


def test_a_difference_within_the_scatter_is_none_and_beyond_it_is_one(planted: Planted) -> None:
    wide = (-0.2, -0.1, 0.0, 0.1, 0.2)
    small = side_by_side(planted(scatter=wide), planted(slow=1.1, scatter=wide))
    assert {small[name] for name in TIMES} == {"no difference shown"}
    large = side_by_side(planted(), planted(slow=1.1))
    assert {large[name] for name in TIMES} == {"worse"}


def test_one_repeat_tells_nothing(planted: Planted) -> None:
    found = side_by_side(planted(scatter=(0.0,)), planted(slow=2.0, scatter=(0.0,)))
    assert {found[name] for name in TIMES} == {"too few repeats"}
    assert found["accuracy"] == "no difference shown"


def test_accuracy_needs_no_repeats(planted: Planted) -> None:
    assert side_by_side(planted(), planted(accuracy=79.5))["accuracy"] == "worse"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"artifact__accuracy__dataset": "coco"}, "data set: blobs against coco"),
        ({"meter__source": "measured"}, "power: estimated against measured"),
        ({"source__sha256": "ab" * 32}, "source: "),
        ({"environment__cpu_model": "Cortex-A76"}, "machine: "),
    ],
)
def test_unlike_is_refused(
    changes: dict[str, object],
    line: str,
    planted: Planted,
    write: Write,
    errors: Callable[..., str],
) -> None:
    files = write("a", planted()), write("b", planted(**changes))
    told = errors("compare", *files, "--fail-if", "fps < 1000000")
    assert f"cannot compare unlike results: {line}" in told
    assert "--only" in told


def test_only_what_is_alike(planted: Planted) -> None:
    a, b = planted(), planted(slow=2.0, meter__source="measured", meter__name="rapl")
    found = side_by_side(a, b, aspects=("accuracy", "speed"))
    assert found["offline.fps"] == "worse"
    assert not {"offline.power", "offline.energy", "offline.ae", "idle_power"} & set(found)
    assert "accuracy" not in side_by_side(a, b, aspects=("speed",))
    with pytest.raises(UsageError, match="power: estimated against measured"):
        compare(Named("a", a), Named("b", b))


def test_two_machines_only_when_asked_for(planted: Planted) -> None:
    a, b = planted(), planted(slow=3.0, environment__cpu_model="Cortex-A76")
    with pytest.raises(UsageError, match=r"machine: .* against Cortex-A76"):
        side_by_side(a, b)
    with pytest.raises(UsageError, match=r"machine: .* against Cortex-A76"):
        side_by_side(a, b, other_machine=True)  # the power is estimated, which is of one machine
    a = planted(meter__source="measured")
    b = planted(slow=3.0, environment__cpu_model="Cortex-A76", meter__source="measured")
    assert side_by_side(a, b, other_machine=True)["offline.fps"] == "worse"


def test_two_files_of_one_name_are_told_apart(
    bench: Callable[..., tuple[int, str, str]], result: DeviceResult, tmp_path: Path
) -> None:
    files = [tmp_path / folder / "run.json" for folder in ("before", "after")]
    for file in files:
        file.parent.mkdir()
        file.write_text(result.model_dump_json(by_alias=True), "utf-8")
    code, out, _ = bench("compare", *files, "--json")
    assert code == 0
    found = json.loads(out)
    assert [found[side]["name"] for side in "ab"] == [str(f.with_suffix("")) for f in files]


def test_what_else_changed_is_told(planted: Planted) -> None:
    libraries = {"edge-pose": "9.9.9"}
    b = planted(setup__threads=7, environment__libraries=libraries, artifact__precision="int8")
    changed = compare(Named("a", planted()), Named("b", b)).changed
    assert changed["threads"][1] == "7"
    assert changed["precision"] == ("fp32", "int8")
    assert changed["edge-pose"][1] == "9.9.9"
    assert changed["numpy"][1] == "none"


def test_every_figure_of_a_result_is_compared(result: DeviceResult) -> None:
    figures = named_figures(result)
    assert set(both(result, result, EVERYTHING)) == set(figures)
    for mode in result.modes:
        assert {f"{mode}.fps", f"{mode}.latency_p99", f"{mode}.infer_p50", f"{mode}.ae"} <= set(
            figures
        )
    assert {"fixed_rate.misses", "threads_1.fps", "parts.overhead", "memory"} <= set(figures)
    assert (
        figures["offline.energy"].value.mean == result.modes["offline"].power.joules_per_frame.mean
    )


def test_short_names_mean_the_mode_where_they_mean_most(result: DeviceResult) -> None:
    short = short_names(named_figures(result))
    assert short["latency_p95"] == "single_stream.latency_p95"
    assert short["infer_p50"] == "single_stream.infer_p50"
    assert short["fps"] == "offline.fps"
    assert short["misses"] == "fixed_rate.misses"
    assert short["accuracy"] == "accuracy"
    alone = result.model_copy(update={"single_stream": None, "offline": None})
    assert short_names(named_figures(alone))["fps"] == "fixed_rate.fps"


def test_the_command_prints_tables_and_json(planted: Planted, write: Write, bench: Bench) -> None:
    reasons = {"valid": False, "reasons": ["accuracy: too low"], "division": "closed"}
    b = planted(slow=2.0, validity={**reasons, "min_accuracy": 90.0, "measured_power": False})
    files = write("before", planted()), write("after", b)
    code, out, err = bench("compare", *files)
    assert (code, err) == (0, "")
    for text in ("A: before, B: after", "worse", "2.000", "energy per frame, mJ (est.)"):
        assert text in out
    assert "B is INVALID: accuracy: too low" in out
    code, out, _ = bench("compare", *files, "--json")
    values = json.loads(out)
    assert (code, values["schema"]) == (0, "edge_pose.compare/1")
    assert {row["name"] for row in values["figures"]} == set(named_figures(b))
    code, out, _ = bench("compare", *files, "--markdown")
    assert code == 0
    assert out.startswith("## A: before, B: after\n")
    assert "| FPS |" in out
    columns = {line.count("|") for line in out.splitlines() if line.startswith("|")}
    assert columns == {7}


def test_a_brief_table_leaves_out_statistics_of_stages_only(planted: Planted) -> None:
    found = compare(Named("a", planted()), Named("b", planted()))
    brief, everything = words(found), words(found, everything=True)
    assert sum(map(len, everything.groups.values())) == len(found.figures)
    left_out = {row[0] for rows in everything.groups.values() for row in rows} - {
        row[0] for rows in brief.groups.values() for row in rows
    }
    assert "infer p99, ms" in left_out
    assert not any(name.startswith(("latency", "FPS", "power")) for name in left_out)


def test_files_that_cannot_be_compared(
    planted: Planted, write: Write, errors: Callable[..., str], tmp_path: Path
) -> None:
    good, bad = write("a", planted()), tmp_path / "bad.json"
    bad.write_text(good.read_text("utf-8")[:500], "utf-8")
    assert f"{bad}: not valid JSON" in errors("compare", good, bad)
    newer = good.read_text("utf-8").replace("edge_pose.bench/2", "edge_pose.bench/3")
    bad.write_text(newer, "utf-8")
    assert "is newer than this version of edge_pose" in errors("compare", good, bad)
    old = Path(__file__).parents[2] / "benchmarks" / "results" / "cold_start.json"
    assert "is a report of kind 'cold_start'" in errors("compare", good, old)
    assert "No such file" in errors("compare", good, tmp_path / "none.json")


def test_the_energy_above_idle_has_no_repeats_of_its_baseline(planted: Planted) -> None:
    assert side_by_side(planted(), planted(slow=2.0))["offline.energy_above_idle"] == (
        "too few repeats"
    )


def test_below_nothing_there_is_no_ratio(planted: Planted) -> None:
    below = interval([-0.1, -0.2]).model_dump()
    a = planted(offline__power__above_idle_joules_per_frame=below)
    rows = {row.name: row.ratio for row in compare(Named("a", a), Named("b", planted())).figures}
    assert rows["offline.energy_above_idle"] is None
    assert rows["offline.power"] == 1.0
