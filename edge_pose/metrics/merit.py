"""One number for accuracy and cost together."""

from __future__ import annotations


def weighted_mean(
    pckh: float, madds: float, params: float, base: tuple[float, float, float]
) -> float:
    """Return the figure of merit of "To Perceive or Not to Perceive" in percent.

    0.8 of the change of PCKh minus 0.1 of the change of operations and 0.1 of that of parameters
    (https://arxiv.org/abs/2302.04815, Table 1).

    Args:
        pckh: accuracy, percent.
        madds: operations, in the base's unit.
        params: parameters, in the base's unit.
        base: (pckh, madds, params) of the network that it is relative to, none of them 0.
    """
    changes = [100 * (new / old - 1) for new, old in zip((pckh, madds, params), base, strict=True)]
    return 0.8 * changes[0] - 0.1 * changes[1] - 0.1 * changes[2]
