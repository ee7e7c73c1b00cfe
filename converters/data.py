"""The persons that a conversion needs: training persons to calibrate, held-out ones to measure."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_pose.errors import EdgePoseError
from training.datasets import DatasetError, Person, load_dataset
from training.datasets.generated import is_generated, write_generated

log = logging.getLogger(__name__)

SETS = ("mpii", "lspet")
MIN_GATE_PERSONS = 100
GENERATED_GATE_PERSONS = 120
GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class Group:
    """Persons and where they come from.

    Attributes:
        dataset: name for the manifest.
        persons: annotated persons; empty where there is no data for the purpose.
    """

    dataset: str
    persons: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class ConversionData:
    """What `open_data` finds.

    Attributes:
        calibration: training persons.
        gate: at least 100 persons that no training saw.
    """

    calibration: Group
    gate: Group


@contextmanager
def open_data(data: Path | None, *, generated: bool, n_images: int) -> Iterator[ConversionData]:
    """Collect persons; drawn ones live in a temporary folder while the context is open.

    Args:
        data: folder with mpii/, lspet/ or both; None or neither of them: the gate measures on
            drawn people, and there is nothing to calibrate with.
        generated: take drawn people for everything, whatever `data` holds.
        n_images: drawn people to calibrate with.

    Raises:
        DatasetError: a data set is damaged, or `data` is not a folder.
    """
    if data is not None and not generated and not data.is_dir():
        raise DatasetError(f"{data}: no such folder, expected one with {' or '.join(SETS)} in it")
    real = {} if generated or data is None else _load(data)
    calibration = Group(
        "+".join(real), tuple(p for people in real.values() for p in people if not p.held_out)
    )
    gate = _gate_group(real)
    if gate is not None and not generated:
        yield ConversionData(calibration, gate)
        return
    with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder:
        drawn = _draw(Path(folder), n_images if generated else 0)
        if not generated:
            log.warning("gate: no held-out persons at hand, measuring on %d drawn", len(drawn))
        held_out = Group(GENERATED, tuple(p for p in drawn if p.held_out))
        if generated:
            calibration = Group(GENERATED, tuple(p for p in drawn if not p.held_out))
        yield ConversionData(calibration, held_out)


def _load(data: Path) -> dict[str, list[Person]]:
    found = [name for name in SETS if (data / name).is_dir()]
    names = {"mpii": GENERATED} if is_generated(data) else {}
    return {names.get(name, name): load_dataset(name, data) for name in found}


def _gate_group(real: dict[str, list[Person]]) -> Group | None:
    for dataset, people in real.items():
        held_out = [p for p in people if p.held_out]
        measurable = tuple(p for p in held_out if np.isfinite(p.unit_px) and p.unit_px > 0)
        if len(measurable) >= MIN_GATE_PERSONS:
            return Group(dataset, measurable)
    return None


def _draw(folder: Path, n_train: int) -> list[Person]:
    write_generated(folder, n_train, GENERATED_GATE_PERSONS)
    return load_dataset("mpii", folder)


def need_calibration(group: Group) -> Group:
    """Return the group if it has anyone in it.

    Raises:
        EdgePoseError: it is empty; the message says how to get pictures.
    """
    if group.persons:
        return group
    raise EdgePoseError(
        f"calibration: no training pictures, give --data a folder with {' or '.join(SETS)} in it,"
        " or --generated to try it out with drawn people"
    )
