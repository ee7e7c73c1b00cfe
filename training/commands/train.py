"""`edge-pose-train train` and `plot`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_pose.errors import EdgePoseError, UsageError
from training.commands.options import (
    data_option,
    device_kind,
    device_option,
    json_option,
    recipe_file,
    show,
)

if TYPE_CHECKING:
    from training.recipe import Recipe
    from training.trainer import Trainer

OVERFIT_EPOCHS, OVERFIT_STEPS = 10, 10  # steps per epoch
OVERFIT_BATCH = 16  # the same samples over and over: batch statistics need more than a few


@click.command("train")
@click.argument("recipe")
@data_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of this run.")
@device_option
@click.option("--until-epoch", type=click.IntRange(1), help="Pause after so many epochs in total.")
@click.option("--limit", type=click.IntRange(1), help="Only so many persons, for a trial.")
@click.option(
    "--overfit",
    type=click.IntRange(1),
    help="Learn so many samples by heart, without augmentation: what cannot do that is broken.",
)
@click.option("--dry-run", is_flag=True, help="Compute one step, write nothing, say what it costs.")
@json_option
def train_command(
    recipe: str,
    data: Path,
    out: Path,
    device: str,
    until_epoch: int | None,
    limit: int | None,
    overfit: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train RECIPE, a TOML file or the name of one in training/configs.

    A run that was stopped goes on where it was: give the same --out again. Several GPUs or
    machines: `torchrun --nproc-per-node N -m training train RECIPE …`.
    """
    from training.parallel import open_processes
    from training.recipe import load_recipe
    from training.tasks import build_task
    from training.trainer import Trainer

    loaded, kind = load_recipe(recipe_file(recipe)), device_kind(device)
    if overfit:
        if limit:
            raise UsageError("--overfit: says how many samples there are, leave --limit away")
        loaded, limit = overfit_recipe(loaded, overfit), overfit
    with open_processes(kind) as processes:
        task = build_task(loaded, data, limit)
        trainer = Trainer(loaded, task, out, kind, processes)
        if dry_run:
            values = trainer.dry_run()
        else:
            values = _run(trainer, until_epoch)
            if overfit:
                values["trained"] = trainer.measure_trained()
        if processes.first:
            show(values, as_json)


def overfit_recipe(recipe: Recipe, samples: int) -> Recipe:
    """Return the recipe without augmentation, at its first size, for a few samples."""
    repeats = dict.fromkeys(recipe.datasets, OVERFIT_STEPS * OVERFIT_BATCH / samples)
    stage = recipe.stages[0].model_copy(update={"epochs": OVERFIT_EPOCHS})
    return recipe.without_augmentation().model_copy(
        update={
            "batch_size": OVERFIT_BATCH,
            "accumulate": 1,
            "mixing": "repeats",
            "datasets": repeats,
            "stages": (stage,),
            "optimizer": recipe.optimizer.model_copy(update={"warmup_steps": 10, "ema_decay": 0.9}),
        }
    )


def _run(trainer: Trainer, until_epoch: int | None) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from training.plots import plot_log

    logging.getLogger("training").setLevel(logging.INFO)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    first = trainer.processes.first
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not first) as progress:
        trainer.run(progress, until_epoch)
    if not first:
        return {}
    paths = trainer.paths
    return {
        "checkpoint": str(paths.weights),
        "log": str(paths.log),
        "curve": str(plot_log(paths.log, paths.folder / "curve.png")),
        "events": str(paths.events),
        "epochs": trainer.epoch,
        "minutes": round(trainer.seconds / 60, 2),
    }


@click.command("plot")
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("curve.png"))
@json_option
def plot_command(log: Path, out: Path, as_json: bool) -> None:
    """Draw the learning curve of a run's log.jsonl."""
    from training.plots import plot_log

    if out.suffix not in (".png", ".html"):
        raise EdgePoseError(f"--out {out}: expected a name that ends in .png or .html")
    show({"curve": str(plot_log(log, out))}, as_json)
