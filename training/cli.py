"""The command line `edge-pose-train`."""

from __future__ import annotations

import json
import logging
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from edge_pose.command_line import common_options, run_command, set_up_logging
from edge_pose.errors import UsageError
from edge_pose.lookup import lookup

CONFIGS = Path(__file__).with_name("configs")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="EDGE_POSE_DATA",
    required=True,
    help="Folder with mpii/, lspet/, coco/ in it [env: EDGE_POSE_DATA].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def cli(verbose: int) -> None:
    """Train light pose networks and measure them."""
    set_up_logging(verbose)
    # A spinning second thread slows everything down when another process wants the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@cli.command("train")
@click.argument("recipe")
@data_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of this run.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--until-epoch", type=click.IntRange(1), help="Pause after so many epochs in total.")
@click.option("--limit", type=click.IntRange(1), help="Only so many persons, for a trial.")
@json_option
def train_command(
    recipe: str,
    data: Path,
    out: Path,
    device: str,
    until_epoch: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Train RECIPE, a TOML file or the name of one in training/configs.

    A run that was stopped goes on where it was: give the same --out again.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from training.plots import plot_log
    from training.recipe import load_recipe
    from training.trainer import Trainer

    logging.getLogger("training").setLevel(logging.INFO)
    trainer = Trainer(load_recipe(_recipe_file(recipe)), data, out, _device(device), limit)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        trainer.run(progress, until_epoch)
    curve = plot_log(trainer.paths.log, out / "curve.png")
    result = {
        "checkpoint": str(trainer.paths.weights),
        "log": str(trainer.paths.log),
        "curve": str(curve),
        "epochs": trainer.epoch,
        "minutes": round(trainer.seconds / 60, 2),
    }
    _show(result, as_json)


@cli.command("evaluate")
@click.argument("checkpoint_or_artifact")
@data_option
@click.option("--dataset", default="mpii", show_default=True, help="mpii, lspet or coco.")
@click.option("--flip-test", is_flag=True, help="Average with the mirrored picture.")
@json_option
def evaluate_command(
    checkpoint_or_artifact: str, data: Path, dataset: str, flip_test: bool, as_json: bool
) -> None:
    """Measure a checkpoint, an artifact folder or a shipped artifact on ground-truth crops.

    Persons that the network was trained on are left out.
    """
    from training.checkpoint import CheckpointInfo
    from training.datasets import DATASETS
    from training.evaluate import METRIC, measure, open_predictor, unseen_persons

    lookup(DATASETS, dataset, "data set")
    predictor, opened = open_predictor(checkpoint_or_artifact)
    trained_on = (
        opened.trained_on
        if isinstance(opened, CheckpointInfo)
        else opened.manifest.origin.trained_on
    )
    persons, left_out = unseen_persons(dataset, data, trained_on)
    result = measure(predictor, persons, flip_test=flip_test)
    values = {
        "schema": "edge_pose.evaluation/1",
        "model": checkpoint_or_artifact,
        "dataset": dataset,
        "metric": METRIC[dataset],
        "flip_test": flip_test,
        "left_out_as_trained_on": left_out,
        **_finite(asdict(result)),
    }
    _show(values, as_json)


@cli.command("info")
@click.argument("name", required=False)
@json_option
def info_command(name: str | None, as_json: bool) -> None:
    """Show size and cost of a registered network; without NAME list them all."""
    from training.complexity import count
    from training.registry import get_model, model_names

    if name is None:
        rows = [{"name": n, "summary": get_model(n).summary} for n in model_names()]
        click.echo(
            json.dumps(rows) if as_json else "\n".join(f"{r['name']}: {r['summary']}" for r in rows)
        )
        return
    entry = get_model(name)
    complexity = count(entry.build(), entry.input_size)
    values = {
        "name": name,
        "params": complexity.params,
        "madds_document": complexity.madds_document,
        "macs": complexity.macs,
        "input_size": list(entry.input_size),
        "keypoint_format": entry.keypoint_format,
        "summary": entry.summary,
        "paper": entry.paper,
    }
    _show(values, as_json)


@cli.command("shrink")
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
    _show({"checkpoint": str(out), "size_bytes": out.stat().st_size}, as_json)


@cli.command("plot")
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("curve.png"))
@json_option
def plot_command(log: Path, out: Path, as_json: bool) -> None:
    """Draw the learning curve of a run's log.jsonl."""
    from training.plots import plot_log

    _show({"curve": str(plot_log(log, out))}, as_json)


def _show(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values))
        return
    for key, value in values.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {_number(v)}" for k, v in value.items())
        click.echo(f"{key}: {_number(value)}")


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace NaN, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _recipe_file(recipe: str) -> Path:
    names = {file.stem: file for file in sorted(CONFIGS.glob("*.toml"))}
    if recipe.endswith(".toml") or Path(recipe).is_file():
        return Path(recipe)
    return lookup(names, recipe, "recipe")


def _device(name: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("--device cuda: torch sees no CUDA device here, use --device cpu")
    return "cuda" if name == "cuda" or (name == "auto" and available) else "cpu"


def main() -> None:
    """Entry point of the console script."""
    run_command(cli, "edge-pose-train")
