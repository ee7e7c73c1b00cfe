"""What a result says of the artifact, the clip, the device and the meter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.genuine import emulation, fitting_profiles
from benchmarks.passes import Pass
from benchmarks.result import (
    Artifact,
    Device,
    Machine,
    MachineState,
    Meter,
    Setup,
    SourceFacts,
)
from benchmarks.rounds import Bench
from benchmarks.run_report import Accuracy
from benchmarks.workload import Workload
from edge_pose.backends.base import Backend
from edge_pose.manifest import Manifest
from edge_pose.power import MachineState as State
from edge_pose.power import PowerSummary
from edge_pose.power.throttling import throttled_between
from edge_pose.profile import DeviceProfile
from edge_pose.sources.urls import public_uri


def setup(bench: Bench, profile: DeviceProfile) -> Setup:
    """Return what was asked for, without secrets."""
    config, plan = bench.work.config, bench.plan
    meter, colon, options = config.power.partition(":")
    return Setup(
        model=config.model,
        detector=config.detector,
        source=config.source,
        profile=profile.name,
        power=f"{meter}{colon}{public_uri(options)}",
        modes=plan.modes,
        repeats=plan.repeats,
        threads=bench.work.model.runtime.threads,
        rate_hz=bench.rate_hz if "fixed_rate" in plan.modes else None,
        max_frames=config.max_frames,
        min_seconds=plan.min_seconds,
    )


def device(profile: DeviceProfile, root: Path) -> Device:
    """Return the device as its profile describes it, and whether it is that device."""
    return Device(
        profile=profile.name,
        description=profile.description,
        accelerator=profile.accelerator,
        budget_w=profile.power.budget_w,
        detected=fitting_profiles(root),
        emulated=emulation(root),
    )


def accuracy(manifest: Manifest) -> Accuracy | None:
    """Return what the artifact's gate measured; None without a gate report."""
    gate = manifest.gate
    if gate is None:
        return None
    part = gate.stated
    return Accuracy(
        metric=part.metric,
        percent=part.artifact_accuracy,
        dataset=part.dataset,
        n_persons=part.n_persons,
    )


def artifact(manifest: Manifest, backend: Backend) -> Artifact:
    """Return what was run, and in what."""
    return Artifact(
        name=manifest.name,
        sha256=manifest.file.sha256,
        task=manifest.task,
        format=manifest.file.format,
        precision=manifest.file.precision,
        size_bytes=manifest.file.total_bytes,
        input_size=manifest.input.size,
        params=manifest.origin.params,
        macs=manifest.origin.macs,
        backend=backend.name,
        backend_version=backend.version,
        backend_device=backend.device,
        gate_passed=manifest.gate and manifest.gate.passed,
        accuracy=accuracy(manifest),
    )


def source(work: Workload) -> SourceFacts:
    """Return what it was run on."""
    file = Path(work.config.source)
    height, width = work.images[0].shape[:2]
    return SourceFacts(
        name=file.name,
        frames=work.frames,
        width=width,
        height=height,
        frame_rate=work.frame_rate,
        sha256=_sha256(file) if file.is_file() else None,
    )


def meter(bench: Bench, passes: Sequence[Pass]) -> Meter:
    """Return how power was known, from the power of all passes."""
    powers = [one.power for one in passes if one.metered] or [passes[0].power]
    idle = bench.instruments.idle
    first = powers[0]
    return Meter(
        name=first.meter,
        source=first.source,
        scope=first.scope,
        detail=bench.instruments.meter.detail,
        uncertainty_w=_largest(p.uncertainty_w for p in powers),
        sensor_known=all(p.sensor_known for p in powers),
        update_s=bench.instruments.meter.accuracy.update_s,
        rate_hz=sum(max(p.rate_hz, 0.0) for p in powers) / len(powers),
        idle_w=None if idle is None else idle.mean_w,
        idle_s=0.0 if idle is None else idle.duration_s,
    )


def rss_mib(work: Workload) -> float:
    """Return the largest resident set so far, without the frames that are kept ready.

    Of the kernel's figures VmHWM is that of this program alone: ru_maxrss starts with what the
    program that called it had taken, see getrusage(2).
    """
    status = Path("/proc/self/status").read_text("ascii", "replace")
    peak_kib = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)
    kept_bytes = sum(image.nbytes for image in work.images)
    return max(peak_kib / 1024 - kept_bytes / 2**20, 0.0)


def machine(
    before: State, after: State, powers: Iterable[PowerSummary], peak_mib: float
) -> Machine:
    """Return the machine before and after, and what held its clocks back in between."""
    found = [throttled_between(before, after), *(power.throttled for power in powers)]
    known = [reasons for reasons in found if reasons is not None]
    return Machine(
        before=_state(before),
        after=_state(after),
        rss_mib=peak_mib,
        throttled=tuple(dict.fromkeys(sum(known, ()))) if known else None,
    )


def _state(state: State) -> MachineState:
    return MachineState(
        temperatures_c=state.temperatures_c,
        clocks_mhz=state.clocks_mhz,
        governor=state.governor,
        turbo=state.turbo,
    )


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _largest(values: Iterable[float | None]) -> float | None:
    """Return the largest; None where one of them is not known."""
    known = list(values)
    return None if None in known else max((v for v in known if v is not None), default=None)
