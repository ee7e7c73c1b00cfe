from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks.cold_start import ColdStartReport
from benchmarks.environment import Environment
from benchmarks.mediapipe_peer import MediapipeReport
from benchmarks.read_report import KINDS, parse_report, read_report
from benchmarks.report import Report, spread
from benchmarks.result import DeviceResult
from benchmarks.run_report import RunReport
from benchmarks.tables import TABLES
from edge_pose.errors import UsageError

MODELS: dict[str, type[Report]] = {
    "cold_start": ColdStartReport,
    "device": DeviceResult,
    "mediapipe": MediapipeReport,
    "run": RunReport,
}
RESULTS = Path(benchmarks.__file__).parent / "results"


@pytest.fixture
def values(environment: Environment) -> dict[str, Any]:
    """A cold-start report as JSON values."""
    figure = {"median": 1.0, "min": 0.5, "max": 2.0}
    parts = ("total_s", "interpreter_s", "imports_s", "model_load_s", "first_pose_s")
    return {
        "schema": "edge_pose.bench/1",
        "kind": "cold_start",
        "created_at": "2026-11-20T08:15:30Z",
        "environment": environment.model_dump(mode="json"),
        "model": "default",
        "source": "clip.mp4",
        "rounds": [{**dict.fromkeys(parts, 1.0), "frames": 1}],
        "summary": {**dict.fromkeys(parts, figure), "target_s": 1.5, "target_met": True},
    }


def test_a_report_comes_back_as_it_was(values: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    report = parse_report(values, "here")
    file.write_text(report.model_dump_json(by_alias=True), "utf-8")
    assert read_report(file) == report


def test_show_as_json_and_as_a_table(
    values: dict[str, Any], bench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(values), "utf-8")
    code, out, err = bench("show", file, "--json")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert json.loads(out) == values
    code, out, err = bench("show", file)
    assert (code, err) == (0, "")
    assert "process start to first pose, 1 rounds" in out


def test_the_oldest_supported_pydantic_knows_every_setting() -> None:
    # pydantic drops what it does not know without a word; `serialize_by_alias` came with 2.11.
    for model in (Report, *MODELS.values()):
        assert set(model.model_config) == {
            "extra",
            "frozen",
            "protected_namespaces",
            "allow_inf_nan",
        }


@pytest.mark.parametrize("key", ["created_at", "environment", "model", "rounds", "summary"])
def test_every_key_is_required(key: str, values: dict[str, Any]) -> None:
    del values[key]
    with pytest.raises(UsageError, match=f"^here: {key}: Field required$"):
        parse_report(values, "here")


@pytest.mark.parametrize("path", ["summary.total_s.median", "environment.cores", "rounds.0.frames"])
def test_inner_keys_too(path: str, values: dict[str, Any]) -> None:
    *tables, name = path.split(".")
    table: Any = values
    for part in tables:
        table = table[int(part) if part.isdigit() else part]
    copied = copy.deepcopy(table)
    del table[name]
    with pytest.raises(UsageError, match=f"here: {path}: Field required"):
        parse_report(copy.deepcopy(values), "here")
    table.update(copied, surplus=1)
    with pytest.raises(UsageError, match="surplus"):
        parse_report(values, "here")


@pytest.mark.parametrize("schema", ["edge_pose.bench/0", "edge_pose.bench/2x", "other/1", None])
def test_another_schema_is_refused(schema: str | None, values: dict[str, Any]) -> None:
    values["schema"] = schema
    expected = "schema .* expected 'edge_pose.bench/1' or 'edge_pose.bench/2'"
    with pytest.raises(UsageError, match=expected):
        parse_report(values, "here")


@pytest.mark.parametrize("schema", ["edge_pose.bench/3", "edge_pose.bench/10"])
def test_a_newer_schema_asks_for_an_update(schema: str, values: dict[str, Any]) -> None:
    values["schema"] = schema
    expected = f"^here: schema '{schema}' is newer .* reads up to 'edge_pose.bench/2': update"
    with pytest.raises(UsageError, match=expected):
        parse_report(values, "here")


def test_kinds_that_did_not_change_are_read_in_both_schemas(values: dict[str, Any]) -> None:
    old = parse_report(values, "here")
    new = parse_report({**values, "schema": "edge_pose.bench/2"}, "here")
    assert isinstance(old, ColdStartReport)
    assert isinstance(new, ColdStartReport)
    assert new.summary == old.summary


@pytest.mark.parametrize("name", ["run", "cold_start", "mediapipe"])
def test_the_reports_of_schema_1_that_are_in_the_repository(
    name: str, bench: Callable[..., tuple[int, str, str]]
) -> None:
    file = RESULTS / f"{name}.json"
    code, out, err = bench("show", file)
    assert (code, err) == (0, "")
    assert read_report(file).environment.cpu_model in out


@pytest.mark.parametrize("junk", [[], "text", 3, None, {}])
def test_what_is_no_report_is_refused(junk: object) -> None:
    with pytest.raises(UsageError, match="schema None"):
        parse_report(junk, "here")


def test_an_unknown_kind_is_refused(values: dict[str, Any]) -> None:
    values["kind"] = "cold_stat"
    with pytest.raises(UsageError, match="did you mean 'cold_start'"):
        parse_report(values, "here")


def test_every_kind_is_in_the_table() -> None:
    ours = {name: f"{m.__module__}:{m.__name__}" for name, m in MODELS.items()}
    assert ours.items() <= KINDS.items()
    assert set(KINDS) <= set(TABLES)
    for name, model in MODELS.items():
        assert model.model_fields["kind"].default == name


def test_show_of_what_is_no_report(errors: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert f"{file}: cannot be read: No such file" in errors("show", file)
    file.write_text("{", "utf-8")
    assert f"{file}: not valid JSON" in errors("show", file)
    file.write_text('{"schema": "edge_pose.bench/9"}', "utf-8")
    assert "is newer than this version" in errors("show", file)


def test_spread() -> None:
    found = spread(iter([3.0, 1.0, 10.0, 2.0]))
    assert (found.median, found.min, found.max) == (2.5, 1.0, 10.0)
