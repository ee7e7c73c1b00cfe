"""SUPPORTED.md says what was measured and no more, and CI sees when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkout import DEVICES, ROOT, SUPPORTED
from benchmarks.generated_part import with_part
from benchmarks.markdown import escape
from benchmarks.privacy import without_leaks
from benchmarks.supported import devices_table, document
from edge_pose.errors import UsageError
from edge_pose.profile import profile_names

Bench = Callable[..., tuple[int, str, str]]
BY_HAND = "# Supported\n\n<!-- begin devices -->\nold\n<!-- end devices -->\n\nWritten by hand.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with nothing in it but the document."""
    (tmp_path / SUPPORTED).write_text(BY_HAND, "utf-8")
    return tmp_path


@pytest.fixture
def put(repository: Path, recordable: dict[str, Any]) -> Callable[..., Path]:
    """Return a function that records a result, changed, under a name."""

    def write(name: str, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
        values = json.loads(json.dumps(without_leaks(recordable)))
        change(values)
        file = repository / DEVICES / values["device"]["profile"] / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), "utf-8")
        return file

    return write


def rows(table: str) -> dict[str, list[list[str]]]:
    """Return the cells of each profile's rows."""
    found: dict[str, list[list[str]]] = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found.setdefault(cells[0].strip("` |"), []).append(cells)
    return found


def test_every_profile_has_a_row_and_nobody_measured_any(repository: Path) -> None:
    table = devices_table(repository)
    found = rows(table)
    assert tuple(found) == profile_names()
    assert len(found) >= 14
    assert {line[2] for lines in found.values() for line in lines} == {"not measured"}
    assert f"0 of {len(found)} device profiles were measured." in table


def shows(cell: str, expected: float) -> bool:
    """Say whether a cell is a figure, rounded to its last digit, which its error decides on."""
    text = cell.split(" ± ")[0].replace("\N{THIN SPACE}", "")
    decimals = len(text.partition(".")[2])
    return abs(float(text) - expected) <= 0.501 * 10**-decimals


def test_a_measured_profile_shows_its_figures(
    repository: Path, put: Callable[..., Path], recordable: dict[str, Any]
) -> None:
    file = put("one")
    table = devices_table(repository)
    profile = recordable["device"]["profile"]
    assert f"1 of {len(profile_names())} device profiles were measured." in table
    ((_, device, artifact, fps, p95, watts, ae, accuracy, measured, link),) = rows(table)[profile]
    assert device.startswith("Any 64-bit")
    assert artifact == f"{escape('blobs_fp32')}, fp32 onnx"
    figures = recordable["offline"]
    assert shows(fps, figures["fps"]["mean"])
    expected = recordable["single_stream"]["latency"]["end_to_end"]["p95_ms"]["mean"]
    assert shows(p95, expected)
    assert "estimated (estimate, board)" in watts
    assert "(power estimated)" in ae
    assert accuracy == "80.0 PCKh@0.5, blobs, n = 100"
    assert measured.startswith(recordable["created_at"][:10])
    assert "edge-pose " in measured
    assert "onnxruntime" in measured
    assert f"<{file.relative_to(repository).as_posix()}>" in link
    assert "artifact not shipped here: nobody can check its accuracy" in table
    assert "power is estimated: AE and joules compare on this machine only" in table


def test_the_best_of_those_that_compare(
    repository: Path, put: Callable[..., Path], recordable: dict[str, Any]
) -> None:
    def times(factor: float) -> Callable[[dict[str, Any]], None]:
        def change(values: dict[str, Any]) -> None:
            del values["parts"]
            power = values["offline"]["power"]
            for table, by in (
                (values["offline"]["fps"], factor),
                (power["joules_per_frame"], 1 / factor),
                (power["accuracy_fps_per_watt"], factor),
            ):
                table["values"] = [value * by for value in table["values"]]
                for name in ("mean", "low", "high"):
                    table[name] *= by

        return change

    def another_set(values: dict[str, Any]) -> None:
        values["artifact"]["accuracy"]["dataset"] = "mpii"
        values["warnings"] = []

    put("slow", times(0.5))
    put("fast")
    put("slower", times(0.25))
    table = devices_table(repository)
    (only,) = rows(table)[recordable["device"]["profile"]]
    assert "/fast.json>" in only[-1]
    put("unlike", another_set)
    both = rows(devices_table(repository))[recordable["device"]["profile"]]
    assert sorted(line[7] for line in both) == [
        "80.0 PCKh@0.5, blobs, n = 100",
        "80.0 PCKh@0.5, mpii, n = 100",
    ]


def test_measured_power_comes_first_and_is_labelled(
    repository: Path, put: Callable[..., Path], recordable: dict[str, Any]
) -> None:
    put("a")
    put("b", lambda values: values["meter"].update(source="measured", name="rapl", scope="package"))
    first, second = rows(devices_table(repository))[recordable["device"]["profile"]]
    assert "measured (rapl, package)" in first[5]
    assert first[6].endswith("(power measured)")
    assert "estimated" in second[5]


