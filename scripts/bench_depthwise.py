"""Time the backward pass of depthwise convolutions: nn.Conv2d against training's DepthwiseConv2d.

    python scripts/bench_depthwise.py

Every depthwise layer of EfficientNet-Lite0 on the CPU, in bfloat16 and channels-last as it is
trained. Both take turns within a round, so that a noisy machine hurts both alike; their gradients
are compared first.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # also from a checkout that is not installed

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 0.03  # of the largest gradient; bfloat16 keeps 8 bits and the sums differ in order


class Layer(NamedTuple):
    """One shape: channels, side of the input px, kernel, stride."""

    channels: int
    side: int
    kernel: int
    stride: int


class Result(NamedTuple):
    """Medians over the rounds, ms; the ratio is the median of the rounds' ratios."""

    layer: Layer
    count: int
    plain_ms: float
    ours_ms: float
    ratio: float


def layers(input_side: int) -> Counter[Layer]:
    """Return the depthwise layers of EfficientNet-Lite0 and how often each occurs."""
    from training.models.efficientnet_lite import STAGES

    found: Counter[Layer] = Counter()
    channels, side = 32, -(-input_side // 2)  # after the stem
    for expansion, c_out, repeats, stride, kernel in STAGES:
        for index in range(repeats):
            step = stride if index == 0 else 1
            found[Layer(channels * expansion, side, kernel, step)] += 1
            channels, side = c_out, -(-side // step)
    return found


def compare(layer: Layer, count: int, batch: int, rounds: int) -> Result:
    """Time both backward passes of one layer.

    Raises:
        ClickException: their gradients differ.
    """
    import torch
    from torch import nn

    from training.models.depthwise import DepthwiseConv2d

    channels, side, kernel, stride = layer
    ours = DepthwiseConv2d(channels, kernel, stride).bfloat16()
    pair = (kernel, stride, kernel // 2)
    plain = nn.Conv2d(channels, channels, *pair, groups=channels, bias=False).bfloat16()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(batch, channels, side, side).bfloat16()
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    with torch.no_grad():
        gradient = torch.randn_like(plain(x))
    before, after = _backward(plain, x, gradient), _backward(ours, x, gradient)
    for a, b in zip(before.gradients, after.gradients, strict=True):
        error = float((a - b).abs().max() / a.abs().max())
        if error > TOLERANCE:
            raise click.ClickException(f"{layer}: gradients differ by {error:.1%}")
    times: list[tuple[float, float]] = []
    for number in range(rounds):
        first, second = (before, after) if number % 2 == 0 else (after, before)
        took = {id(first): first.time_s()}
        took[id(second)] = second.time_s()
        times.append((took[id(before)], took[id(after)]))
    return Result(
        layer,
        count,
        statistics.median(t[0] for t in times) * 1e3,
        statistics.median(t[1] for t in times) * 1e3,
        statistics.median(t[0] / t[1] for t in times),
    )


class _backward:  # noqa: N801 - used like a function
    """The backward pass of one module on one input."""

    def __init__(self, module: nn.Module, x: Tensor, gradient: Tensor) -> None:
        self._inputs = (x, *module.parameters())
        self._output = module.train()(x)
        self._gradient = gradient
        self.gradients = self._run()  # also the warm-up

    def time_s(self) -> float:
        start = time.perf_counter()
        self._run()
        return time.perf_counter() - start

    def _run(self) -> tuple[Tensor, ...]:
        import torch

        return torch.autograd.grad(self._output, self._inputs, self._gradient, retain_graph=True)


@click.command()
@click.option("--batch", type=click.IntRange(1), default=48, show_default=True)
@click.option("--input-side", type=click.IntRange(32), default=192, show_default=True, help="px")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def main(batch: int, input_side: int, rounds: int, as_json: bool) -> None:
    """Compare nn.Conv2d's backward pass with ours, layer by layer."""
    import torch

    torch.manual_seed(0)
    results = []
    for layer, count in layers(input_side).items():
        result = compare(layer, count, batch, rounds)
        results.append(result)
        if not as_json:
            _print(result)
    plain_ms = sum(r.plain_ms * r.count for r in results)
    ours_ms = sum(r.ours_ms * r.count for r in results)
    if as_json:
        rows = [{**r._asdict(), "layer": r.layer._asdict()} for r in results]
        total = {"plain_ms": plain_ms, "ours_ms": ours_ms, "ratio": plain_ms / ours_ms}
        click.echo(json.dumps({"torch": torch.__version__, "layers": rows, "network": total}))
        return
    ratio = plain_ms / ours_ms
    click.echo(f"network: nn.Conv2d {plain_ms:.1f} ms, ours {ours_ms:.1f} ms, {ratio:.2f} times")


def _print(r: Result) -> None:
    channels, side, kernel, stride = r.layer
    click.echo(
        f"{r.count} x {channels:5d} channels, {side:3d} px, {kernel}x{kernel}, stride {stride}:"
        f" nn.Conv2d {r.plain_ms:8.2f} ms, ours {r.ours_ms:8.2f} ms, {r.ratio:6.2f} times"
    )


if __name__ == "__main__":
    main()
