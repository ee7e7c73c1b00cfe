from __future__ import annotations

from collections.abc import Callable

from benchmarks.result import DeviceResult


def test_a_profile_of_another_machine_is_told(
    result: DeviceResult, told: Callable[..., tuple[str, ...]]
) -> None:
    for profile, detected, wrong in (
        ("jetson_nano", ("intel_cpu", "generic_x86_64"), True),
        ("generic_x86_64", ("intel_cpu", "generic_x86_64"), False),
        ("jetson_nano", (), False),  # nothing says what this machine is
    ):
        device = result.device.model_copy(update={"profile": profile, "detected": detected})
        expected = "profile jetson_nano was named, this machine looks like intel_cpu: "
        lines = told(result, device=device)
        assert any(line.startswith(expected) for line in lines) is wrong
