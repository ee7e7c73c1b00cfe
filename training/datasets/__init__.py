"""Data sets in their owners' layouts, as they are downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_pose.lookup import lookup
from training.datasets.base import DatasetError, Person, require, with_pictures
from training.datasets.coco import read_coco
from training.datasets.flic import read_flic
from training.datasets.lsp import read_lsp
from training.datasets.lspet import read_lspet
from training.datasets.mpii import read_mpii

DATASETS: dict[str, Callable[[Path], list[Person]]] = {
    "mpii": read_mpii,
    "lsp": read_lsp,
    "lspet": read_lspet,
    "flic": read_flic,
    "coco": read_coco,
}
"""Name -> function that reads everybody that a folder's annotations name, pictures or not."""


def load_dataset(name: str, data: Path) -> list[Person]:
    """Read data set `name` from the folder `data/name`.

    A person whose picture is not there is left out, so that a part of a data set works too; the log
    says how many.

    Raises:
        UsageError: the name is unknown.
        DatasetError: the folder is missing, damaged or has no person in it.
    """
    read = lookup(DATASETS, name, "data set")
    folder = require(data / name, f"expected a folder with {', '.join(DATASETS)} in it")
    persons = with_pictures(read(folder))
    if not persons:
        raise DatasetError(f"{folder}: no annotated person whose picture is there")
    return persons


__all__ = ["DATASETS", "DatasetError", "Person", "load_dataset"]
