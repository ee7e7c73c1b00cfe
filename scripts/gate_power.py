"""How small a damage the gate refuses: the figures behind docs/converting.md.

    python scripts/gate_power.py --data FOLDER

One network of each family is converted to ONNX fp32. What that artifact returns gets a fault of
known strength, and is held to the float checkpoint by the limits of int8. Of each fault, the
strongest that passes and the weakest that is refused are found by bisection.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # also where nothing is installed

from gate_faults import FAULTS, INPUT_FAULTS, Array, Fault, Maps, Setting  # noqa: E402

from converters import CONVERTERS  # noqa: E402
from converters.base import Options  # noqa: E402
from converters.calibration import CalibrationSet  # noqa: E402
from converters.data import open_data  # noqa: E402
from converters.folder import check_file, write_file  # noqa: E402
from converters.gates import LIMITS  # noqa: E402
from converters.job import Job  # noqa: E402
from converters.manifest import describe  # noqa: E402
from edge_pose.artifact import Artifact  # noqa: E402
from edge_pose.backends import open_backend  # noqa: E402
from edge_pose.backends.base import Backend  # noqa: E402
from edge_pose.errors import EdgePoseError  # noqa: E402
from edge_pose.manifest import Gate  # noqa: E402
from training.predictors import Tensor  # noqa: E402

SCHEMA = "edge_pose.gate_power/1"
OUT = ROOT / "benchmarks" / "results" / "gate_power.json"
NETWORKS = ("hourglass_lite_s", "center_hourglass_s", "efficient_hrnet_hm4")
WEIGHTS = ROOT / "training" / "weights"
PRECISION = "int8"
N_IMAGES = 256
PAIR = ("left_wrist", "right_wrist")
SIDES = (3, 4)  # channels of a detector: width and height of the box
Damage = Callable[[Tensor, int], Maps]


@dataclass(frozen=True, slots=True)
class Row:
    """What a fault came to.

    Attributes:
        fault: see FAULTS.
        passes: strongest that passes; None: none does.
        refused: weakest that does not; None: all pass.
        reasons: of that refusal.
    """

    fault: str
    passes: float | None
    refused: float | None
    reasons: tuple[str, ...] = ()


class Faulty:
    """A runtime that returns what another one returns, with a fault in it; see Backend."""

    def __init__(self, backend: Backend, damage: Damage) -> None:
        self.name, self.version, self.device = backend.name, backend.version, backend.device
        self._damage, self._seen = damage, 0

    def run(self, tensor: Tensor) -> Maps:
        """Run the next picture."""
        outputs = self._damage(tensor, self._seen)
        self._seen += 1
        return [output[None] for output in outputs]

    def close(self) -> None:
        """Do nothing: the runtime behind is closed by its owner."""


class Bench:
    """A float artifact whose outputs on the gate's pictures are known.

    Args:
        job: of its checkpoint.
        artifact: in float.
        backend: that runs it.
    """

    def __init__(self, job: Job, artifact: Artifact, backend: Backend) -> None:
        self.job, self.artifact, self.backend = job, artifact, backend
        self.pictures: list[Maps] = []
        self.clean = self.gate(self._record)
        stacked = [np.stack(outputs) for outputs in zip(*self.pictures, strict=True)]
        spread = [maps.std(axis=(0, 2, 3), keepdims=True)[0] for maps in stacked]
        manifest = artifact.manifest
        names = manifest.keypoint_format.keypoints
        detects = manifest.task == "detector"
        self.setting = Setting(
            task=manifest.task,
            logits=manifest.decoder.kind == "logits",
            channels=SIDES if detects else (names.index(PAIR[0]), names.index(PAIR[1])),
            input_px=manifest.input.size[0],
            spread=spread,
            pictures=self.pictures,
            index=0,
        )

    def _record(self, tensor: Tensor, _: int) -> Maps:
        self.pictures.append([output[0] for output in self.backend.run(tensor)])
        return self.pictures[-1]

    def gate(self, damage: Damage) -> Gate:
        """Hold damaged outputs to the checkpoint."""
        faulty = Faulty(self.backend, damage)
        return self.job.yardstick.gate(self.artifact, faulty, LIMITS[PRECISION])

    def with_fault(self, name: str, strength: float) -> Gate:
        """Return the report of the artifact with a fault."""
        if name == "calibration":
            return self._calibrated_on_darker(strength)
        plant, mean, std = FAULTS[name].plant, *self._normalisation()

        def damaged(tensor: Tensor, index: int) -> Maps:
            setting = replace(self.setting, index=index)
            if plant is not None:
                outputs = [output.copy() for output in self.pictures[index]]
                return plant(outputs, strength, setting)
            changed = INPUT_FAULTS[name](tensor[0], strength, setting, mean, std)
            if np.array_equal(changed, tensor[0]):
                return self.pictures[index]
            return [output[0] for output in self.backend.run(np.ascontiguousarray(changed[None]))]

        return self.gate(damaged)

    def _normalisation(self) -> tuple[Array, Array]:
        spec = self.artifact.manifest.input.spec
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (spec.mean, spec.std))
        return mean, std

    def _calibrated_on_darker(self, factor: float) -> Gate:
        job = self.job
        drawn = job.calibration(N_IMAGES)
        dark = replace(drawn, crops=(drawn.crops * factor).astype(np.uint8))
        with converted(job, PRECISION, dark) as (artifact, backend):
            return job.yardstick.gate(artifact, backend, LIMITS[PRECISION])


@contextmanager
def converted(
    job: Job, precision: str, calibration: CalibrationSet | None = None
) -> Iterator[tuple[Artifact, Backend]]:
    """Convert to ONNX and open the result."""
    convert = CONVERTERS["onnx", precision].load()
    result = convert(job.model, job.info, calibration, Options())
    manifest = describe(job.model, job.info, job.sha256, result, calibration)
    artifact = Artifact(Path(), manifest, result.model, result.weights)
    with closing(open_backend(artifact)) as backend:
        yield artifact, backend


def edge(name: str, fault: Fault, gate_of: Callable[[str, float], Gate]) -> Row:
    """Find where a fault begins to be refused: the stronger, the worse."""
    low, high, reasons = -1, len(fault.strengths), ()
    while high - low > 1:
        middle = (low + high) // 2
        gate = gate_of(name, fault.strengths[middle])
        if gate.passed:
            low = middle
        else:
            high, reasons = middle, gate.reasons
    passes = fault.strengths[low] if low >= 0 else None
    refused = fault.strengths[high] if high < len(fault.strengths) else None
    return Row(name, passes, refused, reasons)


def measure(checkpoint: Path, data: Path | None, names: Sequence[str]) -> dict[str, Any]:
    """Plant every fault in one network.

    Raises:
        EdgePoseError: checkpoint or data are not fit, or the gate refuses the artifact as it is.
    """
    with open_data(data, generated=data is None, n_images=N_IMAGES) as found:
        job = Job(checkpoint, found)
        with converted(job, "fp32") as (artifact, backend):
            bench = Bench(job, artifact, backend)
            if not bench.clean.passed:
                raise EdgePoseError(f"{checkpoint}: without a fault: {bench.clean.reasons}")
            rows = []
            for name in names:
                rows.append(edge(name, FAULTS[name], bench.with_fault))
                click.echo(f"{job.info.model}: {rows[-1]}", err=True)
    clean = bench.clean
    return {
        "model": job.info.model,
        "task": artifact.manifest.task,
        "checkpoint_sha256": job.sha256,
        "dataset": clean.dataset,
        "n_persons": clean.n_persons,
        "n_pictures": len(bench.pictures),
        "rows": [asdict(row) for row in rows],
    }


@click.command()
@click.option("--checkpoint", "checkpoints", type=click.Path(path_type=Path), multiple=True)
@click.option("--data", type=click.Path(path_type=Path), envvar="EDGE_POSE_DATA")
@click.option("--generated", is_flag=True, help="Drawn people instead of --data.")
@click.option("--fault", "names", type=click.Choice(list(FAULTS)), multiple=True)
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True,
              help="Written when everything is measured.")  # fmt: skip
def main(
    checkpoints: tuple[Path, ...],
    data: Path | None,
    generated: bool,
    names: tuple[str, ...],
    out: Path,
) -> None:
    """Find the least damage that the gate refuses, for one network of each family."""
    if data is None and not generated:
        raise click.UsageError("--data is missing: a folder with data sets, or --generated")
    if (checkpoints or names or generated) and out.resolve() == OUT.resolve():
        raise click.UsageError("--out is missing: a part does not replace the committed figures")
    files = checkpoints or tuple(WEIGHTS / name / "checkpoint.safetensors" for name in NETWORKS)
    report = {
        "schema": SCHEMA,
        "precision": PRECISION,
        "limits": asdict(LIMITS[PRECISION]),
        "faults": {
            name: {"title": fault.title, "unit": fault.unit, "strengths": fault.strengths}
            for name, fault in FAULTS.items()
            if not names or name in names
        },
    }
    try:
        check_file(out)
        where, faults = None if generated else data, names or tuple(FAULTS)
        report["networks"] = [measure(file, where, faults) for file in files]
        write_file(out, (json.dumps(report, indent=1) + "\n").encode("utf-8"))
    except EdgePoseError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
