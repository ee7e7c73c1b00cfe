"""`edge-pose-convert select`: measure candidates on this device and keep the best."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from converters.commands.options import PATH, data_options, ladder_option
from converters.terminal import log_to, progress
from edge_pose.errors import EdgePoseError

if TYPE_CHECKING:
    from converters.select import Candidate, Selection
    from converters.steps import Steps
    from edge_pose.profile import DeviceProfile

log = logging.getLogger(__name__)


@click.command("select")
@click.argument("models", nargs=-1, required=True)
@click.option("--profile", required=True, help="The device that this runs on; auto finds it.")
@click.option("--min-accuracy", type=click.FloatRange(0, 100), help="Percent, by the gate.")
@click.option("--max-p95-ms", type=click.FloatRange(0), help="From pixels to keypoints.")
@click.option("--max-watts", type=click.FloatRange(0), help="While it works without a pause.")
@click.option("--power", default="auto", show_default=True, help="Meter, see `edge-pose power`.")
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=3.0, show_default=True,
              help="Work per candidate, in three turns.")  # fmt: skip
@click.option("--out", type=PATH, help="Copy the chosen artifact to this folder.")
@ladder_option
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", count=True, help="Say more; twice says everything.")
def select_command(**options: Any) -> None:  # noqa: ANN401
    """Choose among MODELS the one with the highest accuracy × FPS / W within the limits.

    MODELS are artifact folders, names of artifacts, or checkpoints (.safetensors), which are
    converted to every format and precision first. Each is measured in every runtime that is
    installed here and reads it.
    """
    select(Request(**options))


@dataclass(frozen=True, slots=True)
class Request:
    """The command line; None: no limit."""

    models: tuple[str, ...]
    profile: str
    min_accuracy: float | None
    max_p95_ms: float | None
    max_watts: float | None
    power: str
    seconds: float
    out: Path | None
    ladder: bool
    data: Path | None
    generated: bool
    n_images: int
    seed: int
    as_json: bool
    verbose: int


def select(request: Request) -> None:
    """Measure, print the table and copy the best.

    Raises:
        EdgePoseError: an input is wrong, or no candidate keeps the limits.
    """
    console = Console(file=sys.stderr)
    log_to(console, request.verbose)
    from converters.folder import check_target
    from converters.this_machine import fits_here
    from edge_pose.profile import load_profile

    if request.out is not None:
        check_target(request.out)
    device = load_profile(request.profile)
    fits = fits_here(device)
    if not fits:
        log.warning(
            "profile '%s': this machine is another one, what is measured here holds here only",
            device.name,
        )
    with progress(console) as steps:
        selection = _measure(request, device, steps)
    _show(selection, fits=fits, as_json=request.as_json)
    if selection.chosen is None:
        raise EdgePoseError("select: no candidate keeps the limits, the table says why")
    if request.out is not None:
        _write(selection.chosen, request.out)


def _measure(request: Request, device: DeviceProfile, steps: Steps) -> Selection:
    from converters.candidates import CHECKPOINT, Shortlist
    from converters.select import BURSTS, Demands
    from converters.select import select as run_select
    from edge_pose.power import open_meter

    checkpoints = [Path(model) for model in request.models if model.endswith(CHECKPOINT)]
    found = Shortlist()
    for model in request.models:
        if not model.endswith(CHECKPOINT):
            found.load(model)
    with closing(open_meter(request.power, device)) as meter:
        if checkpoints:
            found.convert(
                checkpoints,
                request.data,
                steps,
                generated=request.generated,
                n_images=request.n_images,
                seed=request.seed,
                ladder=request.ladder,
            )
        candidates = found.candidates(device)
        steps(f"measuring {len(candidates)} candidates in turns")
        selection = run_select(
            candidates,
            Demands(request.min_accuracy, request.max_p95_ms, request.max_watts),
            meter,
            burst_s=request.seconds / BURSTS,
            bursts=BURSTS,
            tick=steps.tick,
        )
    return replace(selection, refused=(*found.refused, *selection.refused))


def _write(chosen: Candidate, out: Path) -> None:
    from converters.build import write
    from converters.folder import copy_artifact

    artifact = chosen.artifact
    if artifact.folder == Path():  # made of a checkpoint, and nowhere yet
        write(artifact, out)
    else:
        copy_artifact(artifact, out)


def _show(selection: Selection, *, fits: bool, as_json: bool) -> None:
    from converters.select import SCHEMA

    chosen = selection.chosen
    if as_json:
        values = {
            "schema": SCHEMA,
            "chosen": chosen
            and {
                "name": chosen.name,
                "sha256": chosen.artifact.manifest.file.sha256,
                "backend": chosen.backend,
                "device": chosen.device,
                "threads": chosen.threads,
            },
            "results": [result.to_json() for result in selection.results],
            "refused": [{"candidate": name, "reason": why} for name, why in selection.refused],
            "profile_fits": fits,
        }
        click.echo(json.dumps(values))
        return
    from converters.select_report import table

    terminal = Console(width=None if sys.stdout.isatty() else 160)
    terminal.print(table(selection))
