"""`edge-pose-bench run`: how accurate, how fast and at what power one artifact is on one device."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks import facts
from benchmarks.disturbances import disturbances
from benchmarks.environment import Environment
from benchmarks.figures import fixed_rate_figures, mode_figures
from benchmarks.parts import parts
from benchmarks.passes import INTERVAL_S, Instruments
from benchmarks.plan import ASSUMED_RATE_HZ, Plan
from benchmarks.result import DeviceResult, FixedRate, Mode, WarmUp
from benchmarks.rounds import Bench, OneRound, run_round, sweep_threads, warm_up
from benchmarks.validity import judge
from benchmarks.workload import open_workload
from edge_pose.config import RunConfig
from edge_pose.power import MachineState, measure_idle, open_meter, read_state
from edge_pose.profile import DeviceProfile, load_profile
from edge_pose.types import utc_now


def run_benchmark(
    config: RunConfig,
    plan: Plan,
    environment: Environment,
    on_round: Callable[[int, OneRound], None] = lambda _number, _round: None,
    on_step: Callable[[str], None] = lambda _line: None,
) -> DeviceResult:
    """Measure.

    Args:
        config: of the pipeline; its outputs are replaced by one JSONL file in a temporary folder.
        plan: what to measure.
        environment: read before anything was loaded.
        on_round: called after each round with its number from 1.
        on_step: called with a line before and after what precedes the rounds.

    Raises:
        EdgePoseError: something cannot be opened, or a pass fails.
    """
    profile = load_profile(config.profile)
    with (
        closing(open_meter(config.power, profile, plan.root)) as meter,
        open_workload(config) as work,
        tempfile.TemporaryDirectory() as folder,
    ):
        # With the model loaded and waiting: a wrong file shows at once, and what is above this
        # baseline is the work itself.
        idle = None
        if plan.idle_s > 0:
            on_step(f"idle power: {plan.idle_s:g} s")
            idle = measure_idle(meter, plan.idle_s, INTERVAL_S)
        instruments = Instruments(meter, partial(read_state, plan.root), idle)
        rate_hz = plan.rate_hz or work.frame_rate or ASSUMED_RATE_HZ
        bench = Bench(work, plan, instruments, Path(folder), rate_hz)
        before = instruments.read_state()
        warm = _warm_up(bench, on_step)
        return _measure(bench, profile, environment, before, warm, on_round)


def _warm_up(bench: Bench, on_step: Callable[[str], None]) -> WarmUp:
    if bench.plan.warm_up_frames > 0:
        on_step(f"warming up: at most {bench.plan.warm_up_frames} frames")
    warm = warm_up(bench)
    if warm.discarded_frames > 0:
        state = "steady" if warm.steady else "NOT steady"
        on_step(f"warmed up: {state} after {warm.discarded_frames} frames")
    return warm


def _measure(
    bench: Bench,
    profile: DeviceProfile,
    environment: Environment,
    before: MachineState,
    warm: WarmUp,
    on_round: Callable[[int, OneRound], None],
) -> DeviceResult:
    # Later there is more in memory than a run has: the parts, and what passes leave behind.
    peak_mib = facts.rss_mib(bench.work) if warm.discarded_frames else None
    rounds: list[OneRound] = []
    for number in range(1, bench.plan.repeats + 1):
        rounds.append(run_round(bench, number))
        peak_mib = peak_mib or facts.rss_mib(bench.work)
        on_round(number, rounds[-1])
    sweep = sweep_threads(bench) if bench.plan.threads_sweep else ()
    after = bench.instruments.read_state()

    passes = [one for done in rounds for one in done.passes.values()]
    powers = [one.power for one in passes]
    estimator = bench.work.estimator
    artifact = facts.artifact(estimator.manifest, estimator.backend)
    finder = estimator.detector
    detector = finder and facts.artifact(finder.manifest, finder.backend)
    device, meter = facts.device(profile, bench.plan.root), facts.meter(bench, passes)
    machine = facts.machine(before, after, powers, peak_mib or 0.0)
    percent = artifact.accuracy.percent if artifact.accuracy else None
    modes = _modes(rounds, percent)
    fixed_rate = _fixed_rate(bench, rounds, percent)
    every = {**modes, **({"fixed_rate": fixed_rate} if fixed_rate else {})}
    return DeviceResult(
        created_at=utc_now(),
        environment=environment,
        setup=facts.setup(bench, profile),
        device=device,
        artifact=artifact,
        detector=detector,
        source=facts.source(bench.work),
        warm_up=warm,
        offline=modes.get("offline"),
        single_stream=modes.get("single_stream"),
        fixed_rate=fixed_rate,
        threads_sweep=sweep,
        meter=meter,
        machine=machine,
        parts=parts(rounds, percent),
        validity=judge(bench.plan, artifact, meter, machine, warm, every),
        warnings=disturbances(environment, device, warm, machine, meter, every, powers),
    )


def _modes(rounds: Sequence[OneRound], percent: float | None) -> dict[str, Mode]:
    return {
        name: mode_figures([done.passes[name] for done in rounds], percent)
        for name in rounds[0].passes
        if name != "fixed_rate"
    }


def _fixed_rate(
    bench: Bench, rounds: Sequence[OneRound], percent: float | None
) -> FixedRate | None:
    if "fixed_rate" not in bench.plan.modes:
        return None
    passes = [done.passes["fixed_rate"] for done in rounds]
    return fixed_rate_figures(passes, percent, bench.rate_hz)
