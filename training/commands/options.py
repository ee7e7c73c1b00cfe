"""Options and output that the subcommands share."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup

CONFIGS = Path(__file__).parents[1] / "configs"

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="EDGE_POSE_DATA",
    required=True,
    help="Folder with mpii/, lspet/, coco/ in it [env: EDGE_POSE_DATA].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)


def show(values: Mapping[str, Any], as_json: bool) -> None:
    """Print a table as JSON, or as one line per key."""
    if as_json:
        click.echo(json.dumps(_finite(values)))
        return
    for key, value in values.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{k} {_number(v)}" for k, v in value.items())
        click.echo(f"{key}: {_number(value)}")


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace NaN, which JSON does not have, by null."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def recipe_file(recipe: str) -> Path:
    """Return the file of a recipe that is given by path or by its name in training/configs.

    Raises:
        UsageError: there is no recipe of this name.
    """
    names = {file.stem: file for file in sorted(CONFIGS.glob("*.toml"))}
    if recipe.endswith(".toml") or Path(recipe).is_file():
        return Path(recipe)
    return lookup(names, recipe, "recipe")


def device_kind(name: str) -> str:
    """Return "cuda" or "cpu" for what --device says.

    Raises:
        UsageError: torch sees no CUDA device.
    """
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("--device cuda: torch sees no CUDA device here, use --device cpu")
    return "cuda" if name == "cuda" or (name == "auto" and available) else "cpu"
