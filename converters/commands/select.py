"""`edge-pose-convert select`: measure candidates on this device and keep the best."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from converters.commands.options import PATH, data_options
from converters.terminal import Steps, log_to, progress
from edge_pose.errors import EdgePoseError, UsageError

if TYPE_CHECKING:
    from converters.select import Candidate, Selection
    from edge_pose.artifact import Artifact
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
@data_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("-v", "--verbose", count=True, help="Say more; twice says everything.")
def select_command(
    models: tuple[str, ...],
    profile: str,
    min_accuracy: float | None,
    max_p95_ms: float | None,
    max_watts: float | None,
    power: str,
    seconds: float,
    out: Path | None,
    data: Path | None,
    generated: bool,
    n_images: int,
    seed: int,
    as_json: bool,
    verbose: int,
) -> int:
    """Choose among MODELS the one with the highest accuracy × FPS / W within the limits.

    MODELS are artifact folders, names of artifacts, or checkpoints (.safetensors), which are
    converted to every format and precision first. Each is measured in every runtime that is
    installed here and reads it.
    """
    console = Console(file=sys.stderr)
    log_to(console, verbose)
    from converters.build import write
    from converters.folder import check_target
    from converters.select import BURSTS, Demands, select
    from converters.this_machine import fits_here
    from edge_pose.power import open_meter
    from edge_pose.profile import load_profile

    if out is not None:
        check_target(out)
    device = load_profile(profile)
    fits = fits_here(device)
    if not fits:
        log.warning(
            "profile '%s': this machine is another one, what is measured here holds here only",
            device.name,
        )
    demands = Demands(min_accuracy, max_p95_ms, max_watts)
    with (
        closing(open_meter(power, device)) as meter,
        progress(console) as say,
        _artifacts(models, data, say, generated=generated, n_images=n_images, seed=seed) as found,
    ):
        candidates = [c for artifact in found for c in _candidates(artifact, device)]
        if not candidates:
            raise UsageError("select: no runtime that is installed here reads any of the models")
        say(f"measuring {len(candidates)} candidates in turns")
        selection = select(
            candidates, demands, meter, burst_s=seconds / BURSTS, bursts=BURSTS, tick=say.tick
        )
    chosen = selection.chosen
    _show(selection, fits=fits, as_json=as_json)
    if chosen is not None and out is not None:
        write(chosen.artifact, out)
    if chosen is None:
        raise EdgePoseError("select: no candidate keeps the limits, the table says why")
    return 0


@contextmanager
def _artifacts(
    models: Sequence[str],
    data: Path | None,
    say: Steps,
    *,
    generated: bool,
    n_images: int,
    seed: int,
) -> Iterator[list[Artifact]]:
    """Load artifacts and convert checkpoints."""
    from edge_pose.artifact import load_artifact

    ready = [load_artifact(m) for m in models if not m.endswith(".safetensors")]
    checkpoints = [Path(m) for m in models if m.endswith(".safetensors")]
    if not checkpoints:
        yield ready
        return
    from converters import CONVERTERS
    from converters.data import open_data
    from converters.job import Job
    from converters.matrix import build_matrix
    from converters.settings import Settings

    with open_data(data, generated=generated, n_images=n_images) as pictures:
        for checkpoint in checkpoints:
            job = Job(checkpoint, pictures, seed, say)
            settings = Settings(n_images=n_images, seed=seed)
            keys = tuple(CONVERTERS)
            for cell in build_matrix(job, settings, keys=keys, threads=(), tick=say.tick):
                gate = cell.artifact.manifest.gate if cell.artifact else None
                if cell.artifact is not None and gate is not None and gate.passed:
                    ready.append(cell.artifact)
                else:
                    log.warning("%s %s: left out: %s", job.info.model, cell.name, cell.verdict)
        yield ready


def _candidates(artifact: Artifact, device: DeviceProfile) -> Iterator[Candidate]:
    """Yield the runtimes that are here and read the artifact; the profile's on its device."""
    from converters.select import Candidate
    from edge_pose.backends import READS, default_threads, installed
    from edge_pose.backends.base import CPU

    runtime = device.runtime
    for backend, formats in READS.items():
        if artifact.manifest.file.format in formats and installed(backend):
            word = runtime.device if backend == runtime.backend else CPU
            yield Candidate(artifact, backend, word, runtime.threads or default_threads())


def _show(selection: Selection, *, fits: bool, as_json: bool) -> None:
    from converters.select import SCHEMA

    chosen = selection.chosen
    if as_json:
        values = {
            "schema": SCHEMA,
            "chosen": chosen
            and {"name": chosen.name, "sha256": chosen.artifact.manifest.file.sha256},
            "results": [result.to_json() for result in selection.results],
            "refused": [{"candidate": name, "reason": why} for name, why in selection.refused],
            "profile_fits": fits,
        }
        click.echo(json.dumps(values))
        return
    from converters.select_report import table

    terminal = Console(width=None if sys.stdout.isatty() else 160)
    terminal.print(table(selection))
