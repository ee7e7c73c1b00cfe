"""What is measured once per repeat, interleaved, and what is discarded before.

Interleaving, with another measurement first in every round, makes a noisy or warming machine hurt
all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from benchmarks.interval import interval
from benchmarks.measures import check_clock, time_bare, time_estimator, time_read_clip
from benchmarks.passes import Instruments, Pass, run_pass
from benchmarks.plan import ModeName, Plan
from benchmarks.result import ThreadsPoint, WarmUp
from benchmarks.run_report import Timing
from benchmarks.steady import WINDOW, SteadyState
from benchmarks.workload import Workload
from edge_pose.backends import available_cores
from edge_pose.loaded_model import load_model

PARTS: dict[str, Callable[[Workload], Timing]] = {
    "bare": time_bare,
    "estimator": time_estimator,
    "read_clip": time_read_clip,
}


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement is given.

    Attributes:
        work: clip and model.
        plan: what to measure.
        instruments: meter and machine state.
        folder: for the messages.
        rate_hz: of the camera.
    """

    work: Workload
    plan: Plan
    instruments: Instruments
    folder: Path
    rate_hz: float

    def run_pass(self, mode: ModeName) -> Pass:
        """Run the frame loop once, for as long as the plan says."""
        min_s = self.plan.min_seconds
        return run_pass(self.work, mode, self.instruments, self.folder, self.rate_hz, min_s=min_s)

    def warm_up_pass(self, length: int) -> Pass:
        """Run it over the first frames of the clip once, a frame at a time."""
        return run_pass(self.work, "single_stream", self.instruments, self.folder, at_most=length)


@dataclass(frozen=True, slots=True)
class OneRound:
    """What one round found.

    Attributes:
        order: of the measurements.
        timings: of the parts, by name.
        passes: of the frame loop, by mode.
    """

    order: tuple[str, ...]
    timings: dict[str, Timing]
    passes: dict[str, Pass]

    def __str__(self) -> str:
        """As it is told while the benchmark runs."""
        return ", ".join(f"{name} {one.fps:.1f} FPS" for name, one in self.passes.items())


def warm_up(bench: Bench) -> WarmUp:
    """Run and discard frames until the machine is steady, see benchmarks.steady."""
    check_clock(min(bench.work.model.load_s, bench.work.model.warm_up_s))
    state = SteadyState(min(WINDOW, bench.work.frames), at_most=bench.plan.warm_up_frames)
    while not state.done:
        length = min(state.window, state.at_most - state.frames)
        state.add(bench.warm_up_pass(length).durations_s["end_to_end"].tolist())
    return WarmUp(
        load_s=bench.work.model.load_s,
        first_runs_s=bench.work.model.warm_up_s,
        discarded_frames=state.frames,
        steady=state.steady,
        window=state.window,
        tolerance=state.tolerance,
        medians_ms=tuple(round(value * 1e3, 4) for value in state.medians_s),
    )


def run_round(bench: Bench, number: int) -> OneRound:
    """Measure everything once; `number` counts from 1 and says what comes first."""
    names: tuple[str, ...] = (*(PARTS if bench.plan.parts else ()), *bench.plan.modes)
    shift = (number - 1) % len(names)
    order = names[shift:] + names[:shift]
    timings: dict[str, Timing] = {}
    passes: dict[str, Pass] = {}
    for name in order:
        if name in PARTS:
            timings[name] = PARTS[name](bench.work)
        else:
            passes[name] = bench.run_pass(cast("ModeName", name))
    return OneRound(order, timings, passes)


def sweep_threads(bench: Bench) -> tuple[ThreadsPoint, ...]:
    """Measure throughput with 1, 2 and all threads, interleaved over the repeats."""
    wanted = sorted({1, min(2, available_cores()), available_cores()})
    network: dict[int, list[float]] = {threads: [] for threads in wanted}
    whole: dict[int, list[float]] = {threads: [] for threads in wanted}
    with ExitStack() as stack:
        benches = {}
        for threads in wanted:
            model = load_model(bench.work.config.model_copy(update={"threads": threads}))
            stack.enter_context(model.estimator)
            model.warm_up()
            benches[threads] = replace(bench, work=replace(bench.work, model=model))
        for _ in range(bench.plan.repeats):
            for threads, one in benches.items():
                network[threads].append(time_bare(one.work).ms_per_frame)
                whole[threads].append(one.run_pass("offline").fps)
    return tuple(
        ThreadsPoint(
            threads=threads,
            fps=interval(whole[threads]),
            network_ms=interval(network[threads]),
        )
        for threads in wanted
    )
