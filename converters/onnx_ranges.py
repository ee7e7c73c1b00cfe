"""The ranges of numbers that the tensors of an ONNX graph take on, for 8-bit integers.

"MinMax" takes the smallest and the largest number seen, "Percentile" leaves out the largest
magnitudes, one in 100,000, and "Entropy" puts the limit where the distribution in 128 steps
diverges least from the original (Migacz, "8-bit inference with TensorRT", GTC 2017).

ONNX Runtime's own calibrators for the last two keep every number of every tensor of every picture
in memory, and their histograms may grow without bound. Here the limits are known from a first pass
over the pictures, so that a second one can count into histograms of a fixed size.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import (
    HistogramCollector,
    TensorData,
    TensorsData,
    create_calibrator,
)

from edge_pose.errors import UsageError

METHODS = ("MinMax", "Percentile", "Entropy")
PERCENTILE = 99.999
BINS = {"Percentile": 2048, "Entropy": 512}  # entropy's time grows with the square of its bins
ENTROPY_STEPS = 128

Feed = dict[str, NDArray[np.float32] | NDArray[np.uint8]]
Range = tuple[float, float]


def collect_ranges(
    model: onnx.ModelProto, feeds: Callable[[], Iterator[Feed]], method: str
) -> dict[str, Range]:
    """Run the pictures and return (lowest, highest) per float tensor, weights left out.

    Args:
        model: float graph.
        feeds: starts anew to give the graph's input for each picture.
        method: one of METHODS.

    Raises:
        UsageError: the method is unknown.
    """
    if method not in METHODS:
        raise UsageError(f"calibration method '{method}': expected one of {', '.join(METHODS)}")
    with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder:
        source = Path(folder, "float.onnx")
        onnx.save(model, source)
        calibrator = create_calibrator(
            source,
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(_Reader(feeds()))
        data: TensorsData = calibrator.compute_data()
    ranges = {
        name: (np.float32(tensor.lowest).item(), np.float32(tensor.highest).item())
        for name, tensor in sorted(data.items())
    }
    return ranges if method == "MinMax" else _clip(model, feeds(), ranges, method)


def tensors_data(ranges: dict[str, Range]) -> TensorsData:
    """Return the ranges as ONNX Runtime's quantizer takes them."""
    return TensorsData(
        CalibrationMethod.MinMax,
        {
            name: TensorData(lowest=np.float32(lowest), highest=np.float32(highest))
            for name, (lowest, highest) in ranges.items()
        },
    )


def _clip(
    model: onnx.ModelProto, feeds: Iterator[Feed], ranges: dict[str, Range], method: str
) -> dict[str, Range]:
    """Move the limits to where the method wants them."""
    bins = BINS[method]
    counts = {name: np.zeros(bins, np.int64) for name in ranges}
    largest = {name: max(abs(low), abs(high)) for name, (low, high) in ranges.items()}
    session = onnxruntime.InferenceSession(
        _with_outputs(model, ranges).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = list(ranges)
    for feed in feeds:
        for name, values in zip(names, session.run(names, feed), strict=True):
            if largest[name] > 0:
                counts[name] += _histogram(values, largest[name], bins, signed=method == "Entropy")
    limit = _percentile if method == "Percentile" else _entropy
    limits = {name: limit(counts[name]) * largest[name] for name in names}
    return {
        name: (max(low, -limits[name]), min(high, limits[name]))
        for name, (low, high) in ranges.items()
    }


def _histogram(
    values: NDArray[np.float32], largest: float, bins: int, *, signed: bool
) -> NDArray[np.int64]:
    """Count numbers from -largest to largest, or their magnitudes from 0 to largest."""
    scaled = values.ravel() * np.float32(1 / largest)
    scaled = (scaled + 1) / 2 if signed else np.abs(scaled)
    index = np.clip(scaled * bins, 0, bins - 1).astype(np.intp)
    return np.bincount(index, minlength=bins)


def _percentile(counts: NDArray[np.int64]) -> float:
    """Return the limit as a share of the largest magnitude."""
    if not counts.any():
        return 1.0
    share = counts.cumsum() / counts.sum()
    return float(np.searchsorted(share, PERCENTILE / 100) + 1) / len(counts)


def _entropy(counts: NDArray[np.int64]) -> float:
    """Return the limit as a share of the largest magnitude."""
    if not counts.any():
        return 1.0
    collector = HistogramCollector("entropy", False, len(counts), ENTROPY_STEPS, None, None)
    edges = np.linspace(-1, 1, len(counts) + 1, dtype=np.float32)
    ends = (np.float32(-1), np.float32(1))
    return float(collector.get_entropy_threshold((counts, edges, *ends), ENTROPY_STEPS)[1])


def _with_outputs(model: onnx.ModelProto, names: dict[str, Range]) -> onnx.ModelProto:
    """Return a copy that also returns its inner tensors."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    there = {tensor.name for tensor in model.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
    return copy


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Feeds the calibrator one by one."""

    def __init__(self, feeds: Iterator[Feed]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feed | None:
        """Return the next input, or None at the end."""
        return next(self._feeds, None)
