"""What the parts cost beside the whole: ratios per round, then medians over the rounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.passes import Pass
from benchmarks.report import Spread, spread
from benchmarks.result import Parts
from benchmarks.rounds import OneRound
from benchmarks.run_report import PipelineTiming, Power, Rate, Round, Summary, Timing
from edge_pose.metrics.latency import LatencyRecorder
from edge_pose.power import PowerSummary

OVERHEAD_TARGET = 1.25  # the pipeline may cost a quarter more than the network alone
PERCENTILES = ("p50", "p95", "p99")


def parts(rounds: Sequence[OneRound], accuracy_percent: float | None) -> Parts | None:
    """Return the parts beside the offline mode; None where either was not measured."""
    if not rounds[0].timings or "offline" not in rounds[0].passes:
        return None
    done = tuple(_round(one, accuracy_percent) for one in rounds)
    powers = [one.passes["offline"].power for one in rounds]
    return Parts(rounds=done, summary=summarize(done, powers))


def _round(one: OneRound, accuracy_percent: float | None) -> Round:
    bare, pipeline = one.timings["bare"], _pipeline(one.passes["offline"], accuracy_percent)
    return Round(
        order=one.order,
        bare=bare,
        estimator=one.timings["estimator"],
        read_clip=one.timings["read_clip"],
        pipeline=pipeline,
        overhead=pipeline.ms_per_frame / bare.ms_per_frame,
    )


def _pipeline(one: Pass, accuracy_percent: float | None) -> PipelineTiming:
    recorder = LatencyRecorder(one.frames)
    for stage, durations_s in one.durations_s.items():
        for seconds in durations_s:
            recorder.add(stage, float(seconds))
    return PipelineTiming(
        frames=one.frames,
        ms_per_frame=one.duration_s / one.frames * 1e3,
        fps=one.fps,
        latency_ms={name: stage.to_ms() for name, stage in recorder.summary().items()},
        frames_with_people=one.frames_with_people,
        dropped=one.skipped,
        watts=one.power.mean_w,
        joules_per_frame=one.joules_per_frame,
        accuracy_fps_per_watt=(
            None if accuracy_percent is None else one.efficiency(accuracy_percent)
        ),
    )


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
