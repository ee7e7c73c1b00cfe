"""Pictures of a run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from training.checkpoint import CheckpointError


def read_log(log: Path) -> list[dict[str, Any]]:
    """Return the epochs of a run's log.jsonl.

    Raises:
        CheckpointError: it is missing, empty or not JSON lines.
    """
    try:
        epochs = [json.loads(line) for line in log.read_text("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise CheckpointError(f"{log}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError(f"{log}: not a training log: {error}") from None
    if not epochs or not all(isinstance(e, dict) and "loss" in e for e in epochs):
        raise CheckpointError(f"{log}: not a training log: no epoch with a loss in it")
    return epochs


def plot_log(log: Path, out: Path) -> Path:
    """Draw loss, learning rate, input size and held-out accuracy against epochs; returns `out`.

    Raises:
        CheckpointError: the log cannot be read.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs = read_log(log)
    number = [e["epoch"] for e in epochs]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    loss_axes = figure.add_subplot()
    loss_axes.plot(number, [e["loss"] for e in epochs], color="tab:blue", label="training loss")
    loss_axes.set_xlabel("epoch")
    loss_axes.set_ylabel("loss", color="tab:blue")
    for before, after in pairwise(epochs):
        if before["input_side"] != after["input_side"]:
            loss_axes.axvline(before["epoch"] + 0.5, color="0.7", linestyle=":")
            loss_axes.text(
                before["epoch"] + 0.7,
                0.02,
                f"{after['input_side']} px",
                transform=loss_axes.get_xaxis_transform(),
            )
    measured = [e for e in epochs if "lspet_held_out" in e]
    if measured:
        axes = loss_axes.twinx()
        values = [e["lspet_held_out"]["mean14"] for e in measured]
        axes.plot([e["epoch"] for e in measured], values, "o-", color="tab:orange")
        axes.set_ylabel("held-out LSPET, PCK@0.2, %", color="tab:orange")
    loss_axes.set_title(f"{epochs[-1]['minutes']:.0f} minutes, last loss {epochs[-1]['loss']:.3f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    return out
