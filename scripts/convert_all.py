"""Convert every registered network to one format and compare the result with torch.

    python scripts/convert_all.py --format tflite --precision fp32 --precision int8 --out FOLDER

Networks are untrained; each is small by default: 64 px, and few channels where its family has that
option. It shows that every operator is there and that numbers stay; accuracy is the gates' job.
Classifiers have no artifacts and are left out of all formats but TFLite in float, whose converter
takes any module.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from training.checkpoint import CheckpointInfo

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # also from a checkout that is not installed

SCHEMA = "edge_pose.conversions/1"
SMALL_PX = 64  # the least that the deepest hourglass takes
N_CROPS = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One conversion.

    Attributes:
        model: registry name.
        task: see training.registry.
        precision: of the file.
        input_size: (w, h) px.
        seconds: that the conversion took.
        size_bytes: of the file or files.
        difference: largest difference from torch over torch's largest value.
        correlation: the least of all outputs' correlations with torch.
        error: why there is no file; empty where there is one.
    """

    model: str
    task: str
    precision: str
    input_size: tuple[int, int]
    seconds: float = 0.0
    size_bytes: int = 0
    difference: float = float("nan")
    correlation: float = float("nan")
    error: str = ""


def small_arguments(name: str) -> dict[str, object]:
    """Return arguments that make a network quick to convert, where its family has such."""
    hourglass = name.startswith("hourglass_") and "_lite" not in name
    return {"inplanes": 16, "num_feats": 32, "depth": 2} if hourglass else {}


def network(name: str, *, full: bool) -> tuple[nn.Module, CheckpointInfo, NDArray[np.uint8]]:
    """Return an untrained network whose normalisation knows its own statistics, and crops."""
    import numpy as np
    import torch
    from torch import nn

    from edge_pose.preprocess import to_tensor
    from training.checkpoint import CheckpointInfo
    from training.registry import get_model

    entry = get_model(name)
    small = not full and entry.task != "classifier"
    size = (SMALL_PX, SMALL_PX) if small else entry.input_size
    arguments = {} if full else small_arguments(name)
    info = CheckpointInfo(name, entry.heatmap_kind, size, model_args=arguments)
    cells = np.random.default_rng(0).integers(0, 256, (N_CROPS, 9, 9, 3), np.uint8)
    crops = cells.repeat(-(-size[1] // 9), 1).repeat(-(-size[0] // 9), 2)
    crops = np.ascontiguousarray(crops[:, : size[1], : size[0]])
    torch.manual_seed(0)
    model = info.build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch has to do, or deep networks say nearly nothing
    batch = crops[: 2 if full else N_CROPS]
    with torch.no_grad():
        model.train()(torch.from_numpy(to_tensor(batch, info.input_spec)))
    return model.eval(), info, crops


def attempt(name: str, file_format: str, precision: str, *, full: bool) -> Row:
    """Convert one network and compare the file's outputs with torch's."""
    from edge_pose.errors import EdgePoseError
    from training.registry import get_model

    task = get_model(name).task
    model, info, crops = network(name, full=full)
    row = Row(name, task, precision, info.input_size)
    start = time.perf_counter()
    try:
        if task == "classifier":
            found, size = classifier_outputs(model, info, crops, file_format, precision)
        else:
            found, size = artifact_outputs(model, info, crops, file_format, precision)
    except EdgePoseError as error:
        return replace(row, error=str(error))
    took = time.perf_counter() - start
    expected = torch_outputs(model, info, crops)
    difference, correlation = compare(expected, found)
    return replace(
        row, seconds=took, size_bytes=size, difference=difference, correlation=correlation
    )


def torch_outputs(
    model: nn.Module, info: CheckpointInfo, crops: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    """Return what the network itself predicts for the first crop."""
    import torch

    from converters.export_graph import Prediction
    from edge_pose.preprocess import to_tensor

    image = torch.from_numpy(to_tensor(crops[:1], info.input_spec))
    with torch.no_grad():
        return [output.numpy() for output in Prediction(model, info.entry.task)(image)]


def artifact_outputs(
    model: nn.Module,
    info: CheckpointInfo,
    crops: NDArray[np.uint8],
    file_format: str,
    precision: str,
) -> tuple[list[NDArray[np.float32]], int]:
    """Return what the artifact says of the first crop, and the size of its files."""
    from converters import CONVERTERS
    from converters.base import Options
    from converters.calibration import CalibrationSet
    from converters.manifest import describe
    from edge_pose.artifact import Artifact
    from edge_pose.backends import open_backend
    from edge_pose.lookup import lookup
    from edge_pose.preprocess import to_tensor

    table = {" ".join(key): entry for key, entry in CONVERTERS.items()}
    entry = lookup(table, f"{file_format} {precision}", "converter")
    calibration = CalibrationSet("noise", crops) if entry.calibrated else None
    converted = entry.load()(model, info, calibration, Options())
    manifest = describe(model, info, "0" * 64, converted, calibration)
    artifact = Artifact(Path(manifest.name), manifest, converted.model, converted.weights)
    with closing(open_backend(artifact, threads=1)) as backend:
        outputs = backend.run(to_tensor(crops[:1], manifest.input.spec))
    return outputs, manifest.file.total_bytes


def classifier_outputs(
    model: nn.Module,
    info: CheckpointInfo,
    crops: NDArray[np.uint8],
    file_format: str,
    precision: str,
) -> tuple[list[NDArray[np.float32]], int]:
    """Return what a classifier's TFLite file says of the first crop, and its size."""
    import torch

    from converters import torch_tflite
    from converters.export_graph import Prediction
    from edge_pose.backends.tflite import open_graph
    from edge_pose.errors import UsageError
    from edge_pose.preprocess import to_tensor

    if (file_format, precision) != ("tflite", "fp32"):
        raise UsageError("a classifier has no artifact")
    width, height = info.input_size
    example = torch.zeros(1, 3, height, width)
    content = torch_tflite.export(Prediction(model, "classifier"), example, ["classes"])
    tensor = to_tensor(crops[:1], replace(info.input_spec, layout="nhwc"))
    with closing(open_graph(content, 1, info.model)) as graph:
        return graph.run(tensor), len(content)


def compare(
    expected: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]]
) -> tuple[float, float]:
    """Return the largest difference and the lowest correlation of all outputs."""
    import numpy as np

    pairs = list(zip(expected, found, strict=True))
    differences = [np.abs(theirs - ours).max() / np.abs(ours).max() for ours, theirs in pairs]
    correlations = [np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] for ours, theirs in pairs]
    return float(max(differences)), float(min(correlations))


def markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    lines = [
        "| network | task | precision | input px | s | MB | difference | correlation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        size = "×".join(map(str, row.input_size))
        start = f"| {row.model} | {row.task} | {row.precision} | {size} | "
        if row.error:
            lines.append(f"{start}{row.error} | | | |")
            continue
        lines.append(
            f"{start}{row.seconds:.1f} | {row.size_bytes / 1e6:.2f} | {row.difference:.1e} |"
            f" {row.correlation:.4f} |"
        )
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--format", "file_format", required=True, help="onnx, openvino or tflite.")
@click.option("--precision", "precisions", multiple=True, default=("fp32",), show_default=True)
@click.option("--model", "models", multiple=True, help="Registry names; all by default.")
@click.option("--full", is_flag=True, help="Networks as registered, at their own input size.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for conversions.json and .md.")
def main(
    file_format: str,
    precisions: tuple[str, ...],
    models: tuple[str, ...],
    full: bool,
    out: Path | None,
) -> None:
    """Convert every registered network and compare the results with torch."""
    from training.registry import model_names

    rows: list[Row] = []
    for name in models or model_names():
        for precision in precisions:
            click.echo(f"{name} {precision}", err=True)
            rows.append(attempt(name, file_format, precision, full=full))
            if out is not None:  # after each: a sweep takes long and may be interrupted
                write(out, file_format, rows)
    click.echo(markdown(rows), nl=False)
    if failed := sum(bool(row.error) and row.task != "classifier" for row in rows):
        raise SystemExit(f"{failed} of {len(rows)} conversions failed")


def write(out: Path, file_format: str, rows: Sequence[Row]) -> None:
    """Write the tables."""
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"schema": SCHEMA, "format": file_format}
    report["rows"] = [asdict(row) for row in rows]
    (out / "conversions.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (out / "conversions.md").write_text(markdown(rows), "utf-8")


if __name__ == "__main__":
    main()
