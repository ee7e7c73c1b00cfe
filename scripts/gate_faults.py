"""What may go wrong with an artifact, in strengths: faults to plant for scripts/gate_power.py.

A fault takes the outputs of one picture, a list of (C, h, w) float32, or its input tensor, and
returns what an artifact with that fault would have there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Maps = list[Array]
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
OTHER_TAGS = 5.0  # between the tags of a picture's people and of those who are put in


@dataclass(frozen=True, slots=True)
class Setting:
    """What a fault has to know of the network and of the picture.

    Attributes:
        task: of the network.
        logits: scores are the sigmoid of the heatmaps.
        channels: two that belong together, such as both wrists.
        input_px: side of the input.
        spread: per output (C, 1, 1) standard deviations over all pictures.
        pictures: outputs of all pictures without a fault.
        index: of this picture.
    """

    task: str
    logits: bool
    channels: tuple[int, int]
    input_px: int
    spread: Sequence[Array]
    pictures: Sequence[Maps]
    index: int

    def heatmaps(self, outputs: Maps) -> list[slice]:
        """Return the channels of each output whose values are scores."""
        if self.task == "detector":
            return [slice(0, 1)]
        count = len(outputs[-1])
        return [slice(0, count) for _ in outputs]

    def hit(self, share: float) -> bool:
        """Choose pictures evenly."""
        return int((self.index + 1) * share) > int(self.index * share)


Plant = Callable[[Maps, float, Setting], Maps]


def gain(outputs: Maps, factor: float, _: Setting) -> Maps:
    """Every value is as many times as large."""
    return [output * np.float32(factor) for output in outputs]


def offset(outputs: Maps, spreads: float, setting: Setting) -> Maps:
    """Every value is as many standard deviations higher."""
    return [o + np.float32(spreads) * s for o, s in zip(outputs, setting.spread, strict=True)]


def shift(outputs: Maps, input_px: float, setting: Setting) -> Maps:
    """Everything stands farther to the right, in px of the input."""
    moved = []
    for output in outputs:
        width = output.shape[-1]
        place = np.arange(width) - input_px * width / setting.input_px
        place = place.clip(0, width - 1)
        low = np.minimum(place.astype(np.intp), width - 2)
        part = (place - low).astype(np.float32)
        moved.append(output[..., low] * (1 - part) + output[..., low + 1] * part)
    return moved


def fade(outputs: Maps, share: float, setting: Setting) -> Maps:
    """One channel loses a share of its height."""
    for output in outputs:
        output[setting.channels[0]] *= np.float32(1 - share)
    return outputs


def noise(outputs: Maps, spreads: float, setting: Setting) -> Maps:
    """Gaussian noise."""
    rng = np.random.default_rng(setting.index)
    return [
        o + np.float32(spreads) * s * rng.standard_normal(o.shape, np.float32)
        for o, s in zip(outputs, setting.spread, strict=True)
    ]


def swap(outputs: Maps, share: float, setting: Setting) -> Maps:
    """Two joints, or width and height, have changed places in a share of the pictures."""
    if setting.hit(share):
        one, other = setting.channels
        for output in outputs:
            output[[one, other]] = output[[other, one]]
            if len(output) == 2 * len(outputs[-1]):  # a bottom-up network's tags
                pair = [one + len(outputs[-1]), other + len(outputs[-1])]
                output[pair] = output[pair[::-1]]
    return outputs


def invent(outputs: Maps, share: float, setting: Setting) -> Maps:
    """A share of the pictures has the people of another picture, too."""
    if not setting.hit(share):
        return outputs
    count = len(setting.pictures)
    others = setting.pictures[(setting.index + count // 2) % count]
    for output, other, heat in zip(outputs, others, setting.heatmaps(outputs), strict=True):
        higher = other[heat] > output[heat]
        if setting.task == "detector":
            output[:] = np.where(higher, other, output)
            continue
        output[heat] = np.where(higher, other[heat], output[heat])
        if len(output) > heat.stop:
            tags = output[heat.stop :]
            tags[higher] = other[heat.stop :][higher] + np.float32(OTHER_TAGS)
    return outputs


def lose(outputs: Maps, share: float, setting: Setting) -> Maps:
    """Nobody is seen in a share of the pictures."""
    if setting.hit(share):
        for output, heat in zip(outputs, setting.heatmaps(outputs), strict=True):
            output[heat] = output[heat].min(axis=(1, 2), keepdims=True)
    return outputs


def push_scores(outputs: Maps, power: float, setting: Setting) -> Maps:
    """Every score is raised to a power: the order stays."""
    for output, heat in zip(outputs, setting.heatmaps(outputs), strict=True):
        values = output[heat].astype(np.float64)
        if setting.logits:
            log_score = np.minimum(-power * np.logaddexp(0, -values), -1e-9)
            values = log_score - np.log(-np.expm1(log_score))
        else:
            values = np.where(values > 0, np.abs(values) ** power, values)
        output[heat] = values
    return outputs


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of damage.

    Attributes:
        title: in words.
        unit: of the strengths.
        strengths: to try, the weakest first.
        plant: into the outputs; None where the inputs or the calibration pictures are at fault.
    """

    title: str
    unit: str
    strengths: tuple[float, ...]
    plant: Plant | None = None


FAULTS = {
    "louder": Fault("all maps larger", "times", (1.05, 1.1, 1.2, 1.3, 1.5, 2.0), gain),
    "quieter": Fault("all maps smaller", "times", (0.95, 0.9, 0.8, 0.7, 0.5), gain),
    "offset": Fault("all maps higher", "of their spread", (0.05, 0.1, 0.2, 0.3, 0.5, 1.0), offset),
    "scores": Fault("scores to a power", "", (1.05, 1.1, 1.2, 1.5, 2.0, 3.0), push_scores),
    "shift": Fault("maps to the right", "input px", (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0), shift),
    "noise": Fault("noise", "of their spread", (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0), noise),
    "fade": Fault("one channel fades", "of it", (0.05, 0.1, 0.2, 0.3, 0.5, 1.0), fade),
    "swap": Fault("two channels swapped", "of the pictures", SHARES, swap),
    "invent": Fault("people invented", "of the pictures", SHARES, invent),
    "lose": Fault("people lost", "of the pictures", SHARES, lose),
    "color": Fault("colours in the wrong order", "of the pictures", SHARES),
    "brightness": Fault("inputs brighter", "of 255", (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)),
    "calibration": Fault("calibrated on darker pictures", "times", (0.5, 0.2, 0.1, 0.05, 0.02)),
}


def wrong_colors(tensor: Array, share: float, setting: Setting, mean: Array, std: Array) -> Array:
    """Return a (3, h, w) input with red and blue changed over, in a share of the pictures."""
    if not setting.hit(share):
        return tensor
    return ((tensor * std + mean)[::-1] - mean) / std


def brighter(tensor: Array, levels: float, _: Setting, mean: Array, std: Array) -> Array:
    """Return a (3, h, w) input whose pixels are as many levels brighter."""
    pixels = (tensor * std + mean + np.float32(levels)).clip(0, 255)
    brighter_tensor: Array = (pixels - mean) / std
    return brighter_tensor


INPUT_FAULTS = {"color": wrong_colors, "brightness": brighter}
