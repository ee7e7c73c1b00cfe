"""`edge-pose-bench run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks.commands.options import (
    max_frames_option,
    measured_environment,
    measurement_options,
    pipeline_config,
    say,
    show,
)
from benchmarks.plan import MIN_SECONDS, MODES, Plan
from benchmarks.steady import AT_MOST, CALM, WINDOW

LEAST = (CALM + 1) * WINDOW


@click.command("run")
@measurement_options(
    rounds=5, source="a video file, a folder of pictures or synthetic:640x480@30x100"
)
@click.option("--detector", help="Artifact that finds people for a top-down model.")
@click.option("--profile", default="auto", help="Device profile; auto finds this machine's.")
@click.option("--power", default="auto", help="Power meter, `edge-pose power` lists them.")
@max_frames_option
@click.option(
    "--mode",
    "modes",
    type=click.Choice(MODES),
    multiple=True,
    default=MODES,
    show_default=True,
    help="How frames are fed; may be given several times.",
)
@click.option(
    "--rate",
    "rate_hz",
    type=click.FloatRange(0.1, 1000),
    help="Camera rate, FPS.  [default: the clip's]",
)
@click.option("--parts/--no-parts", default=True, help="Network, estimator and reading alone, too.")
@click.option("--threads-sweep", is_flag=True, help="Also with 1, 2 and all threads.")
@click.option(
    "--min-seconds",
    type=click.FloatRange(0, 3600),
    default=MIN_SECONDS,
    show_default=True,
    help="The clip is played again until a pass lasts so long; 0: once.",
)
@click.option(
    "--idle",
    "idle_s",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    help="Seconds of idle power before; 0 for none.",
)
@click.option(
    "--warm-up",
    "warm_up_frames",
    type=click.IntRange(0, 100_000),
    default=AT_MOST,
    show_default=True,
    help=f"Frames discarded at most until the machine is steady. Fewer than {LEAST} tell nothing.",
)
@click.option("--closed", is_flag=True, help="Closed division: rules decide whether it is valid.")
@click.option(
    "--min-accuracy",
    type=click.FloatRange(0, 100),
    help="Closed: percent that the artifact must reach.",
)
@click.option("--measured-power", is_flag=True, help="Closed: estimated power is not valid.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the result as JSON, too."
)
def command(rounds: int, as_json: bool, out: Path | None, **flags: Any) -> int:  # noqa: ANN401
    """Accuracy, speed and power of one artifact on this device.

    The frame loop of `edge-pose run --jsonl FILE` runs over the clip: offline (as fast as it goes),
    single_stream (a frame at a time) and fixed_rate (as from a camera, deadline misses counted).

    Every round also measures the network alone, the estimator on ready frames and reading the clip
    alone. A result that breaks a rule of its division is printed, marked as invalid, and the exit
    code is 1.
    """
    from benchmarks.device_files import check_writable, write_text

    if out is not None:
        check_writable(out)  # now, and not when everything is measured
    environment = measured_environment()
    config = pipeline_config(flags)
    plan_keys = set(Plan.__dataclass_fields__) & set(flags)
    plan = Plan(repeats=rounds, **{key: flags[key] for key in plan_keys})
    from benchmarks.run import run_benchmark

    result = run_benchmark(
        config,
        plan,
        environment,
        on_round=lambda n, r: say(f"round {n} of {rounds}: {r}"),
        on_step=say,
    )
    for warning in result.warnings[len(environment.warnings) :]:
        say(f"warning: {warning}")
    show(result, as_json=as_json)
    if out is not None:
        write_text(out, result.model_dump_json(by_alias=True) + "\n")
    for reason in result.validity.reasons:
        say(f"invalid: {reason}")
    return 0 if result.validity.valid else 1
