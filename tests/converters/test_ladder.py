"""The order of tries, on a scripted job; tests/converters/test_bad_input.py climbs for real."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from converters import CONVERTERS, Entry, ladder
from converters.base import Options
from converters.gates import Limits
from converters.job import Job
from converters.ladder import GateError, Rung, Trial, best_try, climb
from converters.settings import Settings
from converters.steps import LOGGED, Steps, Tick
from edge_pose.artifact import Artifact, load_artifact
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.manifest import Calibration, Gate

LAYERS = tuple(f"layer{i}" for i in range(20))
INT8 = Settings("int8", n_images=64)
Answer = Gate | EdgePoseError


def gate(fall: float, drift_px: float = 1.0, agreement: float = 0.95) -> Gate:
    """Return a report whose limits are a fall of 1, a drift of 6 px and an agreement of 0.75."""
    return Gate(
        passed=fall <= 1 and drift_px <= 6 and agreement >= 0.75,
        dataset="scripted",
        metric="PCKh@0.5",
        n_persons=100,
        checkpoint_accuracy=80.0,
        artifact_accuracy=80.0 - fall,
        limit_points=1.0,
        drift_p50_px=0.5,
        drift_p95_px=drift_px,
        limit_drift_px=6.0,
        argmax_agreement=agreement,
        min_agreement=0.75,
    )


@dataclass
class ScriptedJob:
    """Takes the place of a Job: gives the answer that the test planned for a rung."""

    artifact: Artifact
    answer: Callable[[Rung], Answer]
    n_calibration: int = 1000
    chosen: str = "a"  # method, where none is asked for
    tried: list[Rung] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)
    steps: Steps = LOGGED
    model: object = None
    info: Any = field(default_factory=lambda: SimpleNamespace(model="tiny"))

    def calibration(self, n_images: int) -> int:
        return n_images

    def convert(
        self, key: tuple[str, str], options: Options, n_images: int, limits: Limits
    ) -> tuple[Artifact, Gate]:
        rung = Rung(key[1], options.method, n_images, options.float_layers)
        self.tried.append(rung)
        self.limits.append(limits)
        answer = self.answer(rung)
        if isinstance(answer, EdgePoseError):
            raise answer
        manifest = self.artifact.manifest
        calibration = n_images and Calibration(
            dataset="scripted",
            n_images=n_images,
            sha256="ab" * 32,
            method=options.method or self.chosen,
            float_layers=options.float_layers,
        )
        update = {
            "name": f"tiny_{key[1]}",
            "file": manifest.file.model_copy(update={"precision": key[1]}),
            "calibration": calibration or None,
            "gate": answer,
        }
        return replace(self.artifact, manifest=manifest.model_copy(update=update)), answer


@pytest.fixture(autouse=True)
def ranked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Register a converter with three methods; list what its ranking was asked with."""
    asked: list[tuple[int, str]] = []

    def rank_layers(
        model: object, info: object, n: int, options: Options, tick: Tick
    ) -> tuple[str, ...]:
        asked.append((n, options.method))
        return LAYERS

    module = ModuleType("scripted_converter")
    vars(module).update(METHODS=("a", "b", "c"), rank_layers=rank_layers)
    monkeypatch.setitem(sys.modules, "scripted_converter", module)
    for precision in ("fp32", "fp16", "dynamic_int8", "int8"):
        entry = Entry("scripted_converter", calibrated=precision == "int8")
        monkeypatch.setitem(CONVERTERS, ("onnx", precision), entry)
    return asked


@pytest.fixture
def job(tiny_artifact: Path) -> Callable[..., ScriptedJob]:
    artifact = load_artifact(tiny_artifact)

    def make(answer: Callable[[Rung], Answer], n_calibration: int = 1000) -> ScriptedJob:
        return ScriptedJob(artifact, answer, n_calibration)

    return make


def climbed(job: ScriptedJob, settings: Settings = INT8) -> Artifact:
    return climb(cast("Job", job), settings)


MakeJob = Callable[..., ScriptedJob]


def test_what_passes_at_once_is_taken(job: MakeJob) -> None:
    scripted = job(lambda _: gate(0.5))
    artifact = climbed(scripted)
    assert scripted.tried == [Rung("int8", n_images=64)]
    (row,) = artifact.manifest.attempts
    assert (row.precision, row.method, row.n_images, row.float_layers) == ("int8", "a", 64, 0)
    assert (row.passed, row.artifact_accuracy, row.drift_p95_px) == (True, 79.5, 1.0)
    assert row.size_bytes == artifact.manifest.file.total_bytes


