"""Unlike is never compared with unlike, and every difference is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.likeness import Aspect, check_alike, require_alike
from benchmarks.result import DeviceResult
from edge_pose.errors import UsageError

Change = Callable[..., DeviceResult]


@pytest.fixture
def change(result: DeviceResult) -> Change:
    """Return a function that changes a figure: change("artifact.accuracy.metric", "AP")."""

    def copy(path: str, value: Any) -> DeviceResult:
        names = path.split(".")
        tables: list[Any] = [result]
        for name in names[:-1]:
            tables.append(getattr(tables[-1], name))
        for table, name in zip(reversed(tables), reversed(names), strict=True):
            value = table.model_copy(update={name: value})
        assert isinstance(value, DeviceResult)
        return value

    return copy


def test_a_result_is_like_itself(result: DeviceResult) -> None:
    assert check_alike(result, result) == ()
    require_alike(result, result)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("artifact.accuracy.dataset", "coco", "data set: blobs against coco"),
        ("artifact.accuracy.metric", "OKS AP", "metric: PCKh@0.5 against OKS AP"),
        ("artifact.accuracy.n_persons", 7, "persons: 100 against 7"),
        ("artifact.task", "bottom_up", "task: top_down against bottom_up"),
        ("source.frames", 99, "frames: 8 against 99"),
        ("source.width", 320, "picture: 160 120 against 320 120"),
        ("fixed_rate.rate_hz", 30.0, "camera rate: 100.0 against 30.0"),
        ("meter.source", "measured", "power: estimated against measured"),
        ("meter.scope", "wall", "scope of power: board against wall"),
        ("meter.name", "rapl", "power meter: estimate against rapl"),
        ("device.profile", "jetson_nano", "profile: generic_x86_64 against jetson_nano"),
    ],
)
def test_each_difference_is_one_line(
    path: str, value: object, expected: str, result: DeviceResult, change: Change
) -> None:
    other = change(path, value)
    found = check_alike(result, other)
    if path == "device.profile":
        expected = f"profile: {result.device.profile} against jetson_nano"
    assert found == (expected,)
    with pytest.raises(UsageError, match=f"^cannot compare unlike results: {expected}$"):
        require_alike(result, other)


def test_another_clip_of_the_same_name_is_another_source(
    result: DeviceResult, change: Change
) -> None:
    assert result.source.sha256 is not None
    found = check_alike(result, change("source.sha256", "ab" * 32))
    assert found == (f"source: {result.source.sha256[:12]}… against abababababab…",)


def test_an_artifact_without_accuracy_and_a_mode_that_is_missing(
    result: DeviceResult, change: Change
) -> None:
    assert "data set: blobs against none" in check_alike(result, change("artifact.accuracy", None))
    found = check_alike(result, change("single_stream", None))
    modes = "fixed_rate offline"
    assert found == (f"modes: fixed_rate offline single_stream against {modes}",)


def test_only_what_is_compared_must_be_alike(result: DeviceResult, change: Change) -> None:
    other = change("artifact.accuracy.dataset", "coco")
    assert check_alike(result, other, aspects=("speed", "power")) == ()
    assert check_alike(result, other, aspects=("accuracy",)) != ()


def test_other_machines_only_when_asked_for(result: DeviceResult, change: Change) -> None:
    other = change("environment.cpu_model", "Cortex-A76")
    assert len(check_alike(result, other)) == 1
    speed: tuple[Aspect, ...] = ("accuracy", "speed")
    assert len(check_alike(result, other, aspects=speed)) == 1
    assert check_alike(result, other, aspects=speed, other_machine=True) == ()


def test_accuracy_alone_is_of_no_machine(result: DeviceResult, change: Change) -> None:
    other = change("environment.cpu_model", "Cortex-A76")
    assert check_alike(result, other, aspects=("accuracy",)) == ()


def test_an_estimate_compares_on_its_own_machine_only(result: DeviceResult, change: Change) -> None:
    other = change("environment.cpu_model", "Cortex-A76")
    (line,) = check_alike(result, other, other_machine=True)
    assert line.endswith("against Cortex-A76")
    (line,) = check_alike(result, change("meter.detail", "other figures"), other_machine=True)
    assert line.startswith("estimate: ")
    measured = {"source": "measured"}
    a, b = (
        one.model_copy(update={"meter": one.meter.model_copy(update=measured)})
        for one in (result, other)
    )
    assert check_alike(a, b, other_machine=True) == ()


def test_all_differences_are_told_at_once(result: DeviceResult, change: Change) -> None:
    other = change("meter", result.meter.model_copy(update={"source": "measured", "scope": "wall"}))
    assert len(check_alike(result, other)) == 2
