"""NNCF's post-training quantization of an OpenVINO graph: the ways, and how it is called."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from converters.damage import relative_error
from converters.failure import reason
from converters.openvino_graph import Model
from converters.openvino_run import Pictures, run_compiled, run_graph
from converters.quiet import quiet
from edge_pose.backends.openvino import import_openvino
from edge_pose.errors import EdgePoseError


class RangesError(EdgePoseError):
    """The estimator of ranges finds none in these activations; another one may."""


@dataclass(frozen=True, slots=True)
class Method:
    """A way to quantize.

    Attributes:
        ranges: estimator of activations, a name in nncf's RangeEstimatorParametersSet.
        preset: a key of SCHEMES.
        exact_bias: correct each bias by what the quantized layers before it really give.
        control: put layers back into float until the outputs are near enough to the float ones.
    """

    ranges: str
    preset: str = "mixed"
    exact_bias: bool = False
    control: bool = False


METHODS = {
    "histogram": Method("HISTOGRAM"),
    "minmax": Method("MINMAX"),
    "bias": Method("HISTOGRAM", exact_bias=True),
    "performance": Method("HISTOGRAM", preset="performance"),
    "accuracy_control": Method("HISTOGRAM", control=True),
}
SCHEMES = {
    "mixed": "U8S8 per channel",
    "performance": "S8S8 per channel, U8 where nothing is negative",
}

# Of accuracy control:
HELD_OUT = 4  # every fourth picture judges instead of calibrating
MAX_JUDGES = 16
RANKED_ON = 4  # of the judges, those that suffer most
MAX_ERROR = 0.03  # root mean square of the outputs' error over their spread
MAX_RESTORED = 16  # groups of layers


def quantize(
    floating: Model,
    pictures: Pictures,
    method: Method,
    always_float: Sequence[str],
    **advanced: object,
) -> Model:
    """Return a quantized copy of a float graph.

    Args:
        floating: as `read_graph` returns it.
        pictures: calibration inputs.
        method: how; `control` is for `quantize_with_control`.
        always_float: layers that stay as they are.
        advanced: of nncf's AdvancedQuantizationParameters.

    Raises:
        RangesError: the method finds no ranges.
        EdgePoseError: NNCF is missing, or cannot quantize the graph.
    """
    with _nncf() as nncf:
        return nncf.quantize(
            floating,
            _dataset(nncf, pictures),
            **_settings(nncf, method, len(pictures), always_float, advanced),
        )


def quantize_with_control(
    floating: Model, pictures: Pictures, method: Method, always_float: Sequence[str]
) -> Model:
    """The same, then put back into float what costs most, as far as that is needed.

    NNCF's own loop does it. It asks how alike the outputs are to those of the float network, on
    pictures that do not calibrate; that has a meaning for networks of every task.

    Raises:
        EdgePoseError: NNCF is missing, or cannot quantize the graph.
    """
    judging = np.arange(len(pictures)) % HELD_OUT == HELD_OUT - 1
    judges = replace(pictures, crops=pictures.crops[judging][:MAX_JUDGES])
    others = replace(pictures, crops=pictures.crops[~judging])
    expected = run_graph(floating, [judges[i] for i in range(len(judges))])

    def likeness(compiled: Any, indices: Iterable[int]) -> tuple[float, list[float]]:  # noqa: ANN401
        chosen = list(indices)
        found = run_compiled(compiled, [judges[i] for i in chosen])
        errors = relative_error([expected[i] for i in chosen], found)
        each = [1.0 - float(error) for error in np.sqrt(errors)]
        return float(np.mean(each)), each

    with _nncf() as nncf:
        from nncf.quantization.advanced_parameters import AdvancedAccuracyRestorerParameters

        settings = _settings(nncf, method, len(others), always_float, {})
        settings["advanced_quantization_parameters"] = settings.pop("advanced_parameters")
        return nncf.quantize_with_accuracy_control(
            floating,
            _dataset(nncf, others),
            nncf.Dataset(list(range(len(judges)))),
            likeness,
            max_drop=MAX_ERROR,
            drop_type=nncf.DropType.ABSOLUTE,
            advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(
                max_num_iterations=MAX_RESTORED,
                ranking_subset_size=RANKED_ON,
                num_ranking_workers=1,
            ),
            **settings,
        )


def _settings(
    nncf: Any,  # noqa: ANN401 - the imported package
    method: Method,
    count: int,
    always_float: Sequence[str],
    advanced: dict[str, object],
) -> dict[str, Any]:
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    return {
        "preset": nncf.QuantizationPreset(method.preset),
        "subset_size": count,
        "fast_bias_correction": not method.exact_bias,
        "ignored_scope": nncf.IgnoredScope(names=list(always_float)),
        "advanced_parameters": AdvancedQuantizationParameters(
            activations_range_estimator_params=getattr(RangeEstimatorParametersSet, method.ranges),
            **advanced,
        ),
    }


def _dataset(nncf: Any, pictures: Pictures) -> Any:  # noqa: ANN401
    return nncf.Dataset(range(len(pictures)), lambda i: pictures[i])


@contextmanager
def _nncf() -> Iterator[Any]:
    """Import NNCF, which needs a second, and make one line of what it raises.

    Raises:
        EdgePoseError: see `quantize`.
    """
    import_openvino()  # first: it keeps both packages from calling home
    try:
        with quiet():
            import nncf

            nncf.set_log_level(logging.ERROR)
            yield nncf
    except ImportError:
        message = "OpenVINO to int8: NNCF is not installed, pip install 'edge-pose[convert]'"
        raise EdgePoseError(message) from None
    except Exception as error:  # noqa: BLE001 - NNCF's and OpenVINO's share no base class
        # Of numpy: values that are all but equal have no histogram.
        if isinstance(error, ValueError) and "bins" in str(error):
            raise RangesError(f"OpenVINO to int8: cannot find ranges: {reason(error)}") from None
        raise EdgePoseError(f"OpenVINO to int8: cannot quantize: {reason(error)}") from None
