from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.device_files import Named
from benchmarks.figure_text import LOST
from benchmarks.overview import HEAD, overview
from benchmarks.plan import MODES
from benchmarks.result import DeviceResult

Planted = Callable[..., DeviceResult]


def power_cells(result: DeviceResult) -> list[str]:
    """Return W, mJ/frame and AE."""
    (line,) = overview([Named("pi", result)])
    return [line.cells[HEAD.index(name)] for name in ("W", "mJ/frame", "AE")]


def lost_in(mode: str) -> dict[str, object]:
    power = f"{mode}__power__"
    return {f"{power}lost": "lost after 1 s: gone", f"{power}accuracy_fps_per_watt": None}


@pytest.mark.parametrize("mode", MODES)
def test_power_is_lost_only_where_that_of_the_mode_beside_it_is(
    mode: str, planted: Planted
) -> None:
    lost = power_cells(planted(**lost_in(mode)))
    assert lost == ([LOST] * 3 if mode == "offline" else power_cells(planted()))


def test_without_an_accuracy_there_is_no_ae_to_lose(planted: Planted) -> None:
    gone = planted(**lost_in("offline"))
    unknown = gone.artifact.model_copy(update={"accuracy": None})
    assert power_cells(gone.model_copy(update={"artifact": unknown})) == [LOST, LOST, "–"]
