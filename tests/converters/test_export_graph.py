"""What is folded into a graph does what the runtime does outside of it."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters.export_graph import ExportGraph, Fold, export_graph
from converters.graph_decoder import HeatmapDecoder
from edge_pose.decoding.heatmap import WINDOW_RADIUS, decode_heatmaps
from edge_pose.errors import UsageError
from edge_pose.preprocess import to_tensor
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo
from training.registry import get_model

KINDS = ("logits", "gaussian")
SIZE = (10, 14)  # heatmap px, w and h
STRIDE = 4


def decode(heatmaps: FloatArray, kind: str) -> FloatArray:
    """(N, K, 3) of the graph."""
    (found,) = HeatmapDecoder(STRIDE, kind)((torch.from_numpy(heatmaps),))
    return found.numpy()


def check(heatmaps: FloatArray, kind: str) -> FloatArray:
    """Compare with the runtime and return what the graph says."""
    found = decode(heatmaps, kind)
    keypoints, scores = decode_heatmaps(heatmaps, STRIDE, kind)
    np.testing.assert_allclose(found[..., :2], keypoints, atol=1e-3)  # input px
    np.testing.assert_allclose(found[..., 2], scores, atol=1e-5)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_noise_decodes_the_same(kind: str) -> None:
    heatmaps = np.random.default_rng(1).standard_normal((3, 16, *SIZE[::-1])).astype(np.float32)
    assert np.ptp(check(3 * heatmaps, kind)[..., :2]) > STRIDE * SIZE[0] / 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_peak_at_every_place_borders_and_corners_too(kind: str) -> None:
    width, height = SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    rows, columns = y.reshape(-1, 1, 1), x.reshape(-1, 1, 1)
    # Not symmetric about its px, so that the place within it counts.
    bump = np.exp(-((x - columns - 0.2) ** 2 + (y - rows + 0.3) ** 2) / 3)
    heatmaps = (8 * bump if kind == "logits" else bump)[None].astype(np.float32)
    found = check(heatmaps, kind)[0]
    centers = (np.stack([columns, rows], axis=1)[..., 0, 0] + 0.5) * STRIDE - 0.5
    assert np.abs(found[:, :2] - centers).max() < STRIDE
    inner = (columns.ravel() >= WINDOW_RADIUS) & (columns.ravel() < width - WINDOW_RADIUS)
    assert (found[inner, 0] > centers[inner, 0]).all()  # towards 0.2 and not onto the px


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, -2.0, 7.0, -60000.0])
def test_flat_maps_decode_the_same(kind: str, value: float) -> None:
    check(np.full((1, 2, *SIZE[::-1]), value, np.float32), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_of_equal_peaks_the_first_counts(kind: str) -> None:
    heatmaps = np.zeros((1, 1, *SIZE[::-1]), np.float32)
    heatmaps[0, 0, 2, 7] = heatmaps[0, 0, 9, 3] = 9
    assert check(heatmaps, kind)[0, 0, :2] == pytest.approx((29.5, 9.5), abs=0.3)


def graph_of(name: str, fold: Fold) -> tuple[nn.Module, CheckpointInfo, ExportGraph]:
    torch.manual_seed(4)
    info = CheckpointInfo(name, "logits", (64, 64))
    model = info.build().eval()
    return model, info, export_graph(model, info, fold)


@pytest.mark.parametrize("name", ["tiny", "tiny_means"])
def test_folded_pixels_are_normalised_as_outside(name: str, crops: Image) -> None:
    model, info, graph = graph_of(name, Fold(pixels=True))
    assert (graph.input.dtype, graph.input.layout) == ("uint8", "nhwc")
    assert graph.contains == ("normalization",)
    pixels = to_tensor(crops[:3], graph.input.spec)
    assert pixels.dtype == np.uint8
    outside = torch.from_numpy(to_tensor(crops[:3], info.input_spec))
    with torch.no_grad():
        (found,) = graph.module(torch.from_numpy(pixels))
        expected: Tensor = model(outside)[-1]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_everything_folded_gives_keypoints(crops: Image) -> None:
    model, info, graph = graph_of("tiny_means", Fold(pixels=True, decoder=True))
    assert graph.contains == ("normalization", "decoder")
    (output,) = graph.outputs
    assert (output.name, output.layout, output.shape) == ("keypoints", "nkc", (1, 16, 3))
    assert (graph.decoder.name, graph.decoder.kind) == ("keypoints", "logits")
    with torch.no_grad():
        (found,) = graph.module(torch.from_numpy(to_tensor(crops[:2], graph.input.spec)))
        heatmaps = model(torch.from_numpy(to_tensor(crops[:2], info.input_spec)))[-1].numpy()
    keypoints, scores = decode_heatmaps(heatmaps, graph.decoder.stride)
    np.testing.assert_allclose(found[..., :2], keypoints, atol=0.02)
    np.testing.assert_allclose(found[..., 2], scores, atol=1e-4)


@pytest.mark.parametrize("name", ["center_hourglass_s", "efficient_hrnet_hm4"])
def test_decoders_of_whole_pictures_stay_outside(name: str) -> None:
    info = CheckpointInfo(name, get_model(name).heatmap_kind, (64, 64))
    with pytest.raises(UsageError, match=r"the decoder of a (detector|bottom_up) network stays"):
        export_graph(nn.Identity(), info, Fold(decoder=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("center_hourglass_s", [("center_logits", 1), ("offsets", 2), ("sizes", 2)]),
        ("efficient_hrnet_hm4", [("heatmaps", 17), ("tags", 17), ("fine_heatmaps", 17)]),
        ("tiny", [("heatmaps", 16)]),
    ],
)
def test_kinds_of_channels_come_apart(name: str, expected: list[tuple[str, int]]) -> None:
    info = CheckpointInfo(name, get_model(name).heatmap_kind, (64, 64))
    model = info.build().eval()
    apart, whole = export_graph(model, info, apart=True), export_graph(model, info)
    assert [(output.name, output.shape[1]) for output in apart.outputs] == expected
    assert {output.part_of for output in whole.outputs} == {""}
    channels: dict[str, int] = {}
    for output in apart.outputs:
        map_name = output.part_of or output.name
        channels[map_name] = channels.get(map_name, 0) + output.shape[1]
    assert channels == {output.name: output.shape[1] for output in whole.outputs}


def test_a_network_without_parts_is_told(caplog: pytest.LogCaptureFixture) -> None:
    info = CheckpointInfo("center_hourglass_s", "logits", (64, 64))
    model = info.build().eval()
    with caplog.at_level(logging.WARNING):
        export_graph(model, info, apart=True)
    assert caplog.messages == []

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, image: Tensor) -> list[Tensor]:
            found: list[Tensor] = self.inner(image)
            return found

    with caplog.at_level(logging.WARNING):
        (output,) = export_graph(Whole(), info, apart=True).outputs
    assert (output.name, output.part_of) == ("centers", "")
    assert "model center_hourglass_s: has no `parts`" in caplog.text


def test_classifiers_have_no_artifact() -> None:
    info = CheckpointInfo("efficientnet_b0", "logits", (64, 64))
    with pytest.raises(UsageError, match="is a classifier, artifacts are of top_down"):
        export_graph(nn.Identity(), info)
