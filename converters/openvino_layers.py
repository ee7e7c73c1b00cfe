"""Which layers of an OpenVINO graph compute, which only hand on, and which make the outputs."""

from __future__ import annotations

from typing import Any

from converters.openvino_graph import Model

Layer = Any
"""openvino.Node"""

WEIGHTED = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})
HANDING_ON = frozenset(
    {
        "Clamp", "Concat", "Convert", "Interpolate", "MaxPool", "Pad", "Relu", "Reshape",
        "ShuffleChannels", "Slice", "Split", "Squeeze", "StridedSlice", "Transpose", "Unsqueeze",
        "VariadicSplit",
    }
)  # fmt: skip
"""What is quantized before them serves the layers behind them."""

QUANTIZER = "FakeQuantize"
FLOATS = ("f16", "f32")


def output_layers(model: Model) -> tuple[str, ...]:
    """Return the last layer with weights on the way to each output, and all behind it.

    These stay float: they cost little, and 256 steps would blur peaks and decoded coordinates.
    """
    found: dict[str, None] = {}
    ahead = [result.input_value(0).get_node() for result in model.results]
    while ahead:
        layer = ahead.pop()
        kind, name = layer.get_type_name(), layer.get_friendly_name()
        if kind in ("Constant", "Parameter") or name in found:
            continue
        found[name] = None
        if kind not in WEIGHTED:
            ahead += [value.get_node() for value in layer.input_values()]
    return tuple(found)


def quantizers(model: Model) -> list[Layer]:
    """Return the layers that round to integers, in the order in which they run."""
    return [layer for layer in model.get_ordered_ops() if layer.get_type_name() == QUANTIZER]


def served(layer: Layer) -> set[str]:
    """Return the layers that compute with what `layer` is given: itself, or those behind it."""
    if layer.get_type_name() not in HANDING_ON:
        return {layer.get_friendly_name()}
    targets = [t.get_node() for o in layer.outputs() for t in o.get_target_inputs()]
    return set().union(*(served(target) for target in targets))


def quantized_layers(model: Model) -> tuple[str, ...]:
    """Return the layers that quantizers serve, in the order in which they run."""
    names: set[str] = set()
    for quantizer in quantizers(model):
        for target in quantizer.output(0).get_target_inputs():
            names |= served(target.get_node())
    order = [layer.get_friendly_name() for layer in model.get_ordered_ops()]
    return tuple(name for name in order if name in names)


def float_weighted(model: Model) -> tuple[str, ...]:
    """Return the layers whose weights are no integers, in the order in which they run."""
    return tuple(
        layer.get_friendly_name()
        for layer in model.get_ordered_ops()
        if layer.get_type_name() in WEIGHTED and _stored(layer) in FLOATS
    )


def _stored(layer: Layer) -> str:
    """Return the type of a layer's weights as they lie in the file."""
    while layer.get_type_name() != "Constant":
        # Weights are the second input of a layer; around them the first one leads to the constant.
        layer = layer.input_value(int(layer.get_type_name() in WEIGHTED)).get_node()
        if layer.get_type_name() == "Parameter":
            return ""
    return str(layer.get_element_type().get_type_name())