def test_everything_is_tried_in_order(
    job: MakeJob, ranked: list[tuple[int, str]], caplog: pytest.LogCaptureFixture
) -> None:
    scripted = job(lambda rung: gate(5.0 if rung.precision == "int8" else 0.0))
    with caplog.at_level(logging.WARNING):
        artifact = climbed(scripted)
    assert scripted.tried == [
        Rung("int8", "", 64),
        Rung("int8", "b", 64),
        Rung("int8", "c", 64),
        Rung("int8", "a", 128),
        Rung("int8", "a", 256),
        *(Rung("int8", "a", 64, LAYERS[:count]) for count in (1, 2, 4, 8)),  # half of 20 at most
        Rung("fp16"),
    ]
    assert ranked == [(64, "a")]
    assert [limits.points for limits in scripted.limits] == [1.5] * 9 + [0.5]
    assert artifact.manifest.file.precision == "fp16"
    assert [row.passed for row in artifact.manifest.attempts] == [False] * 9 + [True]
    assert [row.float_layers for row in artifact.manifest.attempts] == [0] * 5 + [1, 2, 4, 8, 0]
    assert "tiny_fp16: no int8 passes the gate, fell back to fp16" in caplog.text


def test_the_method_that_the_converter_chose_is_not_tried_again(
    job: MakeJob, ranked: list[tuple[int, str]]
) -> None:
    scripted = job(lambda rung: gate(0.0 if rung.float_layers else 5.0))
    scripted.chosen = "b"
    artifact = climbed(scripted)
    assert [rung.method for rung in scripted.tried] == ["", "c", "b", "b", "b"]
    assert [row.method for row in artifact.manifest.attempts] == ["b", "c", "b", "b", "b"]
    assert ranked == [(64, "b")]


def test_each_step_goes_on_from_the_best_try(job: MakeJob, ranked: list[tuple[int, str]]) -> None:
    def answer(rung: Rung) -> Gate:
        better = (rung.method == "b") + (rung.n_images == 128) + len(rung.float_layers) / 4
        return gate(4.0 - 1.2 * better)

    scripted = job(answer)
    artifact = climbed(scripted)
    assert scripted.tried[3:] == [
        Rung("int8", "b", 128),
        Rung("int8", "b", 256),
        Rung("int8", "b", 128, LAYERS[:1]),
        Rung("int8", "b", 128, LAYERS[:2]),
    ]
    assert ranked == [(128, "b")]
    assert artifact.manifest.gate is not None
    assert artifact.manifest.gate.passed
    assert len(artifact.manifest.attempts) == 7


@pytest.mark.parametrize(("there", "counts"), [(64, []), (100, [100]), (200, [128, 200])])
def test_no_more_pictures_than_there_are(job: MakeJob, there: int, counts: list[int]) -> None:
    scripted = job(lambda rung: gate(0.0 if rung.float_layers else 5.0), there)
    climbed(scripted)
    assert [rung.n_images for rung in scripted.tried[3:-1]] == counts


def test_one_try_only(job: MakeJob) -> None:
    scripted = job(lambda _: gate(5.0))
    with pytest.raises(GateError, match=r"^tiny_int8: gate failed.*nothing was written$") as caught:
        climbed(scripted, replace(INT8, ladder=False))
    assert len(scripted.tried) == len(caught.value.attempts) == 1
    assert not caught.value.attempts[0].passed


def test_nothing_helps(job: MakeJob) -> None:
    scripted = job(lambda rung: gate(3.0 if rung.precision == "fp16" else 5.0))
    with pytest.raises(GateError, match="tiny_fp16: none of 10 tries passed, the best: ") as caught:
        climbed(scripted)
    assert [row.precision for row in caught.value.attempts] == ["int8"] * 9 + ["fp16"]


def test_force_takes_the_best(job: MakeJob, caplog: pytest.LogCaptureFixture) -> None:
    scripted = job(lambda rung: gate(2.0 if rung.method == "c" else 5.0))
    with caplog.at_level(logging.WARNING):
        artifact = climbed(scripted, replace(INT8, force=True))
    assert artifact.manifest.calibration is not None
    assert artifact.manifest.calibration.method == "c"
    assert artifact.manifest.gate is not None
    assert not artifact.manifest.gate.passed
    assert len(artifact.manifest.attempts) == 10
    assert "--trust-ungated" in caplog.text


