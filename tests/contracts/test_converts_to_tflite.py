"""Networks become TFLite in float32, and in 8 bits whatever their family.

Untrained networks at the smallest input: what is tested is that operators are there and numbers
stay, not accuracy. LiteRT's converter takes a second per dozen layers, minutes for all networks
of the registry; here stands one network for each kind of block and each family, as shallow as it
goes. `scripts/convert_all.py --format tflite --precision fp32 --precision int8` converts them all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from converters import tflite_file, tflite_int8, torch_tflite
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import Prediction
from converters.manifest import describe
from edge_pose.artifact import Artifact
from edge_pose.backends import open_backend
from edge_pose.backends.tflite import open_graph
from edge_pose.preprocess import to_tensor
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo
from training.models.lite_hrnet import LiteHRNet, LiteHRNetConfig
from training.registry import MODELS, get_model, model_names

SIDE = 64  # px
N_CROPS = 16
SHALLOW = {"inplanes": 16, "num_feats": 32, "depth": 1, "stacks": 1}
# Block kinds and families, and what makes their network small.
REPRESENTATIVES: dict[str, dict[str, object]] = {
    "hourglass_1stack": SHALLOW,
    "hourglass_168_resconcat_narrowres": SHALLOW | {"stacks": 2},  # two stacks are its point
    "hourglass_ghost": SHALLOW,
    "hourglass_shuffle": SHALLOW,
    "hourglass_dice": SHALLOW,
    "hourglass_dilated_separable": SHALLOW,
    "hourglass_multidilated": SHALLOW,
    "center_hourglass_s": {},  # hourglass_lite_s with a detector's head
    "efficient_hrnet_hm4": {},
    "lite_hrnet_18": {},
}
# Lite-HRNet's registered functions have no such argument: one module in place of two, four, two.
LITE_HRNET = LiteHRNetConfig(num_keypoints=16, modules=(1, 1, 1))


@dataclass(frozen=True)
class Case:
    model: nn.Module
    info: CheckpointInfo
    crops: Image

    def expected(self) -> list[FloatArray]:
        """What torch says of the first crop."""
        image = torch.from_numpy(to_tensor(self.crops[:1], self.info.input_spec))
        with torch.no_grad():
            return [y.numpy() for y in Prediction(self.model, self.info.entry.task)(image)]

    def found(self, converted: Converted) -> list[FloatArray]:
        """What the runtime says of it."""
        calibration = CalibrationSet("noise", self.crops) if converted.method else None
        manifest = describe(self.model, self.info, "ab" * 32, converted, calibration)
        artifact = Artifact(Path(manifest.name), manifest, converted.model)
        with closing(open_backend(artifact, threads=1)) as backend:
            return backend.run(to_tensor(self.crops[:1], manifest.input.spec))


def settled(model: nn.Module, image: torch.Tensor) -> nn.Module:
    """Let normalisation see its statistics."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch has to do, or deep networks say nearly nothing
    with torch.no_grad():
        model.train()(image)
    return model.eval()


@pytest.fixture(scope="module")
def crops(need: Callable[[str], ModuleType]) -> Image:
    need("litert_torch")
    need("ai_edge_quantizer")
    cells = np.random.default_rng(0).integers(0, 256, (N_CROPS, 8, 8, 3), np.uint8)
    return cells.repeat(8, 1).repeat(8, 2)


@pytest.fixture(scope="module", params=REPRESENTATIVES)
def case(request: pytest.FixtureRequest, crops: Image) -> Case:
    name = request.param
    get_model(name)
    info = CheckpointInfo(name, "logits", (SIDE, SIDE), model_args=REPRESENTATIVES[name])
    torch.manual_seed(0)
    model = LiteHRNet(LITE_HRNET) if name == "lite_hrnet_18" else info.build()
    image = torch.from_numpy(to_tensor(crops, info.input_spec))
    return Case(settled(model, image), info, crops)


@pytest.fixture(scope="module")
def floating(case: Case) -> Converted:
    return torch_tflite.convert(case.model, case.info, None, Options())


def test_float32_equals_torch(case: Case, floating: Converted) -> None:
    for ours, theirs in zip(case.expected(), case.found(floating), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4 * np.abs(ours).max())


def test_int8_follows_torch(
    case: Case, floating: Converted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_tflite, "export", lambda *_: floating.model)  # made already
    calibration = CalibrationSet("noise", case.crops)
    # Each picture of noise is as odd as any other: none is left out of the ranges.
    options = Options(method="min_max")
    converted = tflite_int8.convert(case.model, case.info, calibration, options)
    for ours, theirs in zip(case.expected(), case.found(converted), strict=True):
        # Noise through an untrained network shows rounding at its worst: of all networks here
        # EfficientHRNet has 0.76 to 0.9, trained 0.998. A wrong scale or operator leaves nothing.
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.7
    weighted = [o for o in tflite_file.operators(converted.model) if o.kind in tflite_file.WEIGHTED]
    assert all(o.integer for o in weighted if not o.head)


@pytest.mark.parametrize("case", ["center_hourglass_s", "efficient_hrnet_hm4"], indirect=True)
def test_integer_outputs_have_a_scale_for_each_kind_of_channels(case: Case) -> None:
    calibration = CalibrationSet("noise", case.crops)
    options = Options(method="min_max", integer_io=True)
    converted = tflite_int8.convert(case.model, case.info, calibration, options)
    assert all(o.integer for o in tflite_file.operators(converted.model))
    images = torch.from_numpy(to_tensor(case.crops, case.info.input_spec))
    with torch.no_grad():
        wanted = [part.numpy() for part in case.model.parts(images)]
    for output, values in zip(converted.graph.outputs, wanted, strict=True):
        assert (output.dtype, output.shape[3]) == ("int8", values.shape[1])
        assert output.quantization is not None
        # Zero always has a number of its own, so that a range reaches there.
        reach = max(values.max(), 0) - min(values.min(), 0)
        assert 255 * output.quantization.scale == pytest.approx(reach, rel=0.02)
    for ours, theirs in zip(case.expected(), case.found(converted), strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.7


def test_a_classifier_becomes_a_file_too(crops: Image) -> None:
    entry = get_model("efficientnet_bm4")
    info = CheckpointInfo(entry.name, "logits", (SIDE, SIDE), model_args={"classes": 10})
    torch.manual_seed(0)
    image = torch.from_numpy(to_tensor(crops, info.input_spec))
    model = settled(info.build(), image)
    content = torch_tflite.export(Prediction(model, "classifier"), image[:1], ["classes"])
    with closing(open_graph(content, 1, "classifier")) as graph:
        (found,) = graph.run(to_tensor(crops[:1], replace(info.input_spec, layout="nhwc")))
    with torch.no_grad():
        expected = model(image[:1])[-1].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_every_family_is_represented() -> None:
    modules = (MODELS[name].build.__module__ for name in model_names())
    families = {module for module in modules if module.startswith("training.")}  # no test's own
    represented = {MODELS[name].build.__module__ for name in REPRESENTATIVES}
    others = {get_model(name).build.__module__ for name in ("hourglass_lite_s", "efficientnet_bm4")}
    assert families - represented == others
