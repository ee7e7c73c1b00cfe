"""Data sets in their owners' layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_pose.lookup import lookup
from training.datasets.base import DatasetError, Person, require
from training.datasets.coco import load_coco
from training.datasets.lspet import load_lspet
from training.datasets.mpii import load_mpii

DATASETS: dict[str, Callable[[Path], list[Person]]] = {
    "mpii": load_mpii,
    "lspet": load_lspet,
    "coco": load_coco,
}


def load_dataset(name: str, data: Path) -> list[Person]:
    """Read data set `name` from the folder `data/name`.

    Raises:
        UsageError: the name is unknown.
        DatasetError: the folder is missing, damaged or has no person in it.
    """
    load = lookup(DATASETS, name, "data set")
    folder = require(data / name, f"expected a folder with {', '.join(DATASETS)} in it")
    persons = load(folder)
    if not persons:
        raise DatasetError(f"{folder}: no annotated person whose picture is there")
    return persons


__all__ = ["DATASETS", "DatasetError", "Person", "load_dataset"]
