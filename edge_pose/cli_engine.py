"""`edge-pose model engine`: compile an artifact for the GPU of this device."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from edge_pose.engines import ENGINE_BUILDERS
from edge_pose.engines.base import PRECISIONS, WORKSPACE_MIB


@click.command("engine")
@click.argument("model")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write; beside the model by default.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Lowest precision that may be used; the artifact's own by default.",
)
@click.option(
    "--calibration-cache",
    type=click.Path(path_type=Path),
    help="For int8: of this very artifact, from `edge-pose-convert calibration-cache`.",
)
@click.option(
    "--workspace-mib",
    type=click.IntRange(16),
    default=WORKSPACE_MIB,
    show_default=True,
    help="Memory for trying out algorithms.",
)
@click.option(
    "--builder",
    type=click.Choice(tuple(ENGINE_BUILDERS)),
    help="The first that is installed by default.",
)
@click.option("--force", is_flag=True, help="Build anew even if the same engine is there.")
@click.option("--trust-ungated", is_flag=True, help="Take unchecked artifacts too.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout.")
def engine_command(
    model: str,
    out: Path | None,
    precision: str | None,
    calibration_cache: Path | None,
    workspace_mib: int,
    builder: str | None,
    force: bool,
    trust_ungated: bool,
    as_json: bool,
) -> None:
    """Build a TensorRT engine from MODEL, an artifact in ONNX fp16 or fp32.

    Engines are of one GPU and one version of TensorRT, so this runs on the device; it takes
    minutes. They are for programs that run TensorRT themselves: `edge-pose run --backend
    onnxruntime` on TENSORRT builds and keeps its own.
    """
    from edge_pose.artifact import load_artifact
    from edge_pose.engines import open_builder
    from edge_pose.engines.build import build_engine

    artifact = load_artifact(model, trust_ungated=trust_ungated)
    lowest = precision or artifact.manifest.file.precision
    target = out or artifact.folder / f"model_{lowest}.engine"
    report = build_engine(
        artifact,
        target,
        open_builder(builder),
        lowest,
        calibration_cache=calibration_cache,
        workspace_mib=workspace_mib,
        force=force,
    )
    if as_json:
        click.echo(json.dumps({"engine": str(target), **asdict(report)}))
        return
    click.echo(
        f"{target}: {report.size_bytes / 1e6:.1f} MB, {report.precision}, by {report.builder}"
        f" in {report.seconds:.0f} s"
    )
