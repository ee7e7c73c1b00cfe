"""What every registered network promises; new ones are covered by being registered."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn

from edge_pose.preprocess import InputSpec
from edge_pose.skeleton import keypoint_format
from training.registry import InParts, ModelEntry, get_model, model_names

SIDE = 64  # px; the least that the deepest hourglass takes
STEPS = 80


def images(entry: ModelEntry, batch: int) -> Tensor:
    # Classifiers have odd sizes of their own; the rest is too costly at its own.
    width, height = entry.input_size if entry.task == "classifier" else (SIDE, SIDE)
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(batch))


def shapes(entry: ModelEntry, batch: int, stages: int) -> list[tuple[int, ...]]:
    """What the task promises for a network with so many outputs."""
    keypoints = len(keypoint_format(entry.keypoint_format).keypoints)
    side = SIDE // entry.stride
    if entry.task == "classifier":
        return [(batch, 1000)]
    if entry.task == "bottom_up":
        return [(batch, 2 * keypoints, side, side), (batch, keypoints, 2 * side, 2 * side)]
    return [(batch, 5 if entry.task == "detector" else keypoints, side, side)] * stages


@pytest.fixture(
    scope="module",
    params=model_names(),
)
def entry(request: pytest.FixtureRequest) -> ModelEntry:
    return get_model(request.param)


@pytest.fixture(scope="module")
def model(entry: ModelEntry) -> nn.Module:
    """An untrained network in eval mode whose normalisation knows its own statistics."""
    torch.manual_seed(0)
    model = entry.build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch has to do, or deep networks say nearly nothing
    with torch.no_grad():
        model.train()(images(entry, 8))  # a neck of one px needs several for its variance
    return model.eval()


def predict(model: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.no_grad():
        heatmaps: list[Tensor] = model(x)
    return heatmaps


def test_the_entry_describes_an_input(entry: ModelEntry) -> None:
    spec = InputSpec(entry.input_size, color=entry.color, mean=entry.mean, std=entry.std)
    assert len(spec.mean) == len(spec.std) == 3
    assert all(0 <= value <= 255 for value in spec.mean)
    assert all(0 < value <= 255 for value in spec.std)
    assert entry.summary.endswith(".")
    assert entry.paper == "" or entry.paper.startswith("https://")


@pytest.mark.parametrize("batch", [1, 3])
def test_forward_gives_what_the_task_says(entry: ModelEntry, model: nn.Module, batch: int) -> None:
    outputs = predict(model, images(entry, batch))
    assert isinstance(outputs, list)
    assert [tuple(output.shape) for output in outputs] == shapes(entry, batch, len(outputs))
    for output in outputs:
        assert output.dtype == torch.float32
        assert torch.isfinite(output).all()


def test_channels_of_several_kinds_come_apart_too(entry: ModelEntry, model: nn.Module) -> None:
    channels = {"bottom_up": [17, 17, 17], "detector": [1, 2, 2]}.get(entry.task)
    assert isinstance(model, InParts) == (channels is not None)
    if isinstance(model, InParts):
        x = images(entry, 2)
        with torch.no_grad():
            parts = model.parts(x)
        assert [part.shape[1] for part in parts] == channels
        expected, found = (
            torch.cat([maps.flatten(1) for maps in outputs], dim=1)
            for outputs in (predict(model, x), parts)
        )
        tolerance = 1e-5 * float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


def test_images_of_a_batch_do_not_mix(entry: ModelEntry, model: nn.Module) -> None:
    x = images(entry, 2)
    together = predict(model, x)[-1]
    alone = predict(model, x[1:])[-1]
    tolerance = 1e-4 * float(alone.abs().max())
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=tolerance)
    assert not torch.allclose(together[:1], together[1:])


def test_backward_reaches_every_parameter(entry: ModelEntry) -> None:
    torch.manual_seed(1)
    model = entry.build().train()
    stages = model(images(entry, 2))
    sum((stage.square().mean() for stage in stages), start=torch.zeros(())).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    broken = [n for n, p in model.named_parameters() if not torch.isfinite(p.grad).all()]
    assert broken == []
    # A weight that no gradient moves is dead. (A bias before a normalisation is, by design.)
    dead = [n for n, p in model.named_parameters() if p.dim() > 1 and not p.grad.any()]
    assert dead == []


def test_state_dict_round_trip(entry: ModelEntry, model: nn.Module) -> None:
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    torch.manual_seed(2)
    other = entry.build().eval()
    x = images(entry, 1)
    assert not torch.equal(predict(other, x)[-1], predict(model, x)[-1])
    other.load_state_dict(torch.load(buffer, weights_only=True), strict=True)
    for expected, found in zip(predict(model, x), predict(other, x), strict=True):
        assert torch.equal(expected, found)


def peaks(output: Tensor, generator: torch.Generator) -> Tensor:
    """A place in each map, or a class for each image."""
    maps = output.flatten(2) if output.dim() == 4 else output
    return torch.randint(maps.shape[-1], maps.shape[:-1], generator=generator)


def peak_loss(output: Tensor, place: Tensor) -> Tensor:
    """Cross-entropy of each map's softmax with its place."""
    maps = output.flatten(2) if output.dim() == 4 else output
    return nn.functional.cross_entropy(maps.reshape(-1, maps.shape[-1]), place.flatten())


def tiny(entry: ModelEntry) -> nn.Module:
    """The network with few channels where its family has that option."""
    hourglass = entry.name.startswith("hourglass_") and "_lite" not in entry.name
    changes = {"inplanes": 16, "num_feats": 32, "depth": 2} if hourglass else {}
    return entry.build(**changes)


def test_it_learns_one_batch_by_heart(entry: ModelEntry) -> None:
    torch.manual_seed(3)
    model = tiny(entry).train()
    x = images(entry, 4)  # a neck of one px leaves fewer values per batch than statistics need
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    generator = torch.Generator().manual_seed(4)
    wanted = [peaks(y, generator) for y in model(x)]
    losses = []
    for _ in range(STEPS):
        pairs = zip(model(x), wanted, strict=True)
        loss = torch.stack([peak_loss(y, place) for y, place in pairs]).mean()
        losses.append(float(loss.detach()))
        if losses[-1] < 0.5 * losses[0]:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
