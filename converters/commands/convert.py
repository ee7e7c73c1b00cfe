"""The conversion itself: one checkpoint to one format and one or more precisions."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from converters.settings import Settings, check_device, profile_settings
from converters.terminal import log_to, progress, show_attempts
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.profile import load_profile

if TYPE_CHECKING:
    from edge_pose.artifact import Artifact
    from edge_pose.manifest import Attempt

INTEGER_IO = ("tflite", "int8")  # what can have integers as inputs and outputs


@dataclass(frozen=True, slots=True)
class Request:
    """The command line; None and empty leave it to the profile or the default."""

    checkpoint: Path
    out: Path
    profile: str | None
    format: str | None
    precisions: tuple[str, ...]
    arch: str | None
    fold_pixels: bool | None
    fold_decoder: bool
    integer_io: bool | None
    data: Path | None
    generated: bool
    n_images: int
    seed: int
    limit_points: float | None
    limit_drift_px: float
    ladder: bool
    force: bool
    graph_only: bool
    as_json: bool

    def settings(self) -> tuple[Settings, ...]:
        """Return what to make, one per precision; flags are stronger than the profile.

        Raises:
            UsageError: no such profile or converter, or a combination that has no sense, or that
                the device cannot run.
        """
        profile = load_profile(self.profile) if self.profile else None
        base = profile_settings(profile) if profile else Settings()
        base = replace(
            base,
            format=self.format or base.format,
            arch=base.arch if self.arch is None else self.arch,
            fold_pixels=base.fold_pixels if self.fold_pixels is None else self.fold_pixels,
            fold_decoder=self.fold_decoder,
            limit_points=self.limit_points,
            limit_drift_px=self.limit_drift_px,
            n_images=self.n_images,
            seed=self.seed,
            ladder=self.ladder,
            force=self.force,
        )
        wanted = dict.fromkeys(self.precisions or (base.precision,))
        every = tuple(self._with_io(replace(base, precision=precision)) for precision in wanted)
        for settings in every:
            _ = settings.entry
            if profile is not None:
                check_device(profile, settings)
        return every

    def _with_io(self, settings: Settings) -> Settings:
        """Return them with or without integers as inputs and outputs."""
        made = settings.format, settings.precision
        if self.integer_io and made != INTEGER_IO:
            raise UsageError(
                f"--integer-io: found {' '.join(made)}, needs --format tflite --precision int8"
            )
        wanted = settings.integer_io if self.integer_io is None else self.integer_io
        return replace(settings, integer_io=wanted and made == INTEGER_IO)


def convert(request: Request, verbose: int) -> None:
    """Convert and report.

    Raises:
        EdgePoseError: see converters.build.build.
    """
    console = Console(file=sys.stderr)  # the stream itself: converters redirect the name
    log_to(console, verbose)
    if request.graph_only:
        _graph(request)
        return
    wanted = request.settings()
    # torch takes seconds to import: --help and wrong usage need none of it.
    from converters.ladder import GateError

    written: dict[str, Artifact] = {}
    try:
        _convert_all(request, wanted, console, written)
    except EdgePoseError as error:
        attempts = error.attempts if isinstance(error, GateError) else ()
        if attempts:
            show_attempts(console, attempts)
        if attempts or written:
            _show_failed(str(error), attempts, written, as_json=request.as_json)
        raise
    if request.as_json:
        results = [_result(artifact) for artifact in written.values()]
        click.echo(json.dumps(results[0] if len(results) == 1 else results))
        return
    _show(written)


def _show(written: Mapping[str, Artifact]) -> None:
    for artifact in written.values():
        file = artifact.manifest.file
        size = f"{file.total_bytes / 1e6:.2f} MB"
        click.echo(f"{artifact.folder}: {file.format} {file.precision}, {size}")


def _show_failed(
    error: str, attempts: Sequence[Attempt], written: Mapping[str, Artifact], *, as_json: bool
) -> None:
    """Tell what was written before one of several precisions failed."""
    if not as_json:
        _show(written)
        return
    results = [_result(artifact) for artifact in written.values()]
    click.echo(json.dumps({"error": error, "attempts": _rows(attempts), "written": results}))


def _convert_all(
    request: Request, wanted: Sequence[Settings], console: Console, written: dict[str, Artifact]
) -> None:
    """Write every artifact as soon as it is good, and put it into `written` by its name."""
    from converters.build import write
    from converters.data import open_data
    from converters.folder import check_target
    from converters.job import Job
    from converters.ladder import climb, fallback_precision
    from converters.manifest import artifact_name
    from training.checkpoint import read_info

    info = read_info(request.checkpoint)

    def folder(name: str) -> Path:
        return request.out / name if len(wanted) > 1 else request.out

    names = [artifact_name(info.model, each.format, each.precision) for each in wanted]
    fallbacks = [
        artifact_name(info.model, each.format, fallback)
        for each in wanted
        if (fallback := fallback_precision(each)) is not None
    ]
    for name in dict.fromkeys(names + fallbacks):
        check_target(folder(name))
    with (
        progress(console) as steps,
        open_data(request.data, generated=request.generated, n_images=request.n_images) as data,
    ):
        job = Job(request.checkpoint, data, request.seed, steps)
        for index, (name, settings) in enumerate(zip(names, wanted, strict=True)):
            steps.overall(index, len(wanted))
            if name in written:  # another precision fell back to it
                continue
            artifact = climb(job, settings)
            found = artifact.manifest.name  # not always the one that was asked for
            written[found] = write(artifact, folder(found))
            if len(artifact.manifest.attempts) > 1:
                show_attempts(console, artifact.manifest.attempts)


def _result(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    return {
        "path": str(artifact.folder),
        "name": manifest.name,
        "format": manifest.file.format,
        "precision": manifest.file.precision,
        "size_bytes": manifest.file.total_bytes,
        "sha256": manifest.file.sha256,
        "gate": manifest.gate and manifest.gate.model_dump(mode="json"),
        "attempts": _rows(manifest.attempts),
    }


def _rows(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    return [attempt.model_dump(mode="json") for attempt in attempts]


def _graph(request: Request) -> None:
    from converters.graph import write_graph

    graph = write_graph(request.checkpoint, request.out)
    if request.as_json:
        click.echo(json.dumps(asdict(graph), default=str))
        return
    click.echo(f"{graph.file}: {graph.model}, differs from torch by {graph.difference:.1e}")
    for name, shape in graph.outputs.items():
        click.echo(f"  {name}: {'x'.join(map(str, shape))}")
