"""Results that are recorded, whoever sent them: every file, and every rule with a broken copy."""

from __future__ import annotations

import copy
import json
import re
import socket
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from benchmarks import facts
from benchmarks.checkout import DEVICES, ROOT
from benchmarks.plausible import implausible
from benchmarks.privacy import leaks, local_names, without_leaks
from benchmarks.result import DeviceResult
from benchmarks.submission import MAX_BYTES, Checked, check_result, record, recorded
from edge_pose.artifact import read_manifest
from edge_pose.errors import PublisherError, UsageError
from edge_pose.models import shipped

NOW = datetime.now(timezone.utc)
Look = Callable[[dict[str, Any]], Checked]


@pytest.fixture
def values(recordable: dict[str, Any]) -> dict[str, Any]:
    """A result as it is recorded."""
    return without_leaks(recordable)


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Return a function that writes values as a file and checks it."""

    def check(values: dict[str, Any]) -> Checked:
        file = tmp_path / "sent.json"
        file.write_text(json.dumps(values), "utf-8")
        return check_result(file, NOW)

    return check


def planted(values: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """Return a copy with one value replaced; a function gets the old one."""
    changed = copy.deepcopy(values)
    *tables, last = path.split(".")
    table: Any = changed
    for name in tables:
        table = table[int(name) if isinstance(table, list) else name]
    key: Any = int(last) if isinstance(table, list) else last
    table[key] = new(table[key]) if callable(new) else new
    return changed


def test_every_recorded_result_keeps_the_rules() -> None:
    found = recorded(ROOT, NOW)
    assert [f"{one.file.name}: {line}" for one in found for line in one.wrong] == []


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_accuracy_of_a_shipped_artifact_is_taken_as_it_is_written(
    name: str, recordable: dict[str, Any]
) -> None:
    manifest = read_manifest(shipped()[name])
    own = facts.accuracy(manifest)
    if manifest.task == "detector":
        return
    assert own is not None
    result = DeviceResult.model_validate(recordable)
    artifact = result.artifact.model_copy(
        update={
            "sha256": manifest.file.sha256,
            "accuracy": own,
            "params": manifest.origin.params,
            "macs": manifest.origin.macs,
        }
    )

    def told(**changes: Any) -> list[str]:
        changed = artifact.model_copy(update={"accuracy": own.model_copy(update=changes)})
        lines = implausible(result.model_copy(update={"artifact": changed}), NOW)
        return [line for line in lines if line.startswith("artifact")]

    assert told() == []
    for changes in (
        {"percent": own.percent - 1},
        {"dataset": "x"},
        {"metric": "x"},
        {"n_persons": 1},
    ):
        assert len(told(**changes)) == 1
    gone = result.model_copy(update={"artifact": artifact.model_copy(update={"accuracy": None})})
    assert any(line.startswith("artifact.accuracy: none") for line in implausible(gone, NOW))


def test_a_good_one_passes(values: dict[str, Any], look: Look) -> None:
    found = look(values)
    assert found.wrong == ()
    assert found.result is not None
    assert "artifact not shipped here: nobody can check its accuracy" in found.flags


@pytest.mark.parametrize(
    ("path", "new", "expected"),
    [
        ("offline.fps.mean", lambda mean: mean * 1.001, "offline.fps: mean .*, of the values it"),
        ("single_stream.latency.infer.p50_ms.high", lambda v: v + 1, "infer.p50_ms: does not fol"),
        ("offline.fps.values.1", lambda v: v * 1.5, "offline.fps: mean .*, of the values it is"),
        ("offline.power.mean_w.mean", 0.001, "power.mean_w: mean 0.001 is outside"),
        ("offline.power.accuracy_fps_per_watt.mean", 9e9, "fps_per_watt: mean 9e.09 is outside"),
        ("offline.histogram.counts.0", lambda v: v + 7, "the histogram or the latency has another"),
        ("offline.frames_with_people", 10**6, "offline.frames_with_people: 1000000 of"),
        ("fixed_rate.skipped", lambda v: v + 1, "fixed_rate: "),
        ("fixed_rate.rate_hz", 1.0, "fixed_rate.fps: .* of a camera with 1$"),
        ("parts.summary.bare.fps.median", 1.0, "parts.summary: does not follow from the rounds"),
        ("artifact.accuracy.percent", 101.0, "percent: 101, expected 0 to 100|mixed units"),
        ("machine.after.temperatures_c", {"cpu": 400.0}, "temperatures_c: cpu 400"),
        ("machine.after.clocks_mhz", {"cpu0": 2.4e6}, "clocks_mhz: cpu0 2.4e"),
        ("setup.repeats", 2, "setup.repeats: 2, at least 3|3 values of 2 repeats"),
        ("source.frames", 5, "source.frames: 5, at least 100"),
        ("created_at", "1970-01-01T00:00:07Z", "1970-01-01 cannot be, is the device's clock set"),
        ("created_at", "2026-11-20T08:00:00", "created_at: no time zone"),
    ],
)
def test_a_planted_wrong_number_is_found(
    path: str, new: Any, expected: str, values: dict[str, Any], look: Look
) -> None:
    wrong = look(planted(values, path, new)).wrong
    assert any(re.search(expected, line) for line in wrong), wrong


def test_figures_that_agree_with_each_other_but_not_with_the_clock(
    values: dict[str, Any], look: Look
) -> None:
    def faster(value: Any) -> Any:
        return [faster(v) for v in value] if isinstance(value, list) else value and value * 40

    for mode in ("offline", "single_stream"):
        table = values[mode]
        table["fps"] = {name: faster(value) for name, value in table["fps"].items()}
        power = table["power"]
        power["joules_per_frame"] = {
            k: [x / 40 for x in v] if isinstance(v, list) else v and v / 40
            for k, v in power["joules_per_frame"].items()
        }
        ae = power["accuracy_fps_per_watt"]
        power["accuracy_fps_per_watt"] = {k: faster(v) for k, v in ae.items()}
    wrong = " ".join(look(values).wrong)
    assert "single_stream.latency.end_to_end: " in wrong
    assert "of the time is spent in it at this FPS" in wrong


def test_a_future_date(values: dict[str, Any], look: Look) -> None:
    later = (NOW + timedelta(days=3)).isoformat()
    assert any("created_at" in line for line in look(planted(values, "created_at", later)).wrong)


def test_another_accuracy_than_the_shipped_file_has(values: dict[str, Any], look: Look) -> None:
    from edge_pose.artifact import read_manifest
    from edge_pose.models import DEFAULT, shipped

    manifest = read_manifest(shipped()[DEFAULT])
    assert manifest.gate is not None
    assert manifest.gate.artifact_accuracy != 80.0  # the tiny artifact's
    wrong = look(planted(values, "artifact.sha256", manifest.file.sha256)).wrong
    assert any("this file's own gate report has" in line for line in wrong)
    assert any("are not those of this file" in line for line in wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"schema": "edge_pose.bench/3"}', "schema 'edge_pose.bench/3' is newer than this"),
        (" " * (MAX_BYTES + 1), "larger than 4 MiB"),
    ],
)
def test_what_cannot_be_read(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "sent.json"
    file.write_text(text, "utf-8")
    found = check_result(file, NOW)
    assert found.result is None
    assert len(found.wrong) == 1
    assert expected in found.wrong[0]


def test_reports_of_other_kinds_and_keys_that_hide_others(
    values: dict[str, Any], tmp_path: Path
) -> None:
    other = check_result(ROOT / "benchmarks" / "results" / "cold_start.json", NOW)
    assert "expected a result of `edge-pose-bench run`" in other.wrong[0]
    file = tmp_path / "sent.json"
    text = json.dumps(values)
    file.write_text('{"warnings": ["of alice"], ' + text[1:], "utf-8")
    assert check_result(file, NOW).wrong == ("warnings: is there twice",)


def test_the_schema_is_stricter_than_the_models(values: dict[str, Any], look: Look) -> None:
    wrong = look(planted(values, "setup.repeats", "3")).wrong
    assert wrong == ("JSON Schema: data.setup.repeats must be integer",)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("setup.source", "/home/alice/clip.mp4", "setup.source: holds a path"),
        ("setup.model", "alice/models/x", "setup.model: holds a path"),
        ("setup.model", r"C:\Users\alice\x", "setup.model: holds a path"),
        ("setup.power", "file:/var/log/watts.csv", "setup.power: holds a path"),
        ("meter.detail", "from ~alice/x.toml", "meter.detail: holds a path"),
        ("meter.detail", "from ../alice/x.toml", "meter.detail: holds a path"),
        ("meter.detail", "MQTT at broker-7.lan", "meter.detail: holds a host name"),
        ("meter.detail", "plug at 192.168.1.17", "meter.detail: holds an IP address"),
        ("meter.detail", "plug fe80:0:0:1::17", "meter.detail: holds an IP address"),
        ("meter.detail", "plug 0a:1b:2c:3d:4e:5f", "meter.detail: holds an IP address"),
        ("meter.detail", "seen by alice@laptop", "meter.detail: holds a name at a host"),
        ("warnings", ["lost mqtt://broker/x"], "warnings.0: holds an address with a scheme"),
        ("environment.cpu_model", "Pi, Serial: 10af", "cpu_model: holds a serial number"),
        ("environment.cpu_model", "10000000abcdef01", "cpu_model: holds a serial number"),
        (
            "artifact.backend_device",
            "GPU-8f6a1c2e-0b1d-4c55-9b3e-112233445566",
            "backend_device: holds a serial number",
        ),
        ("environment.kernel", "6.1-build@alice", "environment.kernel: holds a name at a host"),
        ("machine.before.temperatures_c", {"/home/alice": 3.0}, "temperatures_c: holds a path"),
        ("artifact.sha256", "/home/alice", "artifact.sha256: holds a path"),
    ],
)
def test_what_tells_about_its_sender_is_refused(
    path: str, text: Any, expected: str, values: dict[str, Any], look: Look
) -> None:
    wrong = look(planted(values, path, text)).wrong
    assert any(expected in line for line in wrong), wrong
    assert not any("alice" in line for line in wrong)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("environment.cpu_model", "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz"),
        ("environment.cpu_model", "Raspberry Pi 5 Model B Rev 1.0"),
        ("environment.libraries", {"opencv-python-headless": "5.0.0.93"}),
        ("artifact.backend_version", "2026.4.1-22345-0123456789abc-releases"),
        ("meter.detail", "VDD_IN of 3 rails, /sys/bus/i2c/drivers/ina3221/1-0040/hwmon"),
        ("meter.detail", "supply at i2c address 0x40, shunt 0.1 Ω, accuracy × FPS / W"),
        ("setup.source", "synthetic:640x480@30x100"),
        ("warnings", ["clocks were held back: under-voltage, 12.5 J/frame"]),
    ],
)
def test_what_looks_like_it_and_is_not(
    path: str, text: Any, values: dict[str, Any], look: Look
) -> None:
    assert look(planted(values, path, text)).wrong == ()


def test_names_of_this_machine_are_found_wherever_they_are(values: dict[str, Any]) -> None:
    changed = planted(values, "source.name", "kitchen-of-bob.mp4")
    assert leaks(changed, {"bob"}) == []  # a part of a word
    changed = planted(values, "device.description", "Bob laptop")
    found = leaks(changed, {"bob"})
    assert found == ["device.description: holds the name of this machine or of its user"]
    assert "root" not in local_names()


def test_the_local_host_name(
    values: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    bench: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "zeppelin.example.org")
    assert {"zeppelin", "zeppelin.example.org"} <= local_names()
    file = tmp_path / "sent.json"
    file.write_text(json.dumps(planted(values, "environment.kernel", "6.1.0 zeppelin")), "utf-8")
    code, out, err = bench("supported", "--check", file)
    assert (code, out) == (1, "")
    line = f"{file}: environment.kernel: holds the name of this machine or of its user"
    assert line in err.splitlines()


def test_where_a_meter_listens_is_taken_out(recordable: dict[str, Any]) -> None:
    detail = "MQTT topic shellies/alice at broker:1883"
    sent = planted(recordable, "meter.name", "smart_plug")
    sent = planted(sent, "meter.detail", detail)
    sent = planted(sent, "warnings", [f"power meter smart_plug: {detail}: no word for 90 s"])
    sent = planted(sent, "setup.power", "smart_plug:mqtt://broker/shellies/alice")
    assert "meter.detail: says where the meter is" in leaks(sent)
    clean = without_leaks(sent)
    assert clean["meter"]["detail"] == "smart plug over MQTT"
    assert clean["setup"]["power"] == "smart_plug"
    assert "alice" not in json.dumps(clean)
    assert leaks(clean) == []
    assert leaks(recordable) != []  # it has the paths of this test


def test_closed_mode_is_judged_again(values: dict[str, Any], look: Look) -> None:
    closed = {
        "division": "closed",
        "min_accuracy": 75.0,
        "measured_power": False,
        "valid": True,
        "reasons": [],
    }
    steady = planted(values, "warm_up", lambda v: {**v, "steady": True})
    assert look(planted(steady, "validity", closed)).wrong == ()
    too_high = planted(steady, "validity", {**closed, "min_accuracy": 90.0})
    assert look(too_high).wrong == (
        "validity: not valid: accuracy: 80.0 PCKh@0.5 on blobs (n = 100) is below 90",
    )
    demanded = planted(steady, "validity", {**closed, "measured_power": True})
    assert "measured power was demanded" in look(demanded).wrong[0]
    throttled = planted(planted(steady, "validity", closed), "machine.throttled", ["too hot"])
    assert "clocks were held back: too hot" in look(throttled).wrong[0]
    said = {**closed, "valid": False, "reasons": ["i say so"]}
    assert look(planted(steady, "validity", said)).wrong == (
        "validity: says that it is not valid, and is",
    )


def test_profiles(values: dict[str, Any], look: Look) -> None:
    def named(name: str) -> dict[str, Any]:
        return planted(planted(values, "device.profile", name), "setup.profile", name)

    (unknown,) = look(named("raspberry_pi_6")).wrong
    assert "'raspberry_pi_6' is no profile of edge_pose, did you mean 'raspberry_pi_" in unknown
    wrong_processor = planted(named("raspberry_pi_5"), "environment.machine", "x86_64")
    (line,) = look(wrong_processor).wrong
    assert line == "device.profile: raspberry_pi_5 is aarch64, the machine was x86_64"
    (two,) = look(planted(values, "setup.profile", "jetson_nano")).wrong
    assert two.startswith("setup.profile: jetson_nano against")


def test_a_profile_that_detection_did_not_find_is_flagged(
    values: dict[str, Any], look: Look
) -> None:
    other = planted(values, "device.detected", ["intel_cpu", "intel_npu"])
    found = look(other)
    assert found.wrong == ()
    assert "profile named by hand: detection says intel_cpu" in found.flags
    found = look(planted(values, "device.detected", []))
    assert "nothing says which profile fits this machine" in found.flags
    npu = planted(values, "device.accelerator", "Intel NPU")
    assert "ran on the CPU, not on Intel NPU" in look(npu).flags


def test_emulated_runs_are_no_results(values: dict[str, Any], look: Look) -> None:
    (line,) = look(planted(values, "device.emulated", ["processor: x on a kernel for y"])).wrong
    assert line == "device.emulated: processor: x on a kernel for y: no result"


def test_a_result_is_recorded_without_paths(recordable: dict[str, Any], tmp_path: Path) -> None:
    sent = tmp_path / "sent.json"
    sent.write_text(json.dumps(recordable), "utf-8")
    done = record(sent, tmp_path, NOW)
    assert done.wrong == ()
    profile = recordable["device"]["profile"]
    assert done.file.parent == tmp_path / DEVICES / profile
    assert done.file.name.startswith("blobs_fp32_20")
    kept = json.loads(done.file.read_text("utf-8"))
    assert kept["setup"]["model"] == "blobs_fp32"
    assert kept["setup"]["source"] == kept["source"]["name"] == "blobs.mp4"
    assert str(tmp_path.parent) not in done.file.read_text("utf-8")
    assert kept["offline"] == recordable["offline"]
    (again,) = recorded(tmp_path, NOW)
    assert again.wrong == ()
    with pytest.raises(PublisherError, match="is there already"):
        record(sent, tmp_path, NOW)


def test_what_is_refused_is_not_recorded(recordable: dict[str, Any], tmp_path: Path) -> None:
    sent = tmp_path / "sent.json"
    for path, new in (("device.profile", "../../../evil"), ("device.emulated", ["it"])):
        sent.write_text(json.dumps(planted(recordable, path, new)), "utf-8")
        with pytest.raises(UsageError, match=f"^{sent}: device"):
            record(sent, tmp_path, NOW)
    assert sorted(tmp_path.rglob("*.json")) == [sent]


def test_only_results_in_their_profiles_folder(values: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / DEVICES
    for place in ("loose.json", "jetson_nano/other.json", "jetson_nano/notes.txt"):
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), "utf-8")
    (folder / "jetson_nano" / "link.json").symlink_to(folder / "loose.json")
    found = {one.file.name: one.wrong for one in recorded(tmp_path, NOW)}
    expected = ("expected benchmarks/results/devices/PROFILE/NAME.json",)
    assert found["loose.json"] == found["notes.txt"] == found["link.json"] == expected
    assert found["other.json"][0].endswith("in the folder of jetson_nano")
