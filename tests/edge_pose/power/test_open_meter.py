from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_pose.errors import PowerError, UsageError
from edge_pose.power import METERS, EnergyRecorder, open_meter
from edge_pose.profile import load_profile

PROFILE = load_profile("generic_x86_64")


def test_auto_measures_where_it_can(powercap: Path, tmp_path: Path) -> None:
    assert open_meter("auto", PROFILE, tmp_path).source == "measured"


def test_auto_estimates_elsewhere_and_says_why(
    tmp_path: Path, write_stat: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_stat(1, 1, 1, 1, 1, 1, 1, 1)
    meter = open_meter("auto", load_profile("raspberry_pi_4"), tmp_path)
    assert meter.source == "estimated"
    assert "3.06 W idle to 6.12 W busy (profile raspberry_pi_4)" in meter.detail
    assert "rapl: no package domain" in caplog.text


@pytest.mark.parametrize("name", METERS)
def test_every_meter_by_name(
    name: str, powercap: Path, tmp_path: Path, write_stat: Callable[..., None]
) -> None:
    write_stat(1, 1, 1, 1, 1, 1, 1, 1)
    meter = open_meter(name, PROFILE, tmp_path)
    assert meter.name == name
    assert meter.detail
    with EnergyRecorder(meter) as recorder:
        pass
    assert recorder.summary().samples == 2
    meter.close()
    meter.close()


def test_a_named_meter_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match="rapl: no package domain"):
        open_meter("rapl", PROFILE, tmp_path)


def test_unknown_meter() -> None:
    with pytest.raises(UsageError, match="power meter 'rapple': unknown, did you mean 'rapl'"):
        open_meter("rapple", PROFILE)
