from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from converters.cli import command
from converters.select import WARM_UP, Candidate, Demands, Result, select
from converters.this_machine import fits_here
from edge_pose.artifact import load_artifact
from edge_pose.errors import BackendError, EdgePoseError, PowerError
from edge_pose.power.base import PowerMeter, PowerSource
from edge_pose.profile import load_profile
from edge_pose.signature import judge_signature, sign_artifact
from edge_pose.signing_keys import make_keys


class TenWatts(PowerMeter):
    """A meter that always says 10 W."""

    name = "ten"
    source: PowerSource = "measured"
    detail = "made up"

    def read_w(self) -> float:
        return 10.0

    def close(self) -> None:
        pass


@pytest.fixture
def folder_of(tiny_artifact: Path, tmp_path: Path):
    """Return a function that copies the tiny artifact with another name, accuracy or more."""

    def make(name: str, **gate: object) -> Path:
        folder = tmp_path / name
        shutil.copytree(tiny_artifact, folder)
        file = folder / "manifest.json"
        values = json.loads(file.read_text("utf-8"))
        values["name"] = name
        values["gate"] |= gate
        file.write_text(json.dumps(values), "utf-8")
        return folder

    return make


def run(folders: list[Path], demands: Demands):
    candidates = [
        Candidate(load_artifact(folder), folder.name, "onnxruntime") for folder in folders
    ]
    return select(candidates, demands, TenWatts(), burst_s=0.05, bursts=2)


def test_the_highest_ae_is_chosen_and_the_others_say_why_not(folder_of) -> None:
    good, poor = folder_of("good", artifact_accuracy=80.0), folder_of("poor", artifact_accuracy=4.0)
    selection = run([poor, good], Demands())
    assert selection.chosen is not None
    assert selection.chosen.artifact.manifest.name == "good"
    first, second = selection.results
    assert (first.candidate, first.rejected) == ("good on onnxruntime", "")
    assert second.rejected == f"AE {second.ae:.0f} is lower"
    for result in selection.results:
        assert result.watts == pytest.approx(10.0)
        assert result.ae == pytest.approx(result.accuracy * result.fps / 10.0)
        assert 0 < result.p50_ms <= result.p95_ms


def test_limits_reject_and_each_is_named() -> None:
    result = Result("x", accuracy=60.0, p50_ms=9.0, p95_ms=12.5, fps=100, watts=7.25,
                    power="measured", ae=827.0)  # fmt: skip
    assert Demands().missed(result) == ""
    assert Demands(60.0, 12.5, 7.25).missed(result) == ""
    assert Demands(70.0, 10.0, 5.0).missed(result) == (
        "accuracy 60.0 is below 70, p95 12.5 ms is above 10, 7.2 W (measured) are above 5"
    )


def test_nothing_is_chosen_where_nothing_keeps_the_limits(folder_of) -> None:
    selection = run([folder_of("a")], Demands(max_watts=9.0))
    assert selection.chosen is None
    assert selection.results[0].rejected == "10.0 W (measured) are above 9"


def test_accuracies_of_different_things_are_not_compared(folder_of) -> None:
    other = folder_of("other", metric="AP", artifact_accuracy=99.0)
    selection = run([folder_of("a"), other], Demands())
    assert selection.chosen is not None
    assert selection.chosen.artifact.manifest.name == "a"
    ((name, reason),) = selection.refused
    assert name == "other on onnxruntime"
    assert "metric is AP" in reason


def test_a_runtime_that_cannot_read_it_is_refused_with_the_reason(tiny_artifact: Path) -> None:
    artifact = load_artifact(tiny_artifact)
    selection = select(
        [Candidate(artifact, "blobs_fp32", "tflite")], Demands(), TenWatts(), burst_s=0.05
    )
    assert selection.chosen is None
    ((name, reason),) = selection.refused
    assert name == "blobs_fp32 on tflite"
    assert "tflite" in reason


