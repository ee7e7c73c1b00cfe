"""Count and time every registered network: the figures behind docs/models.md.

    python scripts/bench_networks.py

Each network is exported to ONNX in float32 at its own input size, untrained, and run by ONNX
Runtime on one thread, batch 1. The networks take turns round by round, so that a noisy machine
hurts all alike; the median of the rounds counts.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # also from a checkout that is not installed

SCHEMA = "edge_pose.networks/1"
OUT = ROOT / "benchmarks" / "results" / "networks.json"


def counts(name: str) -> dict[str, Any]:
    """Return what needs no clock: parameters and operations at the network's input size."""
    import torch

    from training.complexity import count
    from training.complexity_s3 import lite_hrnet_flops
    from training.registry import get_model

    entry = get_model(name)
    with torch.device("meta"):
        model = entry.build()
        complexity = count(model, entry.input_size)
        s3 = s3_flops(entry.task, model, entry.input_size)
    if "lite_hrnet" in name:  # its counter runs the network
        s3 = lite_hrnet_flops(entry.build(), entry.input_size)
    return {
        "name": name,
        "task": entry.task,
        "input_size": list(entry.input_size),
        "summary": entry.summary,
        "paper": entry.paper,
        "s3_flops": s3,
        "s3_flops_binary": "lite_hrnet" in name,
        **asdict(complexity),
    }


def s3_flops(task: str, model: nn.Module, input_size: tuple[int, int]) -> int | None:
    """Return the operations by EfficientHRNet's document; None for networks that are not of it."""
    from training.complexity_efficient import classifier_operations, published_figures

    if task == "bottom_up":
        return published_figures(model, input_size)[1]
    return classifier_operations(model, input_size) if task == "classifier" else None


def export(name: str, folder: Path) -> Path:
    """Write a network to ONNX; a file that is there already is kept."""
    import torch

    from converters.quiet import quiet
    from training.registry import get_model

    file = folder / f"{name}.onnx"
    if not file.exists():
        entry = get_model(name)
        width, height = entry.input_size
        image = torch.zeros(1, 3, height, width)
        torch.manual_seed(0)
        temporary = file.with_suffix(".partial")
        with quiet():
            torch.onnx.export(
                entry.build().eval(),
                (image,),
                str(temporary),
                dynamo=True,
                opset_version=18,
                external_data=False,
                verbose=False,
            )
        temporary.replace(file)
    return file


def medians_ms(files: Sequence[Path], rounds: int) -> list[float]:
    """Return the median latency of each network."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = [
        onnxruntime.InferenceSession(str(f), options, providers=["CPUExecutionProvider"])
        for f in files
    ]
    rng = np.random.default_rng(0)
    feeds = [
        {(i := s.get_inputs()[0]).name: rng.normal(size=i.shape).astype(np.float32)}
        for s in sessions
    ]
    found: list[list[float]] = [[] for _ in sessions]
    for number in range(rounds + 1):
        for session, feed, times in zip(sessions, feeds, found, strict=True):
            start = time.perf_counter()
            session.run(None, feed)
            if number:  # the first round warms up
                times.append(1e3 * (time.perf_counter() - start))
    return [round(statistics.median(times), 3) for times in found]


@click.command()
@click.option("--rounds", type=click.IntRange(3), default=11, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=OUT)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps the ONNX files.")
def main(rounds: int, out: Path, cache: Path | None) -> None:
    """Count and time every registered network."""
    from benchmarks.environment import read_environment
    from training.registry import model_names

    names = model_names()
    with tempfile.TemporaryDirectory() as temporary:
        folder = cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows, files = [], []
        for name in names:
            click.echo(name, err=True)
            rows.append(counts(name))
            files.append(export(name, folder))
        times = medians_ms(files, rounds)
    report = {
        "schema": SCHEMA,
        "rounds": rounds,
        "threads": 1,
        "backend": "onnxruntime",
        "precision": "fp32",
        "environment": read_environment().model_dump(mode="json"),
        "networks": [{**row, "latency_ms": ms} for row, ms in zip(rows, times, strict=True)],
    }
    out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
