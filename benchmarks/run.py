"""`edge-pose-bench run`: four measurements in one process, interleaved over rounds.

Interleaving, with another one first in every round, makes a noisy or warming machine hurt all of
them alike; what matters is computed per round as a ratio and then as a median.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.environment import Environment
from benchmarks.measures import time_bare, time_estimator, time_pipeline, time_read_clip
from benchmarks.report import Spread, spread
from benchmarks.run_report import (
    Accuracy,
    ArtifactFacts,
    Clip,
    PipelineTiming,
    Power,
    Rate,
    Round,
    RunReport,
    Settings,
    Summary,
    Timing,
)
from benchmarks.workload import Workload, open_workload
from edge_pose.config import RunConfig
from edge_pose.power import PowerSummary
from edge_pose.profile import load_profile
from edge_pose.types import utc_now

OVERHEAD_TARGET = 1.25  # the pipeline may cost a quarter more than the network alone
PERCENTILES = ("p50", "p95", "p99")
MEASUREMENTS = ("bare", "estimator", "read_clip", "pipeline")


def run_benchmark(
    config: RunConfig,
    rounds: int,
    environment: Environment,
    on_round: Callable[[int, Round], None] = lambda _number, _round: None,
) -> RunReport:
    """Measure.

    Args:
        config: of the pipeline; its outputs are replaced by one JSONL file in a temporary folder.
        rounds: at least 1.
        environment: read before anything was loaded.
        on_round: called after each round with its number from 1.

    Raises:
        EdgePoseError: something cannot be opened, or a run of the pipeline fails.
    """
    config = _resolved(config)
    done: list[Round] = []
    powers: list[PowerSummary] = []
    with open_workload(config) as work, tempfile.TemporaryDirectory() as folder:
        for number in range(1, rounds + 1):
            result, power = _round(work, Path(folder), number)
            done.append(result)
            powers.append(power)
            on_round(number, result)
        return RunReport(
            created_at=utc_now(),
            environment=environment,
            settings=_settings(config, rounds),
            artifact=_artifact(work),
            clip=_clip(work),
            rounds=tuple(done),
            summary=summarize(done, powers),
        )


def _resolved(config: RunConfig) -> RunConfig:
    """Write the profile's choices out, so that all measurements share them."""
    profile = load_profile(config.profile)
    changes = {"threads": config.threads or profile.runtime.threads}
    return config.model_copy(update=changes)


def _round(work: Workload, folder: Path, number: int) -> tuple[Round, PowerSummary]:
    shift = (number - 1) % len(MEASUREMENTS)
    order = MEASUREMENTS[shift:] + MEASUREMENTS[:shift]
    plain = {"bare": time_bare, "estimator": time_estimator, "read_clip": time_read_clip}
    timings: dict[str, Timing] = {}
    for name in order:
        if name == "pipeline":
            pipeline, power = time_pipeline(work, folder)
        else:
            timings[name] = plain[name](work)
    result = Round(
        order=order,
        bare=timings["bare"],
        estimator=timings["estimator"],
        read_clip=timings["read_clip"],
        pipeline=pipeline,
        overhead=pipeline.ms_per_frame / timings["bare"].ms_per_frame,
    )
    return result, power


def summarize(rounds: Sequence[Round], powers: Sequence[PowerSummary]) -> Summary:
    """Return medians and spreads; `powers` belong to the rounds' pipelines."""
    pipelines = [r.pipeline for r in rounds]
    overhead = spread(r.overhead for r in rounds)
    efficiency = [p.accuracy_fps_per_watt for p in pipelines if p.accuracy_fps_per_watt is not None]
    return Summary(
        bare=_rate(r.bare for r in rounds),
        estimator=_rate(r.estimator for r in rounds),
        read_clip=_rate(r.read_clip for r in rounds),
        pipeline=_rate(pipelines),
        stages_ms=_stages(pipelines),
        overhead=overhead,
        overhead_target=OVERHEAD_TARGET,
        overhead_met=overhead.median < OVERHEAD_TARGET,
        frames=pipelines[0].frames,
        frames_with_people=spread(p.frames_with_people for p in pipelines),
        power=Power(
            source=powers[0].source,
            meter=powers[0].meter,
            detail=powers[0].detail,
            watts=spread(p.watts for p in pipelines),
            joules_per_frame=spread(p.joules_per_frame for p in pipelines),
        ),
        accuracy_fps_per_watt=spread(efficiency) if len(efficiency) == len(rounds) else None,
    )


def _rate(timings: Iterable[Timing]) -> Rate:
    kept = list(timings)
    return Rate(ms_per_frame=spread(t.ms_per_frame for t in kept), fps=spread(t.fps for t in kept))


def _stages(pipelines: Sequence[PipelineTiming]) -> dict[str, dict[str, Spread]]:
    return {
        stage: {name: spread(p.latency_ms[stage][name] for p in pipelines) for name in PERCENTILES}
        for stage in pipelines[0].latency_ms
    }


def _settings(config: RunConfig, rounds: int) -> Settings:
    return Settings(
        model=config.model,
        source=config.source,
        rounds=rounds,
        threads=config.threads,
        profile=load_profile(config.profile).name,
        power=config.power,
        max_frames=config.max_frames,
    )


def _artifact(work: Workload) -> ArtifactFacts:
    manifest, backend = work.estimator.manifest, work.estimator.backend
    gate = manifest.gate
    accuracy = gate and Accuracy(
        metric=gate.metric,
        percent=gate.artifact_accuracy,
        dataset=gate.dataset,
        n_persons=gate.n_persons,
    )
    return ArtifactFacts(
        name=manifest.name,
        sha256=manifest.file.sha256,
        precision=manifest.file.precision,
        backend=backend.name,
        backend_version=backend.version,
        backend_device=backend.device,
        input_size=manifest.input.size,
        params=manifest.origin.params,
        macs=manifest.origin.macs,
        accuracy=accuracy,
    )


def _clip(work: Workload) -> Clip:
    height, width = work.images[0].shape[:2]
    return Clip(
        name=Path(work.config.source).name,
        frames=work.frames,
        width=width,
        height=height,
        frame_rate=work.frame_rate,
    )
