"""`edge-pose-convert edgetpu`: an integer artifact compiled for Google's Edge TPU."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from converters.commands.options import PATH
from converters.terminal import log_to


@click.command("edgetpu")
@click.argument("artifact", type=PATH)
@click.option("--out", type=PATH, required=True, help="Folder to write.")
@click.option("-v", "--verbose", count=True, help="Say more; twice says everything.")
def edgetpu_command(artifact: Path, out: Path, verbose: int) -> None:
    """Compile ARTIFACT, TFLite int8 with integer inputs and outputs, by edgetpu_compiler."""
    log_to(Console(file=sys.stderr), verbose)
    from converters.edgetpu import compile_artifact
    from converters.folder import check_target, write_artifact
    from edge_pose.artifact import load_artifact

    source = load_artifact(artifact)
    check_target(out)
    compiled = compile_artifact(source)
    write_artifact(replace(compiled.artifact, folder=out))
    click.echo(f"{out}: {compiled.on_tpu} operators on the Edge TPU, {compiled.on_cpu} on the host")
    click.echo(
        f"{out}: its accuracy was not measured on an Edge TPU, only that of {artifact} before it"
        " was compiled: run it with --trust-ungated"
    )
