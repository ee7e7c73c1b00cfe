from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from converters.cli import command
from converters.data import ConversionData
from converters.job import Job
from converters.matrix import Cell, build_matrix
from converters.matrix_report import as_json, headings, html_page, notes, rows, terminal_table
from converters.settings import Settings
from converters.steps import Steps
from edge_pose.artifact import load_artifact
from edge_pose.errors import ArtifactError, EdgePoseError, UsageError

KEYS = (("onnx", "fp32"), ("onnx", "fp16"), ("onnx", "int8"), ("openvino", "fp32"))


@pytest.fixture(scope="module")
def cells(checkpoint: Path, drawn: ConversionData) -> list[Cell]:
    said: list[str] = []
    pieces: list[tuple[int, int]] = []
    counted: list[tuple[int, int]] = []
    steps = Steps(
        said.append,
        tick=lambda *step: counted.append(step),
        overall=lambda *step: pieces.append(step),
    )
    job = Job(checkpoint, drawn, steps=steps)
    # Nothing passes at no drift at all but the exact formats.
    settings = Settings(n_images=32, limit_drift_px=0.0, ladder=False)
    made = build_matrix(job, settings, keys=KEYS, threads=(1, 2), rounds=3)
    assert pieces == [(done, len(KEYS)) for done in range(len(KEYS) + 1)]
    assert said[-1] == "timing 4 artifacts in turns"
    assert counted[-7:] == [(done, 6) for done in range(7)], "rounds, those to warm up among them"
    return made


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


def test_the_ladder_is_climbed_and_each_try_is_told(
    checkpoint: Path, drawn: ConversionData
) -> None:
    job = Job(checkpoint, drawn)
    settings = Settings(n_images=32, limit_drift_px=0.0)
    made = build_matrix(job, settings, keys=KEYS[1:3], threads=())
    exact, int8 = made
    assert (len(exact.attempts), exact.latency) == (1, {})
    assert {row.method for row in int8.attempts} > {"MinMax", "Percentile"}
    assert any(row.float_layers for row in int8.attempts)
    assert {row.precision for row in int8.attempts} == {"int8"}, "fp16 has a row of its own"
    assert int8.artifact is not None
    assert int8.artifact.manifest.file.precision == "int8"
    assert len(int8.to_json()["attempts"]) == len(int8.attempts)
    column = headings(made).index("tries")
    assert [row[column] for row in rows(made)] == ["1", str(len(int8.attempts))]
    (note,) = notes(made)
    assert note.startswith("onnx int8: MinMax, 32 images: ")
    assert note.count("failed") == len(int8.attempts)
    assert note in html_page("tiny", made)


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


@pytest.mark.parametrize(
    ("option", "place", "message"),
    [
        ("--out", "file/below/it", "is a file or below one"),
        ("--html", "file/below/it", "is below a file"),
        ("--html", "folder", "folder: is a folder, expected a file"),
    ],
)
def test_command_knows_at_once_what_cannot_be_written(
    checkpoint: Path, tmp_path: Path, option: str, place: str, message: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    where = str(tmp_path / place)
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--generated", option, where]
    result = CliRunner().invoke(command, [*arguments, "--format", "onnx", "--precision", "fp32"])
    assert isinstance(result.exception, ArtifactError)
    assert message in str(result.exception)
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


def test_command_where_nothing_could_be_converted(checkpoint: Path) -> None:
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--format", "onnx"]
    result = CliRunner().invoke(command, [*arguments, "--precision", "int8", "--json"])
    assert isinstance(result.exception, EdgePoseError)
    assert str(result.exception) == "matrix: nothing could be converted, the table says why"
    (row,) = json.loads(result.stdout)["rows"]
    assert row["verdict"].startswith("error: calibration: no training pictures")


def test_command_without_any_cell_is_wrong_usage(checkpoint: Path) -> None:
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--format", "onnx"]
    result = CliRunner().invoke(command, [*arguments, "--precision", "dynamic_int8"])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "no converter makes onnx dynamic_int8"
