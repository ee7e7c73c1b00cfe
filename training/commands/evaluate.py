"""`edge-pose-train evaluate`: one command for every kind of network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup
from training.commands.options import data_option, json_option, show

SCHEMA = "edge_pose.evaluation/1"
# Of whole pictures; top-down networks are measured on ground-truth crops.
EVALUATE = {
    "bottom_up": "training.bottom_up.evaluate",
    "detector": "training.detection.evaluate",
}
OPTIONS = {"top_down": ("flip_test", "per_stage"), "bottom_up": ("flip_test", "scales")}


@click.command("evaluate")
@click.argument("checkpoint_or_artifact")
@data_option
@click.option(
    "--dataset",
    default="mpii",
    show_default=True,
    help="mpii, lsp, lspet, flic, coco; cifar100, imagenet for classifiers.",
)
@click.option("--flip-test", is_flag=True, help="Average with the mirrored picture.")
@click.option("--per-stage", is_flag=True, help="Also the intermediate stages of a checkpoint.")
@click.option(
    "--scale",
    "scales",
    type=click.FloatRange(0.25, 4),
    multiple=True,
    help="Of the input, for bottom-up networks; can be given again: heatmaps are averaged, tags"
    " are those of the scale nearest 1.",
)
@json_option
def evaluate_command(
    checkpoint_or_artifact: str,
    data: Path,
    dataset: str,
    flip_test: bool,
    per_stage: bool,
    scales: tuple[float, ...],
    as_json: bool,
) -> None:
    """Measure a checkpoint, an artifact folder or a shipped artifact.

    What the network was trained on is left out. One person at a time, on ground-truth crops: PCK,
    its area under the curve and how often left and right are swapped. Everybody in the picture:
    average precision and recall by OKS. Detectors: by box overlap. Classifiers: top-1 and top-5.
    """
    task = _task(checkpoint_or_artifact)
    given = {"flip_test": flip_test, "scales": scales, "per_stage": per_stage}
    options = _options(task, given)
    if per_stage and (flip_test or not Path(checkpoint_or_artifact).is_file()):
        raise UsageError("--per-stage: takes a checkpoint, and no --flip-test")
    if task == "top_down":
        values = _on_crops(checkpoint_or_artifact, data, dataset, flip_test, per_stage)
    elif task == "classifier":
        values = _classifier(Path(checkpoint_or_artifact), data, dataset)
    else:
        values = _on_pictures(task, checkpoint_or_artifact, data, dataset, options)
    show({"schema": SCHEMA, "model": checkpoint_or_artifact, **values}, as_json)


def _task(path: str) -> str:
    from edge_pose.artifact import artifact_folder, read_manifest
    from training.checkpoint import read_info

    if Path(path).is_file():
        return read_info(Path(path)).entry.task
    return read_manifest(artifact_folder(path)).task


def _options(task: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, if the task has it."""
    found = {name: value for name, value in given.items() if value}
    for name in found:
        if name not in OPTIONS.get(task, ()):
            option = {"scales": "scale"}.get(name, name.replace("_", "-"))
            raise UsageError(f"--{option}: a {task} network has no such evaluation")
    return found


def _classifier(checkpoint: Path, data: Path, dataset: str) -> dict[str, Any]:
    from training.checkpoint import load_checkpoint
    from training.classification.evaluate import evaluate

    model, info = load_checkpoint(checkpoint)
    return evaluate(model, info, dataset, data)


def _on_pictures(
    task: str, path: str, data: Path, dataset: str, options: dict[str, Any]
) -> dict[str, Any]:
    from training.predictors import open_predictor

    evaluate: Callable[..., dict[str, Any]] = import_module(EVALUATE[task]).evaluate
    return evaluate(open_predictor(path)[0], dataset, data, **options)


def _on_crops(
    path: str, data: Path, dataset: str, flip_test: bool, per_stage: bool
) -> dict[str, Any]:
    from training.datasets import DATASETS
    from training.evaluate import (
        METRIC,
        measure_predictions,
        measure_swaps,
        open_predictor,
        predict_all,
        unseen_persons,
    )
    from training.pictures.predictions import predict_stages

    lookup(DATASETS, dataset, "data set")
    predictor, _ = open_predictor(path)
    persons, left_out = unseen_persons(dataset, data, predictor.trained_on)
    predicted = predict_all(predictor, persons, flip_test=flip_test)
    swapped = measure_swaps(persons, predicted, predictor.keypoints)
    values = {
        "dataset": dataset,
        "metric": METRIC[dataset],
        "flip_test": flip_test,
        "left_out_as_trained_on": left_out,
        **asdict(measure_predictions(persons, predicted, predictor.keypoints)),
        "swapped_percent": {
            **{name: pair.rate for name, pair in swapped.per_pair.items()},
            "all": swapped.total.rate,
        },
    }
    if per_stage:
        stages = predict_stages(predictor, persons).results
        values["stages_mean14"] = [stage.mean14 for stage in stages]
    return values
