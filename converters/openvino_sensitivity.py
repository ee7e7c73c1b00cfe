"""Which layers of an OpenVINO graph suffer most from 8 bits, by measurement.

One layer alone computes with integers, all others stay float, and the outputs are compared. Each
comparison compiles the graph anew, so deep networks are searched instead of measured in full:
errors of layers nearly add up, and only the worse half of a group of layers is looked into.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Sequence
from math import ceil

from converters.damage import relative_error
from converters.openvino_graph import Model
from converters.openvino_layers import quantized_layers, quantizers, served
from converters.openvino_run import Tensor, run_graph
from converters.steps import Tick, silent

MAX_MEASUREMENTS = 96
GROUP = 8  # layers that a search starts with


def rank(
    floating: Model,
    quantized: Model,
    tensors: Sequence[Tensor],
    max_measurements: int = MAX_MEASUREMENTS,
    tick: Tick = silent,
) -> tuple[str, ...]:
    """Return all quantized layers by the damage of their integers, worst first.

    Args:
        floating: what the outputs should be like.
        quantized: the same graph with quantizers in it.
        tensors: inputs to compare on.
        max_measurements: how often to compile and run at most, about.
        tick: told of each measurement.
    """
    expected = run_graph(floating, tensors)

    def damage(names: Collection[str]) -> float:
        found = run_graph(only(quantized, names), tensors)
        return float(relative_error(expected, found).mean())

    return search(quantized_layers(quantized), damage, max_measurements, tick)


def search(
    layers: Sequence[str],
    damage: Callable[[Sequence[str]], float],
    max_measurements: int,
    tick: Tick = silent,
) -> tuple[str, ...]:
    """Order layers by damage, worst first, with a limited number of measurements.

    Args:
        layers: neighbours stand side by side.
        damage: measures several layers together.
        max_measurements: enough for all layers, or as many groups as it lasts for are split.
        tick: told of each measurement.
    """
    size = 1 if len(layers) <= max_measurements else GROUP
    groups = [layers[start : start + size] for start in range(0, len(layers), size)]
    splits = min(len(layers) - len(groups), max(0, ceil((max_measurements - len(groups)) / 2)))
    all_in_all = len(groups) + 2 * splits
    heap: list[tuple[float, int, Sequence[str]]] = []
    done: list[tuple[float, int, Sequence[str]]] = []
    spent = 0

    def measure(start: int, names: Sequence[str]) -> None:
        nonlocal spent
        tick(spent, all_in_all)
        spent += 1
        total = damage(names)
        if len(names) > 1:
            heapq.heappush(heap, (-total, start, names))
        else:
            done.append((-total, start, names))

    for index, names in enumerate(groups):
        measure(index * size, names)
    for _ in range(splits):
        _, start, names = heapq.heappop(heap)
        half = len(names) // 2
        measure(start, names[:half])
        measure(start + half, names[half:])
    tick(all_in_all, all_in_all)
    # A group that was never split counts as if its layers shared the damage.
    done += [(total / len(names), start, names) for total, start, names in heap]
    return tuple(name for _, _, names in sorted(done) for name in names)


def only(quantized: Model, names: Collection[str]) -> Model:
    """Return a copy in which only the named layers compute with integers."""
    alone = quantized.clone()
    for quantizer in quantizers(alone):
        source = quantizer.input_value(0)
        for target in quantizer.output(0).get_target_inputs():
            if served(target.get_node()).isdisjoint(names):
                target.replace_source_output(source)
    return alone