def test_machines_compare_only_where_power_was_measured(
    repository: Path, put: Callable[..., Path], recordable: dict[str, Any]
) -> None:
    profile = recordable["device"]["profile"]

    def other(values: dict[str, Any]) -> None:
        values["environment"]["cpu_model"] = "another"

    def measured(values: dict[str, Any]) -> None:
        values["meter"].update(source="measured", name="rapl", scope="package")

    put("here")
    put("there", other)
    assert len(rows(devices_table(repository))[profile]) == 2
    put("here", measured)
    put("there", lambda values: (measured(values), other(values)))
    assert len(rows(devices_table(repository))[profile]) == 1


def test_text_of_others_stays_text(
    repository: Path, put: Callable[..., Path], recordable: dict[str, Any]
) -> None:
    put("x", lambda v: v["artifact"].update(name="a | <b> [c](d)\n| `e`"))
    table = devices_table(repository)
    assert escape("a | <b> [c](d)\n| `e`") in table
    assert "<b>" not in table
    assert len(rows(table)) == len(profile_names())


def test_a_broken_result_stops_it_in_one_line(repository: Path, put: Callable[..., Path]) -> None:
    file = put("one", lambda values: values["setup"].update(source="/home/alice/x.mp4"))
    with pytest.raises(UsageError, match=f"^{file}: setup.source: holds a path$"):
        devices_table(repository)


def test_only_the_generated_part_is_written(
    repository: Path, put: Callable[..., Path], bench: Bench
) -> None:
    put("one")
    code, out, err = bench("supported", "--write", "--repository", repository)
    assert (code, out, err) == (0, "", "")
    text = (repository / SUPPORTED).read_text("utf-8")
    assert text == document(repository)
    head, _, rest = text.partition("<!-- begin devices -->\n")
    assert head == "# Supported\n\n"
    assert rest.startswith("1 of ")
    assert rest.endswith("<!-- end devices -->\n\nWritten by hand.\n")
    assert bench("supported", "--check", "--repository", repository) == (0, "", "")
    _, out, _ = bench("supported", "--repository", repository)
    assert out.strip() in text


def test_check_fails_when_the_document_is_stale(
    repository: Path, put: Callable[..., Path], bench: Bench
) -> None:
    bench("supported", "--write", "--repository", repository)
    assert bench("supported", "--check", "--repository", repository)[0] == 0
    file = put("one")
    code, out, err = bench("supported", "--check", "--repository", repository)
    stale = f"{repository / SUPPORTED}: is out of date, run edge-pose-bench supported --write\n"
    assert (code, out, err) == (1, "", stale)
    bench("supported", "--write", "--repository", repository)
    file.unlink()
    assert bench("supported", "--check", "--repository", repository)[0] == 1


def test_check_says_everything_that_is_wrong_with_a_recorded_result(
    repository: Path, put: Callable[..., Path], bench: Bench
) -> None:
    def spoil(values: dict[str, Any]) -> None:
        values["setup"]["source"] = "/home/alice/x.mp4"
        values["device"]["emulated"] = ["it"]

    file = put("one", spoil)
    code, out, err = bench("supported", "--check", "--repository", repository)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"{file}: device.emulated: it: no result",
        f"{file}: setup.source: holds a path",
    ]


def test_add_check_and_write_from_the_command_line(
    repository: Path, recordable: dict[str, Any], bench: Bench, tmp_path: Path
) -> None:
    sent = tmp_path / "mine.json"
    sent.write_text(json.dumps(recordable), "utf-8")
    code, out, err = bench("supported", "--check", sent)
    assert (code, out) == (1, "")
    assert f"{sent}: setup.source: holds a path" in err
    code, out, err = bench("supported", "--add", sent, "--repository", repository)
    assert code == 0
    assert out.endswith(": recorded\n")
    assert "edge-pose-bench supported --write" in err
    (file,) = (repository / DEVICES).rglob("*.json")
    code, out, err = bench("supported", "--check", file)
    assert (code, out) == (0, f"{file}: in order\n")
    assert all(line.startswith(f"note: {file}: ") for line in err.splitlines())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--write", "--check"), "exclude each other"),
        (("x.json",), "RESULTS need --check or --add"),
        (("--add",), "--add needs RESULTS"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: tuple[str, ...], expected: str, errors: Callable[..., str]
) -> None:
    assert expected in errors("supported", *arguments)


def test_outside_of_a_checkout(tmp_path: Path, errors: Callable[..., str]) -> None:
    line = errors("supported", "--repository", tmp_path)
    assert "recorded results are in the repository, not in the installed package" in line


def test_a_document_without_the_part(repository: Path, errors: Callable[..., str]) -> None:
    (repository / SUPPORTED).write_text("nothing", "utf-8")
    line = errors("supported", "--write", "--repository", repository)
    assert "found 0 parts named devices, expected one" in line
    with pytest.raises(UsageError, match="found 2 parts named devices"):
        with_part(BY_HAND * 2, "devices", "new", "here")
    assert r"\1 \g<2>" in with_part(BY_HAND, "devices", r"\1 \g<2>", "here")


def test_the_committed_document_is_up_to_date_and_kept_its_evidence() -> None:
    text = (ROOT / SUPPORTED).read_text("utf-8")
    assert text == document(ROOT, datetime.now(timezone.utc))
    assert "## What was run where" in text
    assert "| Power estimate | run; always labelled *estimated* |" in text
