"""`edge-pose model` as a user types it: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_pose.artifact import load_artifact
from edge_pose.cli import cli
from edge_pose.command_line import run_command
from edge_pose.models import DEFAULT


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The only line of a failure."""
        assert self.code == 1, self
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("edge-pose: "), self.err
        return self.err


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `edge-pose model …` in an empty folder with an empty registry."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("EDGE_POSE_KEY_PASSPHRASE", raising=False)

    def start(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["edge-pose", "model", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            run_command(cli, "edge-pose")
        return Done(int(caught.value.code or 0), *capsys.readouterr())

    return start


@pytest.fixture
def packed(run: Run, tiny_artifact: Path) -> Path:
    assert run("pack", tiny_artifact).code == 0
    return Path("blobs_fp32.edgepose")


def test_from_a_key_to_a_running_model(
    run: Run, artifact_copy: Any, need: Callable[[str], object], tmp_path: Path
) -> None:
    """The way of an artifact: signed and packed in the workshop, pulled and used on the device."""
    need("cryptography")
    done = run("keygen", "maker.pem")
    assert (done.code, done.err) == (0, "")
    key = done.out.split("private key ")[1][:16]
    assert str(tmp_path / "config" / "edge_pose" / "trusted_keys") in done.out
    done = run("sign", artifact_copy.folder, "--private", "maker.pem")
    assert done.out == f"{artifact_copy.folder}/manifest.json.sig: signed by {key}\n"
    done = run("pack", artifact_copy.folder, "--out", "blobs.edgepose")
    digest = done.out.split()[-1]
    done = run("pull", "blobs.edgepose", "--sha256", digest, "--key", "maker.pub.pem")
    name = done.out.split(":")[0]
    assert done.out == f"{name}: pulled, signed by {key}\n"
    assert run("pull", "blobs.edgepose").out == f"{name}: was there already\n"
    load_artifact("blobs_fp32", trusted_keys=[Path("maker.pub.pem")])
    assert run("remove", "blobs_fp32").out == f"{name}: removed\n"
    assert "blobs_fp32" not in run("list").out


def test_list(run: Run, packed: Path) -> None:
    run("pull", packed, "--name", "door")
    lines = run("list").out.splitlines()
    assert lines[0].split() == [
        "name", "id", "task", "format", "precision", "accuracy", "MB", "signed", "by",
    ]  # fmt: skip
    assert any(line.startswith(f"{DEFAULT} (default)") for line in lines[1:])
    door = next(line for line in lines if line.startswith("door"))
    assert "top_down  onnx    fp32       80.0 PCKh@0.5" in door
    rows = {row["name"]: row for row in json.loads(run("list", "--json").out)}
    assert rows[DEFAULT]["shipped"]
    assert rows["door"] == {
        "name": "door",
        "default": False,
        "shipped": False,
        "folder": str(load_artifact("door").folder),
        "id": rows["door"]["folder"][-12:],
        "sha256": load_artifact("door").manifest.file.sha256,
        "task": "top_down",
        "format": "onnx",
        "precision": "fp32",
        "input_size": [64, 64],
        "params": 48,
        "macs": 12288,
        "size_bytes": len(load_artifact("door").model),
        "gate_passed": True,
        "accuracy": 80.0,
        "metric": "PCKh@0.5, blobs, n = 100",
        "signature": "unsigned",
        "signed_by": None,
    }


def test_a_damaged_one_does_not_hide_the_others(run: Run, packed: Path) -> None:
    run("pull", packed)
    (load_artifact("blobs_fp32").folder / "manifest.json").write_text("{")
    done = run("list")
    assert (done.code, done.err) == (0, "")
    assert "damaged: see edge-pose model verify" in done.out
    assert DEFAULT in done.out
    row = next(r for r in json.loads(run("list", "--json").out) if r["name"] == "blobs_fp32")
    assert "not valid JSON" in row["problem"]
    done = run("verify", "blobs_fp32")
    assert done.code == 1
    assert done.out.startswith("FAILED manifest: manifest.json: not valid JSON")


def test_show(run: Run, artifact_copy: Any) -> None:
    attempt = {
        "precision": "int8",
        "method": "MinMax",
        "n_images": 64,
        "float_layers": 3,
        "size_bytes": 1_500_000,
        "artifact_accuracy": 70.25,
        "drift_p95_px": 4.5,
        "argmax_agreement": 0.5,
        "passed": False,
    }
    artifact_copy.set("schema", "edge_pose.artifact/2").set("attempts", [attempt])
    artifact_copy.set("contains", ["normalization"])
    out = run("show", artifact_copy.folder).out
    for part in (
        "blobs_fp32 (edge_pose.artifact/2, made by edge_pose tests)",
        "top_down, mpii16 (16 keypoints)",
        "model.onnx: onnx fp32 for onnxruntime",
        "image: 64x64 px rgb nchw float32",
        "heatmaps: 1x16x16x16 nkhw float32",
        "contains network, normalization",
        "heatmap of gaussian, stride 4 px",
        "signature  not signed",
        "blobs  PCKh@0.5             100      80.0        80.0       -1.0 points",
        "int8     MinMax  64        3             1.5  70.25     4.5     0.5        failed",
    ):
        assert part in out
    values = json.loads(run("show", artifact_copy.folder, "--json").out)
    assert values["manifest"]["attempts"] == [attempt]
    assert values["signature"]["state"] == "unsigned"
    artifact_copy.set("gate", None)
    assert "none: never measured" in run("show", artifact_copy.folder).out


def test_show_and_verify_take_names_folders_and_files(
    run: Run, packed: Path, tiny_artifact: Path
) -> None:
    run("pull", packed)
    for artifact in ("blobs_fp32", tiny_artifact, packed):
        assert "blobs_fp32" in run("show", artifact).out
        assert json.loads(run("verify", artifact, "--json").out)["passed"]
    assert json.loads(run("show", packed, "--json").out)["folder"] == str(packed)
    assert "neither a shipped model" in run("show", "nix").error
    assert "neither a shipped model" in run("verify", "nix").error


def test_control_characters_of_a_manifest_stay_out_of_the_terminal(
    run: Run, artifact_copy: Any
) -> None:
    artifact_copy.set("origin.recipe", {"notes": ["\x1b[2Jcleared"]})
    for command in ("show", "verify"):
        done = run(command, artifact_copy.folder)
        assert done.code == 1
        told = done.out + done.err
        assert told.replace("\n", "").isprintable()
        assert r"'\x1b[2Jcleared': no control or invisible characters and no line" in told


def test_verify_names_every_check(run: Run, artifact_copy: Any, packed: Path) -> None:
    lines = run("verify", artifact_copy.folder).out.splitlines()
    assert [line.split(":")[0].split() for line in lines] == [
        ["ok", "manifest"], ["ok", "model.onnx"], ["ok", "gate"], ["-", "signature"],
    ]  # fmt: skip
    artifact_copy.set("gate.passed", False)
    artifact_copy.model.write_bytes(bytes(artifact_copy.model.stat().st_size))
    done = run("verify", artifact_copy.folder)
    assert done.code == 1
    assert done.out.count("FAILED") == 2
    assert "SHA-256 is " in done.out
    assert "failed its accuracy gate" in done.out
    values = json.loads(run("verify", artifact_copy.folder, "--json").out)
    assert [c["name"] for c in values["checks"] if c["passed"] is False] == ["model.onnx", "gate"]
    artifact_copy.model.unlink()
    assert "model.onnx: cannot be read" in run("verify", artifact_copy.folder).out
    with artifact_copy.model.open("ab") as file:
        file.truncate(1 << 40)  # a terabyte of zeros that takes no place
    assert f"model.onnx: {1 << 40} bytes, the" in run("verify", artifact_copy.folder).out


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "manifest.json.sig"])
def test_verify_waits_for_no_pipe(run: Run, artifact_copy: Any, name: str) -> None:
    (artifact_copy.folder / name).unlink(missing_ok=True)
    os.mkfifo(artifact_copy.folder / name)
    done = run("verify", artifact_copy.folder)
    assert done.code == 1
    assert f"{artifact_copy.folder / name}: is no plain file" in done.out


