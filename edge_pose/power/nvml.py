"""NVIDIA GPU boards through NVML, with NVIDIA's own binding nvidia-ml-py (module pynvml).

NVML API reference: nvmlDeviceGetTotalEnergyConsumption (mJ since the driver was loaded, Volta and
later) and nvmlDeviceGetPowerUsage (mW, "accurate to within +/- 5% of current power draw"). Jetson
has no NVML power: ina3221 reads it there.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_pose.errors import PowerError, UsageError
from edge_pose.power.base import Accuracy, PowerMeter, Scope
from edge_pose.profile import DeviceProfile

# NVML API reference, "nvmlClocksEventReasons": those that hold the clock below what was asked for.
REASONS = {0x04: "power cap", 0x08: "hardware slowdown", 0x20: "software thermal"}
REASONS |= {0x40: "hardware thermal", 0x80: "power brake"}


@dataclass(slots=True)
class _Gpu:
    name: str
    handle: Any
    counter_mj: int | None = field(default=None)


class NvmlMeter(PowerMeter):
    """Power of GPU boards; processor and memory of the machine are not in it.

    Args:
        library: the module pynvml, or what stands for it.
        indices: which GPUs, by NVML's number; empty for all.
        clock: monotonic seconds.
        sleep: waits until a window is long enough.

    Raises:
        PowerError: no driver, no such GPU, or one that does not tell its power.
    """

    name = "nvml"
    scope: Scope = "gpu"
    min_window_s = 0.2  # the counter steps several times a second: one step says nothing

    def __init__(
        self,
        library: Any,  # noqa: ANN401 - a module without types
        indices: tuple[int, ...] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._library = library
        self._clock = clock
        self._sleep = sleep
        self._open = False
        self._ask(library.nvmlInit)
        self._open = True
        try:
            self._gpus = self._find(indices)
        except PowerError:
            self.close()
            raise
        self.averages = all(gpu.counter_mj is not None for gpu in self._gpus)
        self.counted_j = 0.0 if self.averages else None
        self.accuracy = Accuracy(0.05, update_s=0.1)
        self._since_s = clock()
        names = ", ".join(gpu.name for gpu in self._gpus)
        kind = "energy counter" if self.averages else "power"
        self.detail = f"{kind} of the GPU board {names}, without the rest of the machine"

    def read_w(self) -> float:
        """Return the mean W since the previous call, or of this moment before Volta.

        Raises:
            PowerError: a GPU fell off the bus.
        """
        elapsed_s = self._clock() - self._since_s
        if self.averages and elapsed_s < self.min_window_s:
            self._sleep(self.min_window_s - elapsed_s)
        return self.read_at_once_w()

    def read_at_once_w(self) -> float:
        """Return the same without waiting; the counter may be one step old.

        Raises:
            PowerError: a GPU fell off the bus.
        """
        watts = self._mean_w() if self.averages else self._present_w()
        self.throttled = self._throttled()
        return watts

    def close(self) -> None:
        """Release NVML."""
        if self._open:
            self._open = False
            self._ask(self._library.nvmlShutdown)

    def _find(self, indices: tuple[int, ...]) -> list[_Gpu]:
        count = self._ask(self._library.nvmlDeviceGetCount)
        wrong = [index for index in indices if index >= count]
        if wrong or not count:
            wanted = f"no GPU {wrong[0]}" if wrong else "no GPU"
            raise PowerError(f"nvml: {wanted}, the driver knows {count}")
        gpus = []
        for index in indices or range(count):
            handle = self._ask(self._library.nvmlDeviceGetHandleByIndex, index)
            name = self._ask(self._library.nvmlDeviceGetName, handle)
            gpus.append(_Gpu(f"{index} ({name})", handle, self._counter_mj(handle)))
        return gpus

    def _counter_mj(self, handle: object) -> int | None:
        """Return the energy counter, None where the GPU has none."""
        try:
            return int(self._library.nvmlDeviceGetTotalEnergyConsumption(handle))
        except self._library.NVMLError as error:
            if error.value == self._library.NVML_ERROR_NOT_SUPPORTED:
                return None
            raise PowerError(f"nvml: {error}") from None

    def _mean_w(self) -> float:
        steps_mj = {}
        for gpu in self._gpus:
            now_mj = self._ask(self._library.nvmlDeviceGetTotalEnergyConsumption, gpu.handle)
            if now_mj < (gpu.counter_mj or 0):
                raise PowerError(f"nvml: GPU {gpu.name}: its energy counter began anew")
            steps_mj[gpu.name] = now_mj - (gpu.counter_mj or 0)
            gpu.counter_mj = now_mj
        now_s, since_s = self._clock(), self._since_s
        self._since_s = now_s
        self.rails_w = {
            name: mj * 1e-3 / max(now_s - since_s, 1e-6) for name, mj in steps_mj.items()
        }
        self.counted_j = (self.counted_j or 0.0) + sum(steps_mj.values()) * 1e-3
        return sum(self.rails_w.values())

    def _present_w(self) -> float:
        power = self._library.nvmlDeviceGetPowerUsage
        self.rails_w = {gpu.name: self._ask(power, gpu.handle) * 1e-3 for gpu in self._gpus}
        return sum(self.rails_w.values())

    def _throttled(self) -> tuple[str, ...]:
        bits = 0
        for gpu in self._gpus:
            try:
                bits |= self._library.nvmlDeviceGetCurrentClocksThrottleReasons(gpu.handle)
            except self._library.NVMLError:  # some GPUs do not tell; that is no loss of the meter
                continue
        return tuple(f"GPU: {reason}" for bit, reason in REASONS.items() if bits & bit)

    def _ask(self, function: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401 - as above
        try:
            return function(*args)
        except self._library.NVMLError as error:
            raise PowerError(f"nvml: {error}") from None


def open_nvml(profile: DeviceProfile, root: Path, options: str = "") -> NvmlMeter:  # noqa: ARG001 - common signature
    """Return the meter.

    Args:
        profile: not used.
        root: only of this machine, "/", there is something to measure.
        options: "0,2" for those GPUs; empty for all.

    Raises:
        PowerError: the library is not installed, or see NvmlMeter.
        UsageError: the options are no numbers.
    """
    parts = options.split(",") if options else []
    if not all(part.strip().isdecimal() for part in parts):
        raise UsageError(f"nvml:{options}: expected the numbers of GPUs, for example nvml:0,1")
    if root != Path("/"):
        raise PowerError(f"nvml: the driver is asked, not files below {root}")
    try:
        library = importlib.import_module("pynvml")
    except ImportError:
        raise PowerError("nvml: not installed: pip install nvidia-ml-py") from None
    return NvmlMeter(library, tuple(int(part) for part in parts))
