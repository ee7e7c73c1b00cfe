from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_pose.errors import PowerError
from edge_pose.power import commands
from edge_pose.power.commands import commands_of, run
from edge_pose.power.rpi_pmic import RpiPmicMeter

Tree = Callable[[str], Path]


def says(text: str) -> Callable[[str, str], str]:
    return lambda *_: text


def test_sum_over_the_rails_with_current_and_voltage(tree: Tree) -> None:
    meter = RpiPmicMeter(commands_of(tree("raspberry_pi_5")))
    assert len(meter.rails_w) == 12
    assert not {"EXT5V", "BATT"} & set(meter.rails_w)  # voltages only
    assert meter.rails_w["VDD_CORE"] == pytest.approx(0.657 * 0.72)
    assert meter.read_w() == pytest.approx(sum(meter.rails_w.values()))
    assert meter.read_w() == pytest.approx(1.3703, abs=1e-4)  # by hand
    assert (meter.name, meter.source, meter.scope) == ("rpi_pmic", "measured", "board")


def test_by_hand() -> None:
    text = " A_A current(0)=2.0A\n A_V volt(1)=3.0V\n B_A current(2)=9.0A\n EXT5V_V volt(3)=5.1V\n"
    meter = RpiPmicMeter(says(text))
    assert meter.read_w() == pytest.approx(6.0)
    assert meter.rails_w == {"A": pytest.approx(6.0)}


def test_raspberry_pi_4_has_no_such_chip(tree: Tree) -> None:
    with pytest.raises(PowerError, match=r"found 'error=1 .*not registered.*only the Raspberry"):
        RpiPmicMeter(commands_of(tree("raspberry_pi_4")))


@pytest.mark.parametrize(
    ("problem", "hint"),
    [
        ("vcgencmd: not installed", "not a Raspberry Pi"),
        ("vcgencmd pmic_read_adc: failed: Can't open device file: /dev/vcio", "group video"),
        ("vcgencmd pmic_read_adc: no answer within 5 s", "no answer"),
    ],
)
def test_vcgencmd_that_fails(problem: str, hint: str) -> None:
    def fail(program: str, argument: str) -> str:
        raise PowerError(problem)

    with pytest.raises(PowerError, match=f"^rpi_pmic: {problem}.*{hint}|^rpi_pmic: .*{hint}"):
        RpiPmicMeter(fail)


def test_figures_that_are_none() -> None:
    with pytest.raises(PowerError, match=r"found '1\.2\.3', expected a number"):
        RpiPmicMeter(says("A_A current(0)=1.2.3A\nA_V volt(1)=1V\n"))


def test_run_a_program() -> None:
    assert run(sys.executable, "--version").startswith("Python 3")
    with pytest.raises(PowerError, match="no-such-program: not installed"):
        run("no-such-program", "x")
    with pytest.raises(PowerError, match="--no-such-option: failed: "):
        run(sys.executable, "--no-such-option")


def test_program_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "hang.py"
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(commands, "TIMEOUT_S", 0.5)
    with pytest.raises(PowerError, match=r"hang\.py: no answer within 0\.5 s"):
        run(sys.executable, str(script))


def test_program_that_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match="cannot be run: "):
        run(str(tmp_path), "x")


def test_this_machine_runs_programs() -> None:
    assert commands_of(Path("/")) is run