def test_an_edit_after_the_pull_is_seen(run: Run, packed: Path) -> None:
    run("pull", packed)
    assert "ok     registry: unchanged since it was pulled" in run("verify", "blobs_fp32").out
    manifest = load_artifact("blobs_fp32").folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("80.0", "99.0"))
    done = run("verify", "blobs_fp32")
    assert done.code == 1
    assert "the manifest was changed after it was pulled" in done.out


def test_a_trust_folder_is_binding(
    run: Run, artifact_copy: Any, packed: Path, need: Callable[[str], object], tmp_path: Path
) -> None:
    need("cryptography")
    run("keygen", "maker.pem")
    run("keygen", "other.pem")
    trust = tmp_path / "config" / "edge_pose" / "trusted_keys"
    trust.mkdir(parents=True)
    shutil.copy("maker.pub.pem", trust)
    assert "not signed, expected a signature by " in run("pull", packed).error
    assert "not signed; required is one by" in run("verify", artifact_copy.folder).out
    run("sign", artifact_copy.folder, "--private", "maker.pem")
    run("pack", artifact_copy.folder, "--out", packed)
    done = run("verify", packed)
    assert done.code == 0
    assert "ok     signature: valid, by trusted key " in done.out
    assert "signed by" in run("pull", packed).out
    assert "untrusted" not in run("list").out
    assert "which is not trusted" in run("pull", packed, "--key", "other.pub.pem").error
    (trust / "maker.pub.pem").unlink()
    assert "(untrusted)" in run("list").out
    assert "-      signature: valid, but nothing here says" in run("verify", packed).out
    artifact_copy.set("created_by", "edited")
    done = run("verify", artifact_copy.folder)
    assert done.code == 1
    assert "the manifest was changed after it was signed" in done.out


