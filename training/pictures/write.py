"""All pictures of one trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_pose.decoding.heatmap import decode_heatmaps
from edge_pose.errors import UsageError
from training.checkpoint import CheckpointInfo
from training.evaluate import METRIC, THRESHOLD, Predictor, open_predictor, unseen_persons
from training.pictures.errors import error_picture
from training.pictures.heatmaps import heatmap_sheet
from training.pictures.predictions import (
    Predictions,
    crops_of,
    person_errors,
    predict_stages,
    stage_heatmaps,
)
from training.pictures.sheets import prediction_sheet
from training.pictures.stages import stage_sheet

MOST_PERSONS = 3000  # of a data set; more change no picture
STAGE_PERSONS = 4
SEED = 1


def write_pictures(
    checkpoint: str | Path, data: Path, dataset: str, out: Path, count: int = 24
) -> list[Path]:
    """Draw what a network finds on people that it was not trained on.

    Written are `worst.png`, `best.png` and `random.png` (contact sheets), `errors.png`,
    `heatmaps.png` of the person in the middle of the order, and `stages.png` for a network with
    intermediate stages.

    Args:
        checkpoint: a checkpoint file, an artifact folder or the name of a shipped artifact.
        data: folder with the data sets.
        dataset: which of them.
        out: folder to write into.
        count: people on each contact sheet.

    Returns:
        The files.

    Raises:
        EdgePoseError: the network or the data cannot be read or the pictures not written; or the
            network does not look at one person at a time.
    """
    predictor, opened = open_predictor(str(checkpoint))
    if isinstance(opened, CheckpointInfo):
        task, trained_on = opened.entry.task, opened.trained_on
    else:
        task, trained_on = opened.manifest.task, opened.manifest.origin.trained_on
    if task != "top_down":
        raise UsageError(f"{checkpoint}: found a {task} network, pictures are of top_down ones")
    persons, _ = unseen_persons(dataset, data, trained_on)
    rng = np.random.default_rng(SEED)
    if len(persons) > MOST_PERSONS:
        persons = [persons[i] for i in sorted(rng.permutation(len(persons))[:MOST_PERSONS])]
    return draw(predictor, predict_stages(predictor, persons), dataset, out, count, rng)


def draw(
    predictor: Predictor,
    predictions: Predictions,
    dataset: str,
    out: Path,
    count: int,
    rng: np.random.Generator,
) -> list[Path]:
    """Draw every picture of the predictions of `predictor` on a data set; returns the files."""
    threshold, metric = THRESHOLD[dataset], METRIC[dataset]
    total = len(predictions.persons)
    count = min(count, total)
    order = np.argsort(-person_errors(predictions.errors[-1]), kind="stable")
    drawn = {
        "worst": order[:count],
        "best": order[::-1][:count],
        "random": rng.permutation(total)[:count],
    }
    files = [
        prediction_sheet(
            predictions,
            chosen.tolist(),
            threshold,
            out / f"{name}.png",
            title=f"{name} {count} of {total} people, {dataset}",
        )
        for name, chosen in drawn.items()
    ]
    unit = "head sizes" if dataset == "mpii" else "torsos"
    errors = predictions.errors[-1]
    files.append(error_picture(errors, threshold, out / "errors.png", metric=metric, unit=unit))
    files.append(_heatmaps(predictor, predictions, int(order[total // 2]), out / "heatmaps.png"))
    if len(predictions.stages) > 1:
        chosen = drawn["random"][:STAGE_PERSONS].tolist()
        file = out / "stages.png"
        files.append(stage_sheet(predictions, chosen, threshold, file, metric=metric))
    return files


def _heatmaps(predictor: Predictor, predictions: Predictions, number: int, out: Path) -> Path:
    person = predictions.persons[number]
    crops = crops_of([person], predictor.spec.size)
    maps = stage_heatmaps(predictor, crops)[-1]
    found, _ = decode_heatmaps(maps, predictor.stride, predictor.heatmap_kind)
    return heatmap_sheet(
        crops[0],
        maps[0],
        predictor.keypoints.keypoints,
        out,
        kind=predictor.heatmap_kind,
        found=found[0],
        title=f"{person.dataset}, person {person.index}",
    )
