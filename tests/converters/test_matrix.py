from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from rich.console import Console

from converters.cli import command
from converters.data import ConversionData
from converters.job import Job
from converters.matrix import Cell, build_matrix
from converters.matrix_report import as_json, headings, html_page, rows, terminal_table
from converters.settings import Settings
from converters.terminal import progress
from edge_pose.artifact import load_artifact
from edge_pose.errors import ArtifactError

KEYS = (("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "int8"), ("openvino", "fp32"))


@pytest.fixture(scope="module")
def cells(checkpoint: Path, drawn: ConversionData) -> list[Cell]:
    job = Job(checkpoint, drawn)
    # Nothing passes at no drift at all but the exact formats.
    settings = Settings(n_images=32, limit_drift_px=0.0)
    ticks: list[tuple[int, int]] = []
    made = build_matrix(
        job, settings, keys=KEYS, threads=(1, 2), rounds=3, tick=lambda *step: ticks.append(step)
    )
    assert ticks == [(done, len(KEYS)) for done in range(len(KEYS) + 1)]
    return made


def test_a_terminal_shows_a_bar_and_a_file_a_line_per_step(
    caplog: pytest.LogCaptureFixture,
) -> None:
    terminal, file = io.StringIO(), io.StringIO()
    with progress(Console(file=terminal, force_terminal=True, width=100)) as steps:
        steps("converting x")
        steps.tick(3, 4)
        shown = terminal.getvalue()
        steps.tick(4, 4)
    assert "converting x" in shown
    assert "3 of 4" in shown
    assert "━━━━" in shown
    with caplog.at_level("INFO"), progress(Console(file=file)) as steps:
        steps("converting x")
        steps.tick(3, 4)
    assert (caplog.messages, file.getvalue()) == (["converting x"], "")


def test_every_cell_is_converted_gated_and_timed(cells: list[Cell]) -> None:
    assert [(cell.format, cell.precision) for cell in cells] == list(KEYS)
    for cell in cells:
        assert cell.artifact is not None
        assert cell.artifact.manifest.gate is not None
        assert {n: taken.runs for n, taken in cell.latency.items()} == {1: 3, 2: 3}
        assert all(0 < taken.p50_ms <= taken.p95_ms for taken in cell.latency.values())


def test_what_fails_its_gate_is_a_row_with_the_reason(cells: list[Cell]) -> None:
    int8 = cells[2]
    assert int8.verdict.startswith("failed: ")
    assert "drift" in int8.verdict
    assert rows(cells)[2][-1] == int8.verdict
    assert as_json("tiny", cells)["rows"][2]["passed"] is False


def test_what_cannot_be_converted_is_a_row_with_the_error() -> None:
    cell = Cell("onnx", "int8", error="no calibration pictures")
    assert cell.to_json() == {
        "format": "onnx",
        "precision": "int8",
        "verdict": "error: no calibration pictures",
        "latency_ms_by_threads": {},
    }
    assert "no calibration pictures" in html_page("x", [cell])
    assert len(rows([cell])[0]) == len(headings([cell]))


def test_table_and_json_say_the_same(cells: list[Cell]) -> None:
    table = terminal_table("tiny", cells)
    assert [column.header for column in table.columns] == headings(cells)
    values = as_json("tiny", cells)
    assert values["schema"] == "edge_pose.matrix/1"
    for row, words in zip(values["rows"], rows(cells), strict=True):
        assert f"{row['accuracy']:.2f}" in words
        assert f"{row['size_bytes'] / 1e6:.2f}" in words


def test_the_page_loads_nothing_and_is_shown_by_a_browser(
    cells: list[Cell], tmp_path: Path
) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium here, and CI must run this")
        pytest.skip("no chromium here")
    page = tmp_path / "matrix.html"
    page.write_text(html_page("tiny: formats", cells), "utf-8")
    text = page.read_text("utf-8")
    assert "src=" not in text
    assert "<link" not in text
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])  # noqa: S314
    words = {node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert {"accuracy, %", "onnx int8", "openvino fp32"} <= words
    shot = tmp_path / "page.png"
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'p'}")
    done = subprocess.run(
        [browser, *flags, f"--screenshot={shot}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.count("<tr>") == 1 + len(cells)
    assert shot.stat().st_size > 10_000


def test_command_writes_what_passes(checkpoint: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "artifacts", tmp_path / "page.html"
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--out", str(out), "--html", str(page)]
    arguments += ["--generated", "--calibration-images", "32", "--rounds", "2", "--threads", "1"]
    arguments += ["--format", "onnx", "--precision", "fp32", "--json"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout.splitlines()[-1])
    assert [row["passed"] for row in values["rows"]] == [True]
    assert load_artifact(out / "tiny_fp32").manifest.gate
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_command_leaves_foreign_folders_alone(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "artifacts"
    thesis = out / "tiny_fp32" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--generated", "--out", str(out)]
    result = CliRunner().invoke(command, [*arguments, "--format", "onnx"])
    assert isinstance(result.exception, ArtifactError)
    assert "tiny_fp32: not an artifact's folder" in str(result.exception)
    assert "converting" not in result.output, "at once"
    assert thesis.read_text() == "years of work"
    assert [path.name for path in out.iterdir()] == ["tiny_fp32"]


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_command_knows_at_once_what_cannot_be_written(
    checkpoint: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "below" / "it")
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--generated", option, place]
    result = CliRunner().invoke(command, [*arguments, "--format", "onnx", "--precision", "fp32"])
    assert isinstance(result.exception, ArtifactError)
    assert "is a file or below one" in str(result.exception)
    assert "converting" not in result.output


def test_command_prints_the_table_before_it_writes(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ArtifactError("out: cannot be written: No space left on device")

    monkeypatch.setattr("converters.build.write", full)
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--generated", "--rounds", "1"]
    arguments += ["--threads", "1", "--format", "onnx", "--precision", "fp32", "--json"]
    result = CliRunner().invoke(command, [*arguments, "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, ArtifactError)
    assert [row["passed"] for row in json.loads(result.stdout)["rows"]] == [True]


def test_command_without_any_cell_is_wrong_usage(checkpoint: Path) -> None:
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--format", "onnx"]
    result = CliRunner().invoke(command, [*arguments, "--precision", "dynamic_int8"])
    assert result.exit_code == 2
    assert "no converter makes onnx dynamic_int8" in result.output
