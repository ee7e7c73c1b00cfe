"""`edge-pose` as a user starts it: real processes, what they print and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_pose.schemas import validate_message

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "edge_pose"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "160", **(extra or {})}


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """Run `edge-pose` in an empty folder."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def start(*arguments: object, env: dict[str, str] | None = None) -> Any:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=folder,
            env=environment(env),
        )

    return start


@pytest.fixture
def tiny(tiny_artifact: Path) -> list[object]:
    return ["--model", tiny_artifact, "--power", "estimate"]


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the only line on stderr of a process that failed as it should."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("edge-pose")
    return lines[0]


def test_a_clip_becomes_messages_and_a_summary(
    cli: Run, tiny: list[object], make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    jsonl = tmp_path / "out" / "poses.jsonl"
    done = cli("run", make_clip(12), *tiny, "--jsonl", jsonl, "--device", "bench")
    assert (done.returncode, done.stderr) == (0, "")
    messages = [validate_message(line) for line in jsonl.read_bytes().splitlines()]
    assert [message["frame"] for message in messages] == list(range(12))
    assert {message["device"] for message in messages} == {"bench"}
    for part in ("12 in ", "blobs_fp32", "FPS", "end to end ms", "estimated", "PCKh@0.5", "AE"):
        assert part in done.stdout


def test_json_goes_to_stdout_and_logs_to_stderr(
    cli: Run, tiny: list[object], make_clip: Callable[..., Path], nobody: Any, tmp_path: Path
) -> None:
    jsonl = tmp_path / "poses.jsonl"
    done = cli(
        "run", make_clip(12), *tiny, "--json", "--jsonl", jsonl, "--mqtt", nobody.url,
    )  # fmt: skip
    assert done.returncode == 0
    values = json.loads(done.stdout)
    assert values["schema"] == "edge_pose.summary/1"
    assert values["frames"] == len(jsonl.read_text().splitlines()) == 12
    counts = {p["name"]: (p["sent"], p["dropped"]) for p in values["publishers"]}
    assert counts == {"jsonl": (12, 0), "mqtt": (0, 12)}
    # The broker that is not there: one line at its loss, one that counts what was lost.
    first, last = done.stderr.splitlines()
    assert "not reachable" in first
    assert "12 of 12 pose messages were not sent" in last


def test_the_broker_gets_what_the_file_gets(
    cli: Run,
    tiny: list[object],
    make_clip: Callable[..., Path],
    embedded: Any,
    listen: Any,
    tmp_path: Path,
) -> None:
    ear = listen(embedded)
    jsonl = tmp_path / "poses.jsonl"
    arguments = ["--mqtt", embedded.url, "--jsonl", jsonl, "--set", "mqtt.qos=1"]
    assert cli("run", make_clip(12), *tiny, *arguments).returncode == 0
    ear.until_offline()
    assert ear.messages("poses") == [json.loads(line) for line in jsonl.read_text().splitlines()]


def test_a_device_that_is_not_there_falls_back_or_fails(
    cli: Run,
    tiny: list[object],
    make_clip: Callable[..., Path],
    need: Callable[[str], object],
    tmp_path: Path,
) -> None:
    need("openvino")
    clip, cache = make_clip(4), tmp_path / "compiled"
    npu = ["--backend", "openvino", "--inference-device", "NPU", "--compile-cache", cache]
    done = cli("run", clip, *tiny, *npu, "--threads", 1, "--json")
    assert done.returncode == 0
    runtime = json.loads(done.stdout)["runtime"]
    assert runtime.pop("version")[0].isdigit()
    assert runtime == {"backend": "openvino", "device": "CPU", "threads": 1}
    (warning,) = done.stderr.splitlines()
    assert "openvino: NPU cannot be used: " in warning
    assert list(cache.glob("openvino-*/*.blob"))
    refused = one_line(cli("run", clip, *tiny, *npu, "--strict"), 1)
    assert refused.startswith("edge-pose: openvino: NPU cannot be used: ")
    unknown = one_line(cli("run", clip, *tiny, "--inference-device", "CUDAA"), 2)
    assert "did you mean 'CUDA'" in unknown


def test_a_backend_that_cannot_run_the_artifact(
    cli: Run, tiny: list[object], make_clip: Callable[..., Path]
) -> None:
    clip = make_clip(1)
    refused = one_line(cli("run", clip, *tiny, "--backend", "tflite"), 1)
    assert refused.endswith("it can be read by onnxruntime or openvino")
    assert "did you mean 'tflite'" in one_line(cli("run", clip, *tiny, "--backend", "tflit"), 2)
    assert "threads" in one_line(cli("run", clip, *tiny, "--threads", "-1"), 2)


def test_verbose_says_what_was_chosen_and_why(
    cli: Run, tiny: list[object], make_clip: Callable[..., Path]
) -> None:
    arguments = ["--profile", "generic_x86_64", "--threads", 1]
    done = cli("-v", "run", make_clip(1), *tiny, *arguments)
    assert done.returncode == 0
    assert "backend onnxruntime (profile generic_x86_64), device CPU (profile" in done.stderr
    assert "threads 1 (asked for)" in done.stderr
    assert "warmed up in " in done.stderr


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_run_leaves_nothing_at_home(
    cli: Run,
    tiny: list[object],
    make_clip: Callable[..., Path],
    need: Callable[[str], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
) -> None:
    """Runtimes that report to their makers keep an id and what they did not send yet there."""
    need(backend)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    # They are silent where CI says so, and in this process edge_pose has silenced them already.
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "CI", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    done = cli("run", make_clip(3), *tiny, "--backend", backend, "--compile-cache", "off")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.rglob("*")) == []


def test_print_config_shows_what_file_environment_and_flags_make(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        "device = 'file'\ncamera = 'file'\nthreads = 1\n"
        "[mqtt]\nhost = 'file.local'\ntls = true\ntls_insecure = true\n"
        "[tracking]\npatience = 1\n"
    )
    env = {
        "EDGE_POSE_CONFIG": str(file),
        "EDGE_POSE_CAMERA": "env",
        "EDGE_POSE_THREADS": "2",
        "EDGE_POSE_MQTT__PASSWORD": "hush-hush",
    }
    flags = [
        "--threads",
        "3",
        "--mqtt",
        "mqtts://me@flag.local:9999",
        "--set",
        "tracking.padding=2",
    ]
    done = cli("run", "clip.mp4", *flags, "--smooth", "--print-config", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    values = tomllib.loads(done.stdout)
    assert (values["source"], values["device"], values["camera"]) == ("clip.mp4", "file", "env")
    assert values["threads"] == 3
    assert values["tracking"]["patience"] == 1
    assert values["tracking"]["padding"] == 2.0
    assert values["smoothing"]["enabled"] is True
    mqtt = values["mqtt"]
    assert (mqtt["host"], mqtt["port"], mqtt["username"]) == ("flag.local", 9999, "me")
    assert (mqtt["tls"], mqtt["tls_insecure"]) == (True, True)
    assert "hush" not in done.stdout
    assert set(mqtt["password"]) == {"*"}
    as_json = cli("run", "clip.mp4", *flags, "--smooth", "--print-config", "--json", env=env)
    assert json.loads(as_json.stdout) == values
    # What was printed can be used as a file, except for what was masked.
    again = tmp_path / "again.toml"
    again.write_text(done.stdout.replace(mqtt["password"], "hush-hush"))
    assert tomllib.loads(cli("run", "--config", again, "--print-config").stdout) == values


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--jsnl", "x"], "'--jsonl'"),
        (["rn"], "Did you mean 'run'?"),
        (["run", "a.mp4", "b.mp4"], "unexpected extra argument"),
        (["run", "--threads", "many"], "'many' is not a valid integer"),
        (["run", "--threads", "-1"], "flags: threads: Input should be greater than or equal to 0"),
        (["run", "--max-frames", "0"], "flags: max_frames: Input should be greater than or equal"),
        (["run", "--set", "tracking.patiense=3"], "did you mean 'patience'?"),
        (["run", "--set", "tracking"], "expected KEY=VALUE"),
        (["run", "--set", "threads.x=1"], "'threads' is not a table"),
        (["run", "--config", "no.toml"], "no.toml: cannot be read: No such file"),
        (["run", "--mqtt", "http://host"], "expected mqtt://"),
        (["run", "--mqtt", "mqtt://host/topic"], "--set mqtt.topic_prefix="),
        (["run", "synthetic", "--backend", "onnxruntim"], "did you mean 'onnxruntime'?"),
        (["run", "synthetic", "--power", "raple"], "did you mean 'rapl'?"),
        (["run", "synthetic", "--profile", "raspberry_pi_3"], "did you mean 'raspberry_pi_"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    cli: Run, tiny_artifact: Path, arguments: list[str], expected: str
) -> None:
    env = {"EDGE_POSE_MODEL": str(tiny_artifact)}
    assert expected in one_line(cli(*arguments, env=env), 2)


def test_an_unknown_key_in_a_file_says_what_was_meant(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "edge_pose.toml"
    file.write_text("[mqtt]\nhots = 'broker.local'\n")
    message = one_line(cli("run", "--config", file), 2)
    assert f"{file}: unknown key 'mqtt.hots', did you mean 'host'?" in message
    file.write_text('"two\\nlines" = 1\n')
    assert "unknown key" in one_line(cli("run", "--config", file), 2)


def bad_sources(tmp_path: Path, cut_clip: Callable[..., Path]) -> Iterator[tuple[Path, str]]:
    yield tmp_path / "no.mp4", "no such file"
    text = tmp_path / "notes.mp4"
    text.write_text("This is not a video. " * 100)
    yield text, "not a video that can be read"
    empty = tmp_path / "empty.mp4"
    empty.touch()
    yield empty, "the file is empty"
    yield cut_clip(0.8, index_first=False), "not a video that can be read (damaged, cut off"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").touch()
    yield folder, "no images found"
    yield tmp_path / "*.jpg", "no images found"


def test_every_bad_source_is_one_line_and_code_1(
    cli: Run, tiny: list[object], tmp_path: Path, cut_clip: Callable[..., Path]
) -> None:
    for source, expected in bad_sources(tmp_path, cut_clip):
        message = one_line(cli("run", source, *tiny), 1)
        assert f"{source}: {expected}" in message


def test_a_clip_that_breaks_off_is_used_as_far_as_it_goes(
    cli: Run,
    tiny: list[object],
    cut_clip: Callable[..., Path],
    tmp_path: Path,
    count_frames: Callable[[Path], int],
) -> None:
    jsonl, video = tmp_path / "poses.jsonl", tmp_path / "poses.mp4"
    clip = cut_clip(0.3, index_first=True)
    done = cli("run", clip, *tiny, "--jsonl", jsonl, "--video", video, "--json")
    message = one_line(done, 1)
    assert f"{clip}: ended after frame " in message
    assert "truncated or damaged" in message
    values = json.loads(done.stdout)
    assert values["outcome"] == "failed"
    assert values["frames"] == len(jsonl.read_text().splitlines()) == count_frames(video) > 10


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("file.sha256", "0" * 64, "the file was damaged or changed"),
        ("schema", "edge_pose.artifact/9", "schema 'edge_pose.artifact/9' is not known here"),
        ("input", None, "manifest.json: input: Field required"),
        ("gate", None, "has no gate report, convert it again or pass --trust-ungated"),
        ("gate.passed", False, "failed its accuracy gate"),
        ("input.name", "pixels", "the graph has inputs ['image [1, 3, 64, 64] float32']"),
    ],
)
def test_every_bad_model_is_one_line_and_code_1(
    cli: Run, artifact_copy: Any, key: str, value: object, expected: str
) -> None:
    artifact_copy.set(key, value)
    message = one_line(cli("run", "synthetic", "--model", artifact_copy.folder), 1)
    assert str(artifact_copy.folder) in message
    assert expected in message


def test_a_model_that_is_not_there(cli: Run) -> None:
    assert "neither a shipped model nor a folder" in one_line(cli("run", "--model", "nix"), 1)


def test_outputs_that_cannot_be_written(cli: Run, tiny: list[object], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for flag, path, expected in (
        ("--jsonl", tmp_path, "is a folder"),
        ("--jsonl", tmp_path / "file" / "x.jsonl", "the folder cannot be created"),
        ("--video", tmp_path / "x.gif", "unknown kind of video"),
    ):
        message = one_line(cli("run", "synthetic:64x64@25x5", *tiny, flag, path), 1)
        assert f"{path}: {expected}" in message


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_a_run_in_good_order(
    number: signal.Signals,
    code: int,
    tiny: list[object],
    embedded: Any,
    listen: Any,
    tmp_path: Path,
    count_frames: Callable[[Path], int],
) -> None:
    jsonl, video = tmp_path / "poses.jsonl", tmp_path / "poses.mp4"
    arguments = [*tiny, "--jsonl", jsonl, "--video", video, "--mqtt", embedded.url, "--json"]
    process = subprocess.Popen(
        [*COMMAND, "run", "synthetic:160x120@100", "--realtime", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        deadline_s = time.monotonic() + 60
        while not jsonl.exists() or jsonl.read_bytes().count(b"\n") < 20:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (code, "")
    values = json.loads(stdout)
    assert values["outcome"] == "interrupted"
    data = jsonl.read_bytes()
    assert data.endswith(b"\n")
    assert len([validate_message(line) for line in data.splitlines()]) == values["frames"] >= 20
    reports = {report["name"]: report for report in values["publishers"]}
    # On a busy machine frames are dropped, and the video shows the one before for their time.
    assert count_frames(video) >= reports["video"]["sent"] > 0
    assert listen(embedded).kept() == ("offline", "no_source")


def test_a_terminal_that_knows_ascii_only(cli: Run, tiny: list[object], tmp_path: Path) -> None:
    arguments = ["synthetic:64x64@25x3", *tiny, "--jsonl", tmp_path / "poses.jsonl"]
    done = cli("run", *arguments, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 sent, 0 dropped ? " in done.stdout


def test_a_full_disk_under_the_summary(tiny: list[object]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "run", "synthetic:64x64@25x3", *map(str, tiny)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
    assert "No space left on device" in one_line(done, 1)