class Scripted:
    """Takes the place of a runtime: fails at one of its calls, and counts how often it ends."""

    def __init__(self, fails_at: int, error: Exception) -> None:
        self.calls = self.closed = 0
        self._fails_at, self._error = fails_at, error

    def work(self) -> None:
        self.calls += 1
        time.sleep(0.001)
        if self.calls == self._fails_at:
            raise self._error

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("fails_at", [1, WARM_UP, WARM_UP + 1, WARM_UP + 2])
def test_what_fails_while_it_is_measured_is_refused_and_closed(
    folder_of, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """In its warm-up or later; two candidates of one name are two."""
    error = BackendError("out of memory")
    runtimes = [Scripted(0, error), Scripted(fails_at, error), Scripted(fails_at, error)]
    left = iter(runtimes)

    def start(_: Candidate) -> tuple[Any, Any]:
        runtime = next(left)
        return runtime.work, runtime.close

    monkeypatch.setattr("converters.select._open", start)
    bad = folder_of("bad")
    selection = run([folder_of("good"), bad, bad], Demands())
    assert [result.candidate for result in selection.results] == ["good on onnxruntime"]
    assert selection.chosen is not None
    assert selection.refused == (("bad on onnxruntime", "out of memory"),) * 2
    assert [runtime.closed for runtime in runtimes] == [1, 1, 1]
    assert [runtime.calls for runtime in runtimes[1:]] == [fails_at] * 2


def test_turns_are_counted_without_those_that_are_refused(
    folder_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = BackendError("out of memory")
    left = iter([Scripted(0, error), Scripted(1, error), Scripted(0, error)])
    monkeypatch.setattr(
        "converters.select._open", lambda _: (lambda made: (made.work, made.close))(next(left))
    )
    told: list[tuple[int, int]] = []
    folder = folder_of("a")
    three = [Candidate(load_artifact(folder), str(i), "onnxruntime") for i in range(3)]
    select(three, Demands(), TenWatts(), burst_s=0.05, bursts=2, tick=lambda *at: told.append(at))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_any_other_failure_ends_it_and_closes_all(
    folder_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, at in ((RuntimeError("a bug"), 2), (PowerError("unplugged"), WARM_UP + 1)):
        runtime = Scripted(at, error)
        monkeypatch.setattr(
            "converters.select._open", lambda _, made=runtime: (made.work, made.close)
        )
        with pytest.raises(type(error)):
            run([folder_of(type(error).__name__)], Demands())
        assert runtime.closed == 1


def test_command_measures_every_runtime_and_copies_the_best(folder_of, tmp_path: Path) -> None:
    out = tmp_path / "chosen"
    arguments = ["select", str(folder_of("a")), "--profile", "generic_x86_64", "--seconds", "0.3"]
    arguments += ["--power", "estimate", "--out", str(out), "--json"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout.splitlines()[-1])
    assert values["schema"] == "edge_pose.selection/1"
    names = {row["candidate"] for row in values["results"]}
    assert names == {"a on onnxruntime", "a on openvino"}
    assert {row["power"] for row in values["results"]} == {"estimated"}
    assert load_artifact(out).manifest.name == "a"
    assert values["refused"] == []
    assert values["chosen"]["backend"] in values["chosen"]["name"]


def test_command_keeps_the_signature_and_names_who_is_left_out(folder_of, tmp_path: Path) -> None:
    out, key = tmp_path / "chosen", tmp_path / "key.pem"
    signed, altered = folder_of("signed"), folder_of("altered")
    _, public = make_keys(key)
    sign_artifact(signed, key)
    (altered / "model.onnx").write_bytes(b"another network")
    arguments = ["select", str(signed), str(altered), "--profile", "generic_x86_64"]
    arguments += ["--seconds", "0.3", "--power", "estimate", "--out", str(out)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "the file was damaged or changed" in " ".join(result.output.split())
    for name in ("manifest.json", "manifest.json.sig", "model.onnx"):
        assert (out / name).read_bytes() == (signed / name).read_bytes()
    assert judge_signature(out, (out / "manifest.json").read_bytes(), [public]).state == "trusted"


def test_a_profile_of_another_machine_is_told(folder_of) -> None:
    folder = folder_of("a")
    for profile, fits in (("jetson_nano", False), ("auto", True)):
        arguments = ["select", str(folder), "--profile", profile, "--seconds", "0.3", "--json"]
        result = CliRunner().invoke(command, arguments)
        told = [line for line in result.stderr.splitlines() if "is another one" in line]
        assert len(told) == (not fits), result.stderr
        if result.stdout:  # where nothing of a Jetson's runs here, it says so
            assert json.loads(result.stdout.splitlines()[-1])["profile_fits"] is fits
        assert "power meter" not in result.stderr, "meters that are not here: only with -v"


def test_which_profiles_fit_a_machine(tmp_path: Path) -> None:
    compatible = tmp_path / "proc" / "device-tree" / "compatible"
    compatible.parent.mkdir(parents=True)
    compatible.write_bytes(b"raspberrypi,5-model-b\0brcm,bcm2712\0")

    def fits(name: str) -> bool:
        return fits_here(load_profile(name), tmp_path, "aarch64")

    assert fits("raspberry_pi_5")
    assert fits("generic_aarch64")
    assert not fits("raspberry_pi_4")
    assert not fits("coral_edge_tpu")  # none is plugged in
    assert not fits("generic_x86_64")
    mine = load_profile("raspberry_pi_4").model_copy(update={"name": "mine"})
    assert fits_here(mine, tmp_path, "arm64"), "only its processor is known"
    assert not fits_here(mine, tmp_path, "AMD64")
    assert not fits_here(load_profile("coral_edge_tpu"), tmp_path, "riscv64")


def lack_an_operator(graph: onnx.GraphProto) -> None:
    graph.node[0].op_type = "Frobnicate"


def point_outside(graph: onnx.GraphProto) -> None:
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lack_an_operator, "lacks the operator Frobnicate"),
        (point_outside, "tensor 'weights' lies in another file, '../../secret'"),
    ],
)
def test_what_runtimes_refuse_is_a_row_and_the_others_are_measured(
    folder_of, damage: Callable[[onnx.GraphProto], None], message: str
) -> None:
    sound, bad = folder_of("sound"), folder_of("bad")
    model = onnx.load(bad / "model.onnx")
    damage(model.graph)
    content = model.SerializeToString()
    (bad / "model.onnx").write_bytes(content)
    values = json.loads((bad / "manifest.json").read_text("utf-8"))
    values["file"] |= {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    (bad / "manifest.json").write_text(json.dumps(values), "utf-8")
    arguments = ["select", str(sound), str(bad), "--profile", "generic_x86_64", "--json"]
    result = CliRunner().invoke(
        command, [*arguments, "--seconds", "0.3", "--power", "estimate"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout.splitlines()[-1])
    assert values["chosen"]["name"].startswith("sound on ")
    names = {row["candidate"]: row["reason"] for row in values["refused"]}
    assert names.keys() == {"bad on onnxruntime", "bad on openvino"}
    for reason in names.values():
        assert message in reason
        assert "\n" not in reason


def test_estimated_watts_are_called_so(folder_of) -> None:
    arguments = ["select", str(folder_of("a")), "--profile", "generic_x86_64", "--seconds", "0.3"]
    arguments += ["--power", "estimate", "--max-watts", "0.1", "--json"]
    result = CliRunner().invoke(command, arguments)
    values = json.loads(result.stdout.splitlines()[-1])
    assert values["chosen"] is None
    for row in values["results"]:
        assert row["rejected"] == f"{row['watts']:.1f} W (estimated) are above 0.1"


def test_command_that_finds_nothing_says_so_and_writes_nothing(folder_of, tmp_path: Path) -> None:
    out = tmp_path / "chosen"
    arguments = ["select", str(folder_of("a")), "--profile", "generic_x86_64", "--seconds", "0.3"]
    arguments += ["--power", "estimate", "--out", str(out), "--min-accuracy", "99"]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, EdgePoseError)
    assert "no candidate keeps the limits" in str(result.exception)
    assert "accuracy 80.0 is below 99" in result.output
    assert not out.exists()
