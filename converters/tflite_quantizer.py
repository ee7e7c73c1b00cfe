"""LiteRT's quantizer and its recipes.

A recipe is a list of rules; of several that fit an operator the last one counts. Operators are
found by the name of their output, see converters.tflite_file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from converters.export_graph import INPUT
from converters.litert import load, working
from converters.tflite_file import renamed, tensors
from converters.tflite_ranges import PACKAGE, Ranges

TOOL = "ai-edge-quantizer"

Recipe = list[dict[str, Any]]


def half_recipe() -> Recipe:
    """Weights in float16."""
    rules = load(f"{PACKAGE}.recipe_manager").RecipeManager()
    rules.add_weight_only_config(".*", "*", 16, algorithm_key="float_casting")
    recipe: Recipe = rules.get_quantization_recipe()
    return recipe


def dynamic_recipe(operators: Iterable[str]) -> Recipe:
    """8-bit weights of these kinds of operators, whose activations become integers at run time."""
    rules = load(f"{PACKAGE}.recipe_manager").RecipeManager()
    for operator in operators:
        rules.add_dynamic_config(".*", operator, 8)
    recipe: Recipe = rules.get_quantization_recipe()
    return recipe


def static_recipe(float_layers: Iterable[str], *, integer_io: bool) -> Recipe:
    """8-bit weights, symmetric per channel, and 8-bit activations, asymmetric.

    Args:
        float_layers: operators that stay float.
        integer_io: inputs and outputs are integers, too.
    """
    ends = () if integer_io else ("INPUT", "OUTPUT")
    return [
        *_static(".*"),
        *(_float(".*", end) for end in ends),
        *(_float(_only(layer), "*") for layer in float_layers),
    ]


def single_recipe(layer: str) -> Recipe:
    """One operator in integers, everything else float."""
    return _static(_only(layer))


def _static(regex: str) -> Recipe:
    return [rule | {"regex": regex} for rule in load(f"{PACKAGE}.recipe").static_wi8_ai8()]


def _float(regex: str, operation: str) -> dict[str, Any]:
    return {"regex": regex, "operation": operation, "algorithm_key": "no_quantize"}


def _only(layer: str) -> str:
    # The quantizer joins the names of an operator's outputs by semicolons.
    return f"^{re.escape(layer)};"


def quantize(model: bytes, recipe: Recipe, ranges: Ranges | None = None) -> bytes:
    """Return the quantized file, its input and outputs named as those of the float file.

    Raises:
        EdgePoseError: the quantizer is not installed or cannot do it.
    """
    quantizer = load(f"{PACKAGE}.quantizer")
    with working("TFLite: cannot quantize"), np.errstate(all="ignore"):
        worker = quantizer.Quantizer(bytearray(model), recipe)
        result = worker.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        outputs = [tensor.name for tensor in tensors(model)[1]]
        return renamed(bytes(result.quantized_model), INPUT, outputs)
