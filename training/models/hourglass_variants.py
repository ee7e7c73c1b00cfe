"""The registered stacked hourglasses: Newell et al. and Table 1 of Hassan and Al Khatib.

Every function takes the keypoint format, and any field of `HourglassConfig` as a change, so that a
recipe can ask for three residuals per location, another head or another block without a new name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from torch import nn

from edge_pose.errors import UsageError
from edge_pose.lookup import lookup
from edge_pose.skeleton import keypoint_format
from training.models.hourglass import STEM_STRIDE, HourglassConfig, StackedHourglass
from training.registry import register_model


def _rgb_255(red: float, green: float, blue: float) -> tuple[float, float, float]:
    return (255 * red, 255 * green, 255 * blue)


# The recipe of the 2023 paper: Gaussian targets and the mean colour of MPII, no standard deviation.
_hourglass = register_model(
    input_size=(256, 256),
    stride=STEM_STRIDE,
    heatmap_kind="gaussian",
    mean=_rgb_255(0.4404, 0.4440, 0.4327),
    std=_rgb_255(1.0, 1.0, 1.0),
    paper="https://arxiv.org/abs/2302.04815",
)

BASELINE = HourglassConfig()
LIGHT = replace(BASELINE, inplanes=48, num_feats=84)


def changed(config: HourglassConfig, changes: Mapping[str, object]) -> HourglassConfig:
    """Return a configuration with some fields changed.

    Raises:
        UsageError: there is no such field, or the value is of another type or out of range. The
            number of keypoints follows from the keypoint format and cannot be changed here.
    """
    known = {f.name: getattr(config, f.name) for f in fields(config) if f.name != "num_keypoints"}
    for name, value in changes.items():
        expected = type(lookup(known, name, "hourglass option"))
        if type(value) is not expected:
            raise UsageError(f"{name}: found {value!r}, expected {expected.__name__}")
    return replace(config, **{**known, **changes})


def everywhere(config: HourglassConfig, block: str) -> HourglassConfig:
    """Return a configuration with one block in the stem, the hourglasses and behind them."""
    return replace(config, stem_block=block, hourglass_block=block, stack_block=block)


def _network(
    config: HourglassConfig, keypoints: str, changes: Mapping[str, object]
) -> StackedHourglass:
    joints = len(keypoint_format(keypoints).keypoints)
    return StackedHourglass(replace(changed(config, changes), num_keypoints=joints))


@_hourglass
def hourglass_1stack(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """One hourglass of 256 channels."""
    return _network(replace(BASELINE, stacks=1), keypoints, changes)


@_hourglass
def hourglass_2stack(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels: the baseline of the light variants."""
    return _network(BASELINE, keypoints, changes)


@_hourglass
def hourglass_3stack(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Three hourglasses of 256 channels."""
    return _network(replace(BASELINE, stacks=3), keypoints, changes)


@_hourglass
def hourglass_8stack(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Eight hourglasses of 256 channels, the depth of the original paper."""
    return _network(replace(BASELINE, stacks=8), keypoints, changes)


# Newell et al. compare stacks at about the same number of parameters: twice the hourglasses, half
# the residuals per location.


@_hourglass
def hourglass_2stack_equal(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses with four residuals per location, as many parameters as eight stacks."""
    return _network(replace(BASELINE, stacks=2, residuals=4), keypoints, changes)


@_hourglass
def hourglass_4stack_equal(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Four hourglasses with two residuals per location, as many parameters as eight stacks."""
    return _network(replace(BASELINE, stacks=4, residuals=2), keypoints, changes)


@_hourglass
def hourglass_8stack_equal(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Eight hourglasses with one residual per location, the deep end of the comparison."""
    return _network(replace(BASELINE, stacks=8), keypoints, changes)


@_hourglass
def hourglass_ghost(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels with Ghost modules throughout."""
    return _network(everywhere(BASELINE, "ghost"), keypoints, changes)


@_hourglass
def hourglass_shuffle(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels with ShuffleNet units behind the stem."""
    config = replace(BASELINE, hourglass_block="shuffle", stack_block="shuffle")
    return _network(config, keypoints, changes)


@_hourglass
def hourglass_dice(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels with DiCE units inside."""
    return _network(replace(BASELINE, hourglass_block="dice"), keypoints, changes)


@_hourglass
def hourglass_dilated(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels with pairs of dilated convolutions inside."""
    return _network(replace(BASELINE, hourglass_block="dilated"), keypoints, changes)


@_hourglass
def hourglass_dilated_separable(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels with pairs of separable dilated convolutions inside."""
    return _network(replace(BASELINE, hourglass_block="dilated_separable"), keypoints, changes)


@_hourglass
def hourglass_multidilated(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels with three parallel dilations inside."""
    return _network(replace(BASELINE, hourglass_block="multidilated"), keypoints, changes)


@_hourglass
def hourglass_multidilated_all(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 256 channels with three parallel dilations throughout."""
    return _network(everywhere(BASELINE, "multidilated"), keypoints, changes)


@_hourglass
def hourglass_168(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 168 channels (84 inside the blocks)."""
    return _network(LIGHT, keypoints, changes)


@_hourglass
def hourglass_168_ghost(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 168 channels with Ghost modules throughout."""
    return _network(everywhere(LIGHT, "ghost"), keypoints, changes)


@_hourglass
def hourglass_168_shuffle(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 168 channels with ShuffleNet units behind the stem."""
    config = replace(LIGHT, hourglass_block="shuffle", stack_block="shuffle")
    return _network(config, keypoints, changes)


@_hourglass
def hourglass_168_separable(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """Two hourglasses of 168 channels with depthwise separable blocks throughout."""
    return _network(everywhere(LIGHT, "separable"), keypoints, changes)


@_hourglass
def hourglass_168_resconcat_narrowres(*, keypoints: str = "mpii16", **changes: object) -> nn.Module:
    """The separable 168-channel network with ResConcat and NarrowRes connections."""
    config = replace(everywhere(LIGHT, "separable"), merge="resconcat", narrow_res=True)
    return _network(config, keypoints, changes)
