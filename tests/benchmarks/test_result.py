"""What a result file may hold."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from benchmarks.read_report import parse_report
from benchmarks.result import DeviceResult
from benchmarks.schemas import FILE, schema_text
from edge_pose.errors import UsageError


@pytest.fixture
def values(result: DeviceResult) -> dict[str, Any]:
    """The result as JSON values."""
    found: dict[str, Any] = json.loads(result.model_dump_json(by_alias=True))
    return found


def scale(values: dict[str, Any], path: str, factor: float) -> dict[str, Any]:
    """Multiply every figure below a path."""

    def multiply(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: multiply(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [multiply(inner) for inner in value]
        return value * factor if isinstance(value, (int, float)) else value

    changed = copy.deepcopy(values)
    *tables, last = path.split(".")
    table = changed
    for name in tables:
        table = table[name]
    table[last] = multiply(table[last])
    return changed


def test_a_result_comes_back_as_it_was(result: DeviceResult, values: dict[str, Any]) -> None:
    assert parse_report(values, "here") == result


def test_the_committed_schema_is_the_models() -> None:
    assert FILE.read_text("utf-8") == schema_text(), "run python -m benchmarks.schemas"


def test_the_schema_takes_a_result_and_refuses_a_broken_one(values: dict[str, Any]) -> None:
    validate = fastjsonschema.compile(json.loads(FILE.read_text("utf-8")))
    validate(values)
    for path in ("setup", "artifact.sha256", "machine.rss_mib", "meter.source", "kind"):
        broken = copy.deepcopy(values)
        *tables, last = path.split(".")
        table = broken
        for name in tables:
            table = table[name]
        table[last] = 3 if path == "meter.source" else [True]
        with pytest.raises(fastjsonschema.JsonSchemaException, match=last):
            validate(broken)


@pytest.mark.parametrize(
    ("path", "factor", "expected"),
    [
        ("offline.power.mean_w", 1e3, "joules_per_frame .* does not follow .*: mixed units"),
        ("single_stream.power.joules_per_frame", 1e3, "joules_per_frame .*: mixed units"),
        (
            "offline.power.accuracy_fps_per_watt",
            1e-3,
            "accuracy_fps_per_watt .* from 80 %.*: mixed units",
        ),
        ("fixed_rate.latency.end_to_end.p50_ms", 1e3, "percentiles do not ascend: .* units mixed"),
        ("offline.latency.infer.max_ms", 1e-3, "percentiles do not ascend: .* units mixed"),
    ],
)
def test_figures_in_other_units_are_one_clear_line(
    path: str, factor: float, expected: str, values: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match=f"^here: [a-z_.]+: {expected}") as caught:
        parse_report(scale(values, path, factor), "here")
    assert "\n" not in str(caught.value)


def test_a_figure_under_the_name_of_another_unit_is_refused(values: dict[str, Any]) -> None:
    latency = values["offline"]["latency"]["infer"]
    latency["p50_s"] = latency.pop("p50_ms")
    with pytest.raises(UsageError, match=r"here: offline\.latency\.infer\.p50_(s|ms): "):
        parse_report(values, "here")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"offline": None, "single_stream": None, "fixed_rate": None}, "no mode was measured"),
        ({"validity": {"division": "open", "valid": False, "min_accuracy": None}}, "at least one"),
        ({"schema": "edge_pose.bench/1"}, "schema: "),
    ],
)
def test_what_contradicts_itself_is_refused(
    change: dict[str, Any], expected: str, values: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match=expected):
        parse_report({**values, **change}, "here")


def test_not_a_number_is_refused(values: dict[str, Any]) -> None:
    values["offline"]["fps"]["mean"] = float("nan")
    with pytest.raises(UsageError, match=r"offline\.fps\.mean: Input should be a finite number"):
        parse_report(values, "here")


def test_histogram_and_series_fit(values: dict[str, Any]) -> None:
    for path, name in (("histogram", "counts"), ("power", "series")):
        broken = copy.deepcopy(values)
        table = broken["offline"][path]
        if name == "series":
            table["series"]["time_s"].append(9.0)
        else:
            table["counts"].append(1)
        with pytest.raises(UsageError, match=r"edges for|times for"):
            parse_report(broken, "here")


def test_show_of_a_result_in_other_units(
    values: dict[str, Any], errors: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(scale(values, "offline.power.mean_w", 1e3)), "utf-8")
    assert "mixed units" in errors("show", file)


def test_a_mode_without_the_latency_that_matters(values: dict[str, Any]) -> None:
    del values["offline"]["latency"]["end_to_end"]
    with pytest.raises(UsageError, match=r"offline: latency: has no end_to_end"):
        parse_report(values, "here")


@pytest.mark.parametrize(
    ("key", "number", "expected"),
    [("counts", -1, "counts.0: .*greater than or equal to 0"), ("edges_ms", 1e9, "edges do not")],
)
def test_a_broken_histogram(key: str, number: float, expected: str, values: dict[str, Any]) -> None:
    values["offline"]["histogram"][key][0] = number
    with pytest.raises(UsageError, match=expected):
        parse_report(values, "here")


def test_power_without_samples_has_a_reason(values: dict[str, Any]) -> None:
    values["offline"]["power"]["samples"] = 0
    with pytest.raises(UsageError, match="no samples, and no reason why"):
        parse_report(values, "here")
