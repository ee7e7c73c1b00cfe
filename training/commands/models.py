"""`edge-pose-train info` and `shrink`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge_pose.errors import UsageError
from training.commands.options import json_option, show


@click.command("info")
@click.argument("name", required=False)
@json_option
def info_command(name: str | None, as_json: bool) -> None:
    """Show size and cost of a registered network; without NAME list them all."""
    from training.complexity import count
    from training.registry import get_model, model_names

    if name is None:
        rows = [{"name": n, "summary": get_model(n).summary} for n in model_names()]
        lines = "\n".join(f"{row['name']}: {row['summary']}" for row in rows)
        click.echo(json.dumps(rows) if as_json else lines)
        return
    entry = get_model(name)
    complexity = count(entry.build(), entry.input_size)
    values = {
        "name": name,
        "task": entry.task,
        "params": complexity.params,
        "madds_document": complexity.madds_document,
        "macs": complexity.macs,
        "input_size": list(entry.input_size),
        "keypoint_format": entry.keypoint_format,
        "summary": entry.summary,
        "paper": entry.paper,
    }
    show(values, as_json)


@click.command("shrink")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The smaller file.")
@json_option
def shrink_command(checkpoint: Path, out: Path, as_json: bool) -> None:
    """Store the weights of CHECKPOINT as float16, half the size, to share them."""
    from training.checkpoint import load_checkpoint, save_checkpoint

    if out.resolve() == checkpoint.resolve():
        raise UsageError(f"--out {out}: is the checkpoint itself, choose another file")
    model, info = load_checkpoint(checkpoint)
    save_checkpoint(out, model.state_dict(), info, half=True)
    show({"checkpoint": str(out), "size_bytes": out.stat().st_size}, as_json)
