"""Results for other programs; Prometheus' text is read by its own parser."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.device_files import Named
from benchmarks.export import EXPORTERS, export
from benchmarks.named_figures import named_figures
from benchmarks.result import DeviceResult
from edge_pose.errors import UsageError

Planted = Callable[..., DeviceResult]
BASE_UNITS = ("info", "seconds", "ratio", "bytes", "watts", "joules", "cores", "valid", "ae")


def families(text: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(text: str, name: str, **labels: str) -> float:
    samples = families(text)[f"edge_pose_bench_{name}"].samples
    (found,) = (s.value for s in samples if labels.items() <= s.labels.items())
    return float(found)


@pytest.mark.parametrize("to", EXPORTERS)
def test_the_same_results_give_the_same_text(to: str, planted: Planted) -> None:
    results = [Named("a", planted()), Named("b", planted(setup__threads=7))]
    text = export(results, to)
    assert export(results, to) == text
    assert text.endswith("\n")


def test_csv_has_every_figure_with_its_unit_and_interval(planted: Planted) -> None:
    result = planted()
    text = export([Named("here", result)], "csv")
    rows = {row["figure"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    figures = named_figures(result)
    assert list(rows) == list(figures)
    for name, figure in figures.items():
        row = rows[name]
        assert (row["unit"], float(row["mean"])) == (figure.unit, figure.value.mean)
        assert int(row["repeats"]) == len(figure.value.values)
        assert (row["ci95_low"] == "") == (figure.value.low is None)
    row = rows["offline.energy"]
    assert float(row["ci95_low"]) == figures["offline.energy"].value.low
    assert (row["power_source"], row["valid"], row["dataset"]) == ("estimated", "true", "blobs")
    assert row["sha256"] == result.artifact.sha256


def test_csv_starts_no_formula(planted: Planted) -> None:
    name = '=HYPERLINK("x";"y"),\n"'
    rows = csv.DictReader(
        io.StringIO(export([Named("a", planted(artifact__name=name))], "csv"), newline="")
    )
    assert {row["artifact"] for row in rows} == {f"'{name}"}


def test_markdown_is_a_table_with_what_must_be_known(planted: Planted) -> None:
    bad = {
        "division": "closed",
        "min_accuracy": 90.0,
        "measured_power": False,
        "valid": False,
        "reasons": ["accuracy: 80 is below 90"],
    }
    odd = planted(artifact__name="a|b_*c*", validity=bad)
    text = export([Named("one", planted()), Named("two", odd)], "markdown")
    lines = [re.sub(r"\\\|", "", line) for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    assert r"a\|b\_\*c\*" in text
    assert "two (INVALID)" in text
    for line in ("two is INVALID: accuracy: 80 is below 90.", "80.0 PCKh@0.5 on blobs, n = 100"):
        assert line in text
    assert "Estimated power is no measurement" in text
    measured = export([Named("one", planted(meter__source="measured"))], "markdown")
    assert "Estimated" not in measured


def test_prometheus_is_read_by_its_parser_in_base_units(planted: Planted) -> None:
    result = planted(watts=5.0)
    text = export([Named("here", result)], "prometheus")
    found = families(text)
    for name, family in found.items():
        assert family.type == "gauge"
        assert family.documentation
        assert name.startswith("edge_pose_bench_")
        assert name.endswith((*BASE_UNITS, "frames_per_second"))
    offline = result.modes["offline"]
    assert value(text, "accuracy_ratio", metric="PCKh@0.5") == pytest.approx(0.8)
    assert value(text, "frames_per_second", mode="offline") == offline.fps.mean
    median = offline.latency["infer"].p50_ms.mean
    where = {"mode": "offline", "stage": "infer", "statistic": "p50"}
    assert value(text, "latency_seconds", **where) == pytest.approx(median / 1e3)
    assert value(text, "power_watts", mode="offline", power="estimated") == 5.0
    joules = value(text, "frame_energy_joules", mode="offline")
    assert joules == offline.power.joules_per_frame.mean
    assert value(text, "memory_bytes") == result.machine.rss_mib * 2**20
    assert value(text, "deadline_miss_ratio") <= 1.0
    assert value(text, "valid") == 1.0
    assert value(text, "info", sha256=result.artifact.sha256) == 1.0


def test_a_metric_is_declared_once_and_its_samples_stay_together(planted: Planted) -> None:
    results = [Named("a", planted()), Named("b", planted(setup__threads=7))]
    text = export(results, "prometheus")
    declared = re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE)
    assert len(declared) == len(set(declared)) == text.count("# HELP ")
    order = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    assert list(dict.fromkeys(order)) == declared
    assert order == sorted(order, key=declared.index)
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert {s.labels["threads"] for f in families(text).values() for s in f.samples} >= {"7"}


def test_prometheus_labels_are_escaped(planted: Planted) -> None:
    name = 'back\\slash "quoted"\nnew line {x="y"} é'
    text = export([Named("here", planted(artifact__name=name))], "prometheus")
    assert all(
        sample.labels["artifact"] == name
        for family in families(text).values()
        for sample in family.samples
    )


def test_one_series_has_one_value(planted: Planted) -> None:
    with pytest.raises(UsageError, match=r'^b: has the same labels as a: profile=".*export one'):
        export([Named("a", planted()), Named("b", planted(slow=2.0))], "prometheus")


def test_the_command_writes_what_it_prints(
    planted: Planted,
    write: Callable[..., Path],
    bench: Callable[..., tuple[int, str, str]],
    errors: Callable[..., str],
    tmp_path: Path,
) -> None:
    file, out = write("here", planted()), tmp_path / "metrics.prom"
    code, printed, err = bench("export", file, "--to", "prometheus")
    assert (code, err) == (0, "")
    assert bench("export", file, "--to", "prometheus", "--out", out) == (0, "", "")
    assert out.read_text("utf-8") == printed
    assert "'xml' is not one of" in errors("export", file, "--to", "xml")
    assert "is given twice" in errors("export", file, file, "--to", "csv")
    lost = tmp_path / "none" / "x.csv"
    assert f"{lost}: cannot be written" in errors("export", file, "--to", "csv", "--out", lost)


def test_files_of_one_name_are_told_apart(
    planted: Planted, bench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "result.json")
        files[-1].write_text(planted().model_dump_json(by_alias=True), "utf-8")
    _, out, _ = bench("export", *files, "--to", "csv")
    names = {row["result"] for row in csv.DictReader(io.StringIO(out))}
    assert names == {str(file.with_suffix("")) for file in files}