def test_what_cannot_be_converted_is_left_out(
    job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(rung: Rung) -> Answer:
        return EdgePoseError("too hard") if rung.method == "b" else gate(5.0 * (rung.method != "c"))

    artifact = climbed(job(answer))
    assert [row.method for row in artifact.manifest.attempts] == ["a", "c"]
    assert "int8 b 64 images: left out: too hard" in caplog.text


def test_an_error_of_the_first_try_is_no_matter_of_accuracy(job: MakeJob) -> None:
    scripted = job(lambda _: EdgePoseError("no such operator"))
    with pytest.raises(EdgePoseError, match=r"^no such operator$"):
        climbed(scripted)
    assert len(scripted.tried) == 1


def test_layers_that_cannot_be_ranked(
    job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> tuple[str, ...]:
        raise EdgePoseError("too little memory")

    monkeypatch.setattr(sys.modules["scripted_converter"], "rank_layers", fail)
    artifact = climbed(job(lambda rung: gate(5.0 if rung.precision == "int8" else 0.0)))
    assert artifact.manifest.file.precision == "fp16"
    assert "mixed precision: left out: too little memory" in caplog.text


@pytest.mark.parametrize(
    ("precision", "tried"),
    [("fp32", ["fp32"]), ("fp16", ["fp16"]), ("dynamic_int8", ["dynamic_int8", "fp16"])],
)
def test_other_precisions(job: MakeJob, precision: str, tried: list[str]) -> None:
    scripted = job(lambda _: gate(5.0))
    with pytest.raises(GateError):
        climbed(scripted, Settings(precision))
    assert scripted.tried == [Rung(name) for name in tried]


def test_a_format_without_fp16(job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CONVERTERS, ("onnx", "fp16"))
    scripted = job(lambda _: gate(5.0))
    with pytest.raises(GateError):
        climbed(scripted)
    assert {rung.precision for rung in scripted.tried} == {"int8"}


@pytest.mark.parametrize("precisions", [("int8",), ("bf16", "int8")])
def test_a_device_that_cannot_run_the_fallback(job: MakeJob, precisions: tuple[str, ...]) -> None:
    scripted = job(lambda rung: gate(5.0 if rung.precision == "int8" else 0.0))
    able = ", ".join(precisions)
    message = f"; no fp16 instead, the device computes in {able}; nothing was written$"
    with pytest.raises(GateError, match=message) as caught:
        climbed(scripted, replace(INT8, precisions=precisions))
    assert {rung.precision for rung in scripted.tried} == {"int8"}
    assert "\n" not in str(caught.value)


def test_a_processor_widens_the_fallback(job: MakeJob) -> None:
    scripted = job(lambda rung: gate(5.0 if rung.precision == "int8" else 0.0))
    artifact = climbed(scripted, replace(INT8, precisions=("fp32", "int8")))
    assert artifact.manifest.file.precision == "fp16"


def test_limits_of_the_caller(job: MakeJob) -> None:
    scripted = job(lambda _: gate(0.0))
    climbed(scripted, replace(INT8, limit_points=0.7, limit_drift_px=2.5))
    assert scripted.limits == [Limits(0.7, 2.5)]


@pytest.mark.parametrize(("ladder", "tries"), [(False, 1), (True, 9)])
def test_tries_for_a_table(job: MakeJob, ladder: bool, tries: int) -> None:
    """What fails is returned, and of its own precision: the other one has a row of its own."""
    scripted = job(lambda rung: gate(2.0 if rung.method == "c" else 5.0))
    artifact = best_try(cast("Job", scripted), replace(INT8, ladder=ladder, fall_back=False))
    assert artifact.manifest.gate is not None
    assert not artifact.manifest.gate.passed
    assert [row.precision for row in artifact.manifest.attempts] == ["int8"] * tries
    assert artifact.manifest.calibration is not None
    assert artifact.manifest.calibration.method == ("c" if ladder else "a")
    with pytest.raises(UsageError, match="converter 'onnx int4': unknown"):
        best_try(cast("Job", scripted), Settings("int4"))


@pytest.mark.parametrize(
    ("report", "miss"),
    [
        (gate(0.5), 0.5),
        (gate(-3.0, drift_px=3.0, agreement=1.0), 0.5),
        (gate(0.0, drift_px=9.0), 1.5),
        (gate(0.0, agreement=0.25), 3.0),
        (gate(0.0).model_copy(update={"limit_points": 0.0}), 0.2),
        (gate(0.0).model_copy(update={"map_correlation": 0.3, "min_correlation": 0.8}), 3.5),
        (gate(0.0).model_copy(update={"map_offset": 0.6, "max_offset": 0.2}), 3.0),
        (gate(0.0).model_copy(update={"lost_people": 0.1, "limit_people": 0.05}), 2.0),
        (gate(0.0).model_copy(update={"invented_people": 0.2, "limit_people": 0.05}), 4.0),
        (gate(0.0).model_copy(update={"map_gain": 0.25, "max_gain": 2.0}), 2.0),
        (gate(0.0).model_copy(update={"score_drift_p95": 0.6, "limit_score_drift": 0.2}), 3.0),
        (gate(0.0).model_copy(update={"same_side": 0.7, "min_same_side": 0.85}), 2.0),
        (gate(0.0).model_copy(update={"broken": True}), math.inf),
        (gate(0.0).model_copy(update={"artifact_accuracy": math.nan}), math.inf),
    ],
)
def test_how_far_a_gate_was_missed(report: Gate, miss: float, tiny_artifact: Path) -> None:
    trial = Trial(Rung("int8"), load_artifact(tiny_artifact), report)
    assert trial.miss == pytest.approx(miss)


def test_float_layers_are_bounded() -> None:
    assert max(ladder.FLOAT_LAYERS) <= 16
    assert len(ladder.FLOAT_LAYERS) + len(ladder.MORE_IMAGES) <= 8  # conversions take minutes
