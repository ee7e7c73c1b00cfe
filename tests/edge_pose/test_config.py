"""File, environment and flags: who wins, and what a mistake is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_pose.config import RunConfig, default_device, load_config
from edge_pose.errors import ConfigError

FILE = """
device = "from-file"
camera = "from-file"
model = "from-file"
max_frames = 10
[mqtt]
host = "file.local"
port = 1000
username = "file"
[tracking]
padding = 1.5
patience = 1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "edge_pose.toml"
    path.write_text(text, "utf-8")
    return path


def mistake(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Return the message of the refusal, which must be one line."""
    with pytest.raises(ConfigError) as caught:
        load_config(file, flags, env or {})
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


def test_without_anything_the_defaults_hold() -> None:
    config = load_config(env={})
    assert config == RunConfig(device=default_device())
    assert config.mqtt.host == ""
    assert load_config(None, {"jsonl": None, "mqtt": {"host": None}}, {}) == config


def test_flags_beat_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    env = {
        "EDGE_POSE_CAMERA": "from-env",
        "EDGE_POSE_MODEL": "from-env",
        "EDGE_POSE_MQTT__PORT": "2000",
        "EDGE_POSE_MQTT__USERNAME": "env",
        "EDGE_POSE_TRACKING__PATIENCE": "2",
        "EDGE_POSE_DATA": "not a setting",
        "OTHER": "not ours",
    }
    flags = {"model": "from-flag", "mqtt": {"username": "flag"}, "tracking": {"patience": 3}}
    config = load_config(written(tmp_path, FILE), flags, env)
    assert (config.device, config.camera, config.model) == ("from-file", "from-env", "from-flag")
    mqtt = config.mqtt
    assert (mqtt.host, mqtt.port, mqtt.username) == ("file.local", 2000, "flag")
    assert (config.tracking.padding, config.tracking.patience) == (1.5, 3)
    assert config.max_frames == 10


def test_a_flag_that_is_off_beats_a_file_that_is_on(tmp_path: Path) -> None:
    file = written(tmp_path, "realtime = true\noverwrite = true\n")
    config = load_config(file, {"realtime": False}, {"EDGE_POSE_OVERWRITE": "no"})
    assert (config.realtime, config.overwrite) == (False, False)


def test_what_must_agree_may_come_from_several_places(tmp_path: Path) -> None:
    file = written(tmp_path, "[mqtt]\ntls = true\n")
    config = load_config(file, {"mqtt": {"tls_insecure": True}}, {"EDGE_POSE_MQTT__CA_FILE": "ca"})
    assert config.mqtt.ca_file == Path("ca")
    assert mistake(None, None, {"EDGE_POSE_MQTT__CA_FILE": "ca"}).startswith("configuration: mqtt:")
    both = {"EDGE_POSE_MQTT__PASSWORD_FILE": "p"}
    message = mistake(written(tmp_path, "[mqtt]\npassword = 'hush'\n"), None, both)
    assert message == "configuration: mqtt: give password or password_file, not both"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modle = 'x'", "unknown key 'modle', did you mean 'model'? (known: device, camera,"),
        ("[mqtt]\nhots = 'x'", "unknown key 'mqtt.hots', did you mean 'host'?"),
        ("[traking]\n", "unknown key 'traking', did you mean 'tracking'?"),
        ("qqqqq = 1", "unknown key 'qqqqq' (known: "),
        ("threads = -1", "threads: Input should be greater than or equal to 0 (found -1)"),
        ("threads = 'two'", "threads: Input should be a valid integer"),
        ("max_frames = 0", "max_frames: Input should be greater than or equal to 1 (found 0)"),
        ("[mqtt]\nport = 70000", "mqtt.port: Input should be less than or equal to 65535"),
        ("[mqtt]\nqos = 3", "mqtt.qos: Input should be less than or equal to 2 (found 3)"),
        ("[tracking]\npadding = 0.5", "tracking.padding: Input should be greater than or equal"),
        ("device = 'a/b'", "device: String should match pattern"),
        ("mqtt = 1", "mqtt: Input should be a valid dictionary"),
        ("threads = ", "not valid TOML: Invalid value (at "),
        ("threads = 1\nthreads = 2", "not valid TOML: "),
    ],
)
def test_mistakes_in_the_file_name_it(tmp_path: Path, text: str, expected: str) -> None:
    file = written(tmp_path, text)
    message = mistake(file)
    assert message.startswith(f"{file}: ")
    assert expected in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no.toml: cannot be read: No such file" in mistake(tmp_path / "no.toml")
    assert "cannot be read: Is a directory" in mistake(tmp_path)
    file = tmp_path / "latin1.toml"
    file.write_bytes("device = 'Küche'".encode("latin-1"))
    assert "not UTF-8 text" in mistake(file)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"EDGE_POSE_MODLE": "x"}, "environment: unknown key 'modle', did you mean 'model'?"),
        ({"EDGE_POSE_MQTT__PORT": "no"}, "environment: mqtt.port: Input should be a valid integer"),
        ({"EDGE_POSE_THREADS": "2000"}, "environment: threads: Input should be less than or equal"),
        ({"EDGE_POSE_MQTT": "h", "EDGE_POSE_MQTT__PORT": "1"}, "'mqtt' is set as a value, too"),
        ({"EDGE_POSE_MQTT__PORT": "1", "EDGE_POSE_MQTT": "h"}, "'mqtt' is a table"),
        ({"EDGE_POSE_THREADS__X": "1"}, "environment: threads: Input should be a valid integer"),
    ],
)
def test_mistakes_in_the_environment_say_so(env: dict[str, str], expected: str) -> None:
    assert expected in mistake(env=env)


def test_mistakes_in_flags_say_so() -> None:
    assert mistake(flags={"threads": -3}).startswith("flags: threads: ")
    assert "did you mean 'patience'?" in mistake(flags={"tracking": {"patiense": 1}})


def test_a_wrong_value_is_told_before_a_broken_rule() -> None:
    message = mistake(flags={"mqtt": {"tls_insecure": True}, "threads": -1})
    assert message.startswith("flags: threads: ")


@pytest.mark.parametrize("wrong", [{"port": 0}, {"password_file": "x"}, {"host": 1}])
def test_a_password_is_never_shown(wrong: dict[str, Any]) -> None:
    secret = "correct horse"  # noqa: S105 - of this test
    config = load_config(flags={"mqtt": {"password": secret}}, env={})
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == secret
    for shown in (repr(config), str(config), config.model_dump_json(), repr(config.model_dump())):
        assert secret not in shown
    assert secret not in mistake(flags={"mqtt": {"password": secret, **wrong}})


def test_a_password_of_a_wrong_type_is_not_shown_either() -> None:
    assert mistake(flags={"mqtt": {"password": 471147}}) == (
        "flags: mqtt.password: Input should be a valid string"
    )


def test_a_config_does_not_change() -> None:
    config = load_config(env={})
    with pytest.raises(ValueError, match="frozen"):
        config.threads = 3  # type: ignore[misc]


def test_the_hosts_name_becomes_a_topic_level(monkeypatch: pytest.MonkeyPatch) -> None:
    for host, expected in (
        ("kitchen.local", "kitchen"),
        ("my host+#", "my-host--"),
        ("", "device"),
    ):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        assert default_device() == expected
        RunConfig()