def test_allow_unsigned(
    run: Run, packed: Path, need: Callable[[str], object], tmp_path: Path
) -> None:
    need("cryptography")
    trust = tmp_path / "config" / "edge_pose" / "trusted_keys"
    trust.mkdir(parents=True)
    run("keygen", "maker.pem")
    shutil.copy("maker.pub.pem", trust)
    assert run("pull", packed, "--allow-unsigned").code == 0
    done = run("pull", packed, "--allow-unsigned", "--key", "maker.pub.pem")
    assert done.code == 2
    assert "give one of them" in done.err


def test_unpack(run: Run, packed: Path, contents_of: Callable[[Path], dict[str, bytes]]) -> None:
    assert run("unpack", packed).out == "blobs_fp32\n"
    load_artifact(Path("blobs_fp32"))
    assert "exists already" in run("unpack", packed).error
    assert run("unpack", packed, "--out", "b").code == 0
    assert contents_of(Path("b")) == contents_of(Path("blobs_fp32"))
    assert "larger than 1 MiB" in _too_large(run, packed)


@pytest.fixture
def contents_of() -> Callable[[Path], dict[str, bytes]]:
    return lambda folder: {path.name: path.read_bytes() for path in folder.iterdir()}


def _too_large(run: Run, packed: Path) -> str:
    packed.write_bytes(bytes(1 << 20) + packed.read_bytes())
    return run("unpack", packed, "--out", "c", "--max-mib", 1).error


def test_ungated(run: Run, artifact_copy: Any) -> None:
    artifact_copy.set("gate", None)
    folder, trust = artifact_copy.folder, "--trust-ungated"
    assert "has no gate report" in run("pack", folder, "--out", "x.edgepose").error
    assert run("pack", folder, "--out", "x.edgepose", trust).code == 0
    assert "has no gate report" in run("pull", "x.edgepose").error
    assert run("pull", "x.edgepose", trust).code == 0
    assert "no gate" in run("list").out
    assert "FAILED gate" in run("verify", "x.edgepose").out


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["remove", "default"], 1, "came with edge_pose"),
        (["remove", "nix"], 1, "(there: none)"),
        (["pull", "nix.edgepose"], 1, "nix.edgepose: cannot be read: No such file"),
        (["pull", "http://127.0.0.1:1/x"], 2, "can be altered on its way"),
        (["pull", "x", "--sha256", "12"], 2, "expected 64 hexadecimal digits"),
        (["pull", "x", "--key", "nix.pem"], 1, "nix.pem: cannot be read"),
        (["pull", "x", "--max-mib", "0"], 2, "--max-mib"),
        (["sign", "nix", "--private", "nix.pem"], 2, "nix: no such folder"),
        (["pack", "nix"], 1, "neither a shipped model"),
        (["keygen", ""], 1, "expected a file name"),
        (["keygen", "."], 2, "is a directory"),
    ],
)
def test_bad_requests(
    run: Run, need: Callable[[str], object], arguments: list[str], code: int, expected: str
) -> None:
    need("cryptography")
    done = run(*arguments)
    assert done.code == code
    assert done.err.count("\n") == 1
    assert expected in done.err


def test_models_is_the_older_name_of_list(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = run("list").out
    monkeypatch.setattr(sys, "argv", ["edge-pose", "models"])
    with pytest.raises(SystemExit):
        run_command(cli, "edge-pose")
    assert capsys.readouterr().out == expected
