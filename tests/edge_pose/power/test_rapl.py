from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_pose.errors import PowerError
from edge_pose.power.rapl import RaplMeter
from edge_pose.power.recorder import EnergyRecorder

RANGE_UJ = 262_143_328_850


def meter(root: Path, fake_time: SimpleNamespace) -> RaplMeter:
    return RaplMeter(root, clock=fake_time.clock, sleep=fake_time.sleep)


def set_energy(powercap: Path, entry: str, value_uj: object) -> None:
    (powercap / entry / "energy_uj").write_text(f"{value_uj}\n")


def test_sum_of_the_packages_only(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    rapl = meter(tmp_path, fake_time)
    assert (rapl.name, rapl.source) == ("rapl", "measured")
    assert rapl.detail == "processor energy counter of package-0, package-1"
    set_energy(powercap, "intel-rapl:0", 1_000_000_000 + 30_000_000)
    set_energy(powercap, "intel-rapl:1", 2_000_000_000 + 20_000_000)
    for entry in ("intel-rapl:0:0", "intel-rapl:1:0", "intel-rapl:2", "intel-rapl-mmio:0"):
        set_energy(powercap, entry, 9_000_000_000)
    fake_time.now_s += 2.0
    assert rapl.read_w() == pytest.approx(25.0)  # 50 J in 2 s
    rapl.close()


def test_mean_since_the_previous_call(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    rapl = meter(tmp_path, fake_time)
    for energy_uj, watts in ((1_010_000_000, 10.0), (1_013_000_000, 3.0), (1_013_000_000, 0.0)):
        set_energy(powercap, "intel-rapl:0", energy_uj)
        fake_time.now_s += 1.0
        assert rapl.read_w() == pytest.approx(watts)


def test_counter_that_wraps(powercap: Path, tmp_path: Path, fake_time: SimpleNamespace) -> None:
    set_energy(powercap, "intel-rapl:0", RANGE_UJ - 4_000_000)
    rapl = meter(tmp_path, fake_time)
    set_energy(powercap, "intel-rapl:0", 6_000_000)
    fake_time.now_s += 1.0
    assert rapl.read_w() == pytest.approx(10.0)


def test_waits_until_the_counters_have_moved(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    rapl = meter(tmp_path, fake_time)
    set_energy(powercap, "intel-rapl:0", 1_000_200_000)
    assert rapl.read_w() == pytest.approx(10.0)  # 0.2 J in 0.02 s
    assert fake_time.slept_s == pytest.approx(0.02)


def test_machine_without_rapl(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match=r"rapl: no package domain in .*: no Intel or AMD"):
        RaplMeter(tmp_path)


def test_permission_denied_says_what_to_do(
    powercap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, whom no file mode stops.
    read_text = Path.read_text

    def refuse(file: Path, *args: str, **kwargs: str) -> str:
        if file.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(file, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PowerError) as caught:
        RaplMeter(tmp_path)
    text = str(caught.value)
    assert "energy_uj: permission denied: run as root, or " in text
    assert f"`sudo chmod a+r {powercap}/intel-rapl:*/energy_uj`" in text
    assert "\n" not in text


def test_counter_that_vanishes(powercap: Path, tmp_path: Path, fake_time: SimpleNamespace) -> None:
    rapl = meter(tmp_path, fake_time)
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    fake_time.now_s += 1.0
    with pytest.raises(PowerError, match="cannot be read: No such file"):
        rapl.read_w()


def test_counter_that_is_no_number(powercap: Path, tmp_path: Path) -> None:
    set_energy(powercap, "intel-rapl:1", "n/a")
    with pytest.raises(PowerError, match="found 'n/a', expected a whole number"):
        RaplMeter(tmp_path)


def test_parts_that_cannot_be_read_are_left_out(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    for entry in ("intel-rapl:0:1", "intel-rapl-mmio:0", "intel-rapl:2"):
        (powercap / entry / "energy_uj").unlink()
    (powercap / "intel-rapl:1:0/max_energy_range_uj").unlink()
    rapl = meter(tmp_path, fake_time)
    set_energy(powercap, "intel-rapl:0", 1_005_000_000)
    fake_time.now_s += 1.0
    assert rapl.read_w() == pytest.approx(5.0)
    assert set(rapl.rails_w) == {"package-0", "package-1", "package-0 core"}


def test_part_that_vanishes_does_not_lose_the_meter(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    rapl = meter(tmp_path, fake_time)
    (powercap / "intel-rapl:0:1/energy_uj").unlink()
    for joules in (3, 7):
        set_energy(powercap, "intel-rapl:0", 1_000_000_000 + joules * 1_000_000)
        fake_time.now_s += 1.0
        rapl.read_w()
    assert rapl.counted_j == pytest.approx(7.0)
    assert "package-0 dram" not in rapl.rails_w
    assert "package-1 dram" in rapl.rails_w


def test_mmio_counts_where_the_msr_cannot_be_read(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    (powercap / "intel-rapl:0/energy_uj").unlink()
    rapl = meter(tmp_path, fake_time)
    set_energy(powercap, "intel-rapl-mmio:0", 1_000_500_000 + 4_000_000)
    fake_time.now_s += 1.0
    assert rapl.read_w() == pytest.approx(4.0)


def test_hint_names_the_files_that_were_refused(
    powercap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for entry in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1"):
        (powercap / entry).unlink()
    read_text = Path.read_text

    def refuse(file: Path, *args: str, **kwargs: str) -> str:
        if file.name == "energy_uj" and "mmio" in str(file):
            raise PermissionError(13, "Permission denied")
        return read_text(file, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PowerError) as caught:
        RaplMeter(tmp_path)
    assert f"`sudo chmod a+r {powercap}/intel-rapl-mmio:*/energy_uj`" in str(caught.value)


def test_nothing_after_the_end_is_counted(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    with EnergyRecorder(meter(tmp_path, fake_time), 3600, clock=fake_time.clock) as recorder:
        before_s = fake_time.slept_s
        for joules in (10, 10.05):  # the last 5 ms are shorter than the usual window
            set_energy(powercap, "intel-rapl:0", 1_000_000_000 + round(joules * 1_000_000))
            fake_time.now_s += 1.0 if joules == 10 else 0.005
            if joules == 10:
                recorder.sample()
    summary = recorder.summary()
    assert fake_time.slept_s == before_s
    assert summary.duration_s == pytest.approx(1.005)
    assert summary.energy_j == pytest.approx(10.05)
    assert summary.mean_w == pytest.approx(10.0)


def test_parts_of_a_package_are_shown_and_not_added(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    rapl = meter(tmp_path, fake_time)
    for entry, energy_uj in (
        ("intel-rapl:0", 1_000_000_000 + 10_000_000),
        ("intel-rapl:0:0", 700_000_000 + 6_000_000),
        ("intel-rapl:0:1", 90_000_000 + 2_000_000),
        ("intel-rapl:1:0", 80_000_000 + 3_000_000),
    ):
        set_energy(powercap, entry, energy_uj)
    fake_time.now_s += 1.0
    assert rapl.read_w() == pytest.approx(10.0)
    assert rapl.rails_w == {
        "package-0": pytest.approx(10.0),
        "package-1": pytest.approx(0.0),
        "package-0 core": pytest.approx(6.0),
        "package-0 dram": pytest.approx(2.0),
        "package-1 dram": pytest.approx(3.0),
    }
    assert rapl.scope == "package"


def test_energy_is_counted_over_a_wrap(
    powercap: Path, tmp_path: Path, fake_time: SimpleNamespace
) -> None:
    set_energy(powercap, "intel-rapl:0", RANGE_UJ - 4_000_000)
    rapl = meter(tmp_path, fake_time)
    for energy_uj, counted_j in ((RANGE_UJ - 1_000_000, 3.0), (6_000_000, 10.0)):
        set_energy(powercap, "intel-rapl:0", energy_uj)
        fake_time.now_s += 1.0
        rapl.read_w()
        assert rapl.counted_j == pytest.approx(counted_j)


def test_amd(copy_of: Callable[[str], Path], fake_time: SimpleNamespace) -> None:
    root = copy_of("amd_ryzen_coral_usb")
    rapl = meter(root, fake_time)
    domain = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    domain.write_text("9812000000\n")
    fake_time.now_s += 1.0
    assert rapl.read_w() == pytest.approx(12.0)
    assert set(rapl.rails_w) == {"package-0", "package-0 core"}


def test_psys_is_no_package(copy_of: Callable[[str], Path], fake_time: SimpleNamespace) -> None:
    root = copy_of("core_i5_8250u")
    rapl = meter(root, fake_time)
    (root / "sys/class/powercap/intel-rapl:1/energy_uj").write_text("99000000000\n")
    fake_time.now_s += 1.0
    assert rapl.read_w() == 0.0
    assert "psys" not in rapl.rails_w
