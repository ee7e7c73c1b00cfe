"""The persons that a conversion needs: training persons to calibrate, held-out ones to measure."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_pose.errors import EdgePoseError
from training.checkpoint import unpack_persons
from training.datasets import DatasetError, Person, load_dataset
from training.datasets.generated import is_generated, write_generated

log = logging.getLogger(__name__)

SETS = ("mpii", "lspet")
MIN_GATE_PERSONS = 100
GENERATED_GATE_PERSONS = 120
GENERATED_GATE_SCENES = 60
SCENE_PX = (480, 320)
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
        gate: at least 100 persons who are held out from training.
        root: folder with the data sets that `gate` is of, `<root>/<data set>`.
        sets: their names in training.datasets.
        scratch: an empty folder for pictures that are drawn.
    """

    calibration: Group
    gate: Group
    root: Path
    sets: tuple[str, ...]
    scratch: Path

    def without(self, trained_on: Mapping[str, str]) -> ConversionData:
        """Return the data whose gate has nobody that a checkpoint was trained on.

        Args:
            trained_on: per data set the persons, see training.checkpoint.pack_persons.

        Raises:
            CheckpointError: `trained_on` is no such table.
        """
        # MPII's validation persons are never trained on, and its files number people differently.
        seen = {name: unpack_persons(trained_on.get(name, "")) for name in self.sets}
        seen["mpii"] = set()
        persons = tuple(p for p in self.gate.persons if p.index not in seen[p.dataset])
        if len(persons) >= MIN_GATE_PERSONS:
            return replace(self, gate=replace(self.gate, persons=persons))
        log.warning("gate: the checkpoint was trained on nearly everybody held out")
        return self.drawn()

    def drawn(self, people: int = 1) -> ConversionData:
        """Return data whose gate are drawn persons, up to `people` of them in a picture."""
        folder = self.scratch / f"drawn_{people}"
        if people == 1:
            write_generated(folder, 0, GENERATED_GATE_PERSONS)
        else:
            write_generated(folder, 0, GENERATED_GATE_SCENES, size=SCENE_PX, people=people)
        persons = tuple(load_dataset("mpii", folder))
        return replace(self, gate=Group(GENERATED, persons), root=folder, sets=("mpii",))


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
    with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder:
        scratch = Path(folder)
        if generated or data is None:
            data = scratch
        if generated:
            write_generated(data, n_images, GENERATED_GATE_PERSONS)
        real = _load(data)
        calibration = _group({k: [p for p in v if not p.held_out] for k, v in real.items()})
        gate = _group({k: _measurable(v) for k, v in real.items()})
        sets = tuple(people[0].dataset for people in real.values())
        found = ConversionData(calibration, gate, data, sets, scratch)
        if len(gate.persons) < MIN_GATE_PERSONS:
            found = found.drawn()
            count = len(found.gate.persons)
            log.warning("gate: no held-out persons at hand, measuring on %d drawn", count)
        yield found


def _load(data: Path) -> dict[str, list[Person]]:
    """Return everybody by the name that the manifest shall give."""
    names = {"mpii": GENERATED} if is_generated(data) else {}
    return {names.get(n, n): load_dataset(n, data) for n in SETS if (data / n).is_dir()}


def _group(people: Mapping[str, Sequence[Person]]) -> Group:
    some = {name: persons for name, persons in people.items() if persons}
    return Group("+".join(some), tuple(p for persons in some.values() for p in persons))


def _measurable(people: Sequence[Person]) -> list[Person]:
    """Return those held out, with the length that the metric divides by."""
    return [p for p in people if p.held_out and np.isfinite(p.unit_px) and p.unit_px > 0]


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
