"""Which range each tensor of a TFLite graph gets: what calibration sees, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.export_graph import INPUT
from converters.litert import SIGNATURE, load, working
from converters.tflite_file import tensors
from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.types import Image

PACKAGE = "ai_edge_quantizer"
ODD = 5.0  # percent of pictures on either side that "percentile" leaves out
WEIGHT = 0.05  # of a picture in "moving_average", as the quantizer itself has it

Ranges = dict[str, dict[str, NDArray[Any]]]
"""By tensor "min" and "max", as the quantizer wants them."""


@dataclass(frozen=True, slots=True)
class Extremes:
    """What calibration saw.

    Attributes:
        lowest: by tensor its smallest value on each picture.
        highest: by tensor its largest value on each picture.
    """

    lowest: dict[str, NDArray[Any]]
    highest: dict[str, NDArray[Any]]


def observe(model: bytes, inputs: Iterable[NDArray[Any]]) -> Extremes:
    """Run pictures through a float file and note the extremes of every tensor.

    Raises:
        EdgePoseError: the quantizer is not installed, or an input does not fit.
    """
    calibrator = load(f"{PACKAGE}.calibrator")
    given, expected = list(inputs), tensors(model)[0][0].shape
    for tensor in given:
        if tensor.shape != expected:  # the runtime would change the graph's size instead
            raise EdgePoseError(
                f"calibration: found pictures of {tensor.shape}, the graph takes {expected}"
            )
    rules = load(f"{PACKAGE}.recipe_manager").RecipeManager()
    with working("TFLite: cannot calibrate"):
        mode = calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED
        observer = calibrator.Calibrator(model, 1, mode, _collect)
        observer.calibrate({SIGNATURE: [{INPUT: tensor} for tensor in given]}, rules)
        seen = observer.get_model_qsvs()
    lowest = {name: np.stack(_all(seen[name], "min")) for name in seen}
    return Extremes(lowest, {name: np.stack(_all(seen[name], "max")) for name in seen})


def pictures(crops: Image, spec: InputSpec) -> Iterator[NDArray[Any]]:
    """Turn (N, h, w, 3) uint8 BGR crops into inputs, one by one."""
    for index in range(len(crops)):
        yield to_tensor(crops[index : index + 1], spec)


def _collect(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {key: [*_all(old, key), new[key]] for key in ("min", "max")}


def _all(extremes: dict[str, Any], key: str) -> list[NDArray[Any]]:
    found: list[NDArray[Any]] = (
        extremes[key] if isinstance(extremes[key], list) else [extremes[key]]
    )
    return found


def min_max(seen: Extremes) -> Ranges:
    """Everything that was seen."""
    return _ranges(seen, lambda low: low.min(axis=0), lambda high: high.max(axis=0))


def percentile(seen: Extremes) -> Ranges:
    """Everything but the extremes of a few odd pictures."""
    return _ranges(
        seen,
        lambda low: np.percentile(low, ODD, axis=0),
        lambda high: np.percentile(high, 100 - ODD, axis=0),
    )


def moving_average(seen: Extremes) -> Ranges:
    """The extremes of an average picture, later ones counting more."""

    def average(values: NDArray[Any]) -> NDArray[Any]:
        mean: NDArray[Any] = reduce(lambda old, new: (1 - WEIGHT) * old + WEIGHT * new, values)
        return mean

    return _ranges(seen, average, average)


RANGES: dict[str, Callable[[Extremes], Ranges]] = {
    "percentile": percentile,
    "min_max": min_max,
    "moving_average": moving_average,
}
"""The best first, on five trained networks: 1 to 3 percent more peaks stay where they were."""


def _ranges(
    seen: Extremes,
    low: Callable[[NDArray[Any]], Any],
    high: Callable[[NDArray[Any]], Any],
) -> Ranges:
    return {
        name: {"min": np.asarray(low(seen.lowest[name])), "max": np.asarray(high(values))}
        for name, values in seen.highest.items()
    }
