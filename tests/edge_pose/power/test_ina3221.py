from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_pose.errors import PowerError
from edge_pose.power import open_meter
from edge_pose.power.ina3221 import Ina3221Meter
from edge_pose.profile import load_profile

Tree = Callable[[str], Path]
HWMON = "sys/class/hwmon/hwmon1"


def test_module_input_is_the_total_and_its_parts_are_not_added(tree: Tree) -> None:
    meter = Ina3221Meter(tree("jetson_orin_nano"))
    assert meter.read_w() == pytest.approx(5.064 * 0.976)
    assert meter.rails_w == {
        "VDD_IN": pytest.approx(5.064 * 0.976),
        "VDD_CPU_GPU_CV": pytest.approx(5.064 * 0.184),
        "VDD_SOC": pytest.approx(5.056 * 0.280),
    }
    assert (meter.name, meter.source, meter.scope, meter.averages) == (
        "ina3221", "measured", "board", False,
    )  # fmt: skip
    assert meter.detail == "VDD_IN of 3 rails"


def test_older_driver(tree: Tree) -> None:
    meter = Ina3221Meter(tree("jetson_nano"))
    assert meter.read_w() == pytest.approx(3.271)  # 5112 mV · 640 mA in whole mW
    assert set(meter.rails_w) == {"POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"}
    assert meter.detail == "POM_5V_IN of 3 rails"


def test_without_an_input_rail_the_sum_leaves_out_parts_of_other_rails(tree: Tree) -> None:
    expected_w = 19.808 * 0.241 + 19.808 * 0.040 + 4.992 * 0.916
    meter = Ina3221Meter(tree("jetson_agx_orin"))
    assert meter.read_w() == pytest.approx(expected_w)
    assert "VDDQ_VDD2_1V8AO" in meter.rails_w
    assert "NC" not in meter.rails_w
    by_profile = open_meter("ina3221", load_profile("jetson_agx_orin"), tree("jetson_agx_orin"))
    assert by_profile.read_w() == pytest.approx(expected_w)


def test_rails_of_the_profile_come_first(tree: Tree) -> None:
    meter = Ina3221Meter(tree("jetson_orin_nano"), ["VDD_CPU_GPU_CV", "VDD_SOC"])
    assert meter.read_w() == pytest.approx(5.064 * 0.184 + 5.056 * 0.280)


@pytest.mark.parametrize(
    ("name", "rails", "text"),
    [
        ("jetson_orin_nano", ["VDD_CPU_GPU_CV", "VDD_IN"], "VDD_CPU_GPU_CV beside VDD_IN, which"),
        ("jetson_orin_nano", ["VDD_IN", "VDD_IN"], "VDD_IN twice"),
        ("jetson_orin_nano", ["VDD_SOC", "VDD_SOC"], "VDD_SOC twice"),
        (
            "jetson_agx_orin",
            ["VDD_GPU_SOC", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"],
            "VDDQ_VDD2_1V8AO beside VIN_SYS_5V0, which",
        ),
    ],
)
def test_rails_of_a_profile_that_would_count_twice(
    name: str, rails: list[str], text: str, tree: Tree
) -> None:
    with pytest.raises(PowerError, match=f"^ina3221: the profile counts rail {text}"):
        Ina3221Meter(tree(name), rails)


@pytest.mark.parametrize("name", ["jetson_orin_nano", "jetson_nano", "jetson_agx_orin"])
def test_all_rails_of_a_board_are_refused(name: str, tree: Tree) -> None:
    meter = Ina3221Meter(tree(name))
    meter.read_w()
    with pytest.raises(PowerError, match=r"beside \w+, which holds it: leave one out"):
        Ina3221Meter(tree(name), list(meter.rails_w))


def test_profile_of_another_board(tree: Tree) -> None:
    with pytest.raises(PowerError, match=r"rail POM_5V_IN of the profile is not there \(found: V"):
        Ina3221Meter(tree("jetson_orin_nano"), ["POM_5V_IN"])


def test_both_links_to_one_chip_count_once(copy_of: Tree) -> None:
    root = copy_of("jetson_nano")
    folder = root / "sys/bus/i2c/drivers/ina3221x/6-0040"
    (folder / "iio_device").symlink_to(folder / "iio:device0")
    assert Ina3221Meter(root).read_w() == pytest.approx(3.271)


def test_channel_that_is_switched_off(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    (root / HWMON / "in2_enable").write_text("0\n")
    meter = Ina3221Meter(root)
    assert meter.read_w() == pytest.approx(5.064 * 0.976)
    assert set(meter.rails_w) == {"VDD_IN", "VDD_SOC"}


def test_an_input_rail_that_is_switched_off_is_not_replaced_by_its_parts(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    (root / HWMON / "in1_enable").write_text("0\n")
    with pytest.raises(PowerError, match=r"rail VDD_IN is switched off: write 1 to .*in1_enable"):
        Ina3221Meter(root)


def test_rails_that_are_named_do_not_need_the_input_rail(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    (root / HWMON / "in1_enable").write_text("0\n")
    meter = Ina3221Meter(root, rails=("VDD_SOC",))
    assert meter.read_w() == pytest.approx(5.056 * 0.280)
    assert "VDD_IN" not in meter.rails_w
    with pytest.raises(PowerError, match="rail VDD_IN is switched off: write 1 to"):
        Ina3221Meter(root, rails=("VDD_IN",))


def test_an_input_rail_that_is_on_in_another_chip_is_taken(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    shutil.copytree(root / HWMON, root / HWMON.replace("hwmon1", "hwmon9"))
    (root / HWMON / "in1_enable").write_text("0\n")
    assert Ina3221Meter(root).read_w() == pytest.approx(5.064 * 0.976)


def test_a_chip_with_every_channel_switched_off_says_so(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    for number in "123":
        (root / HWMON / f"in{number}_enable").write_text("0\n")
    with pytest.raises(PowerError, match="rail VDD_IN is switched off"):
        Ina3221Meter(root)


@pytest.mark.parametrize("name", ["update_interval", "shunt1_resistor", "in1_enable"])
def test_optional_files_that_cannot_be_used_do_not_cost_the_meter(name: str, copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    (root / HWMON / name).write_text("unknown\n")
    meter = Ina3221Meter(root)
    assert meter.read_w() == pytest.approx(5.064 * 0.976)
    assert (meter.accuracy.offset_w > 0) is (name != "shunt1_resistor")


def test_how_often_the_chip_has_a_new_reading(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    assert Ina3221Meter(root).accuracy.update_s == 0.0  # this kernel does not say it
    (root / HWMON / "update_interval").write_text("845\n")
    assert Ina3221Meter(root).accuracy.update_s == pytest.approx(0.845)


def test_error_of_the_chip_follows_its_shunt(tree: Tree) -> None:
    accuracy = Ina3221Meter(tree("jetson_orin_nano")).accuracy
    assert accuracy.offset_w == pytest.approx(80e-6 / 0.005 * 5.064)  # 16 mA
    assert accuracy.resolution_w == pytest.approx(40e-6 / 0.005 * 5.064)
    assert Ina3221Meter(tree("jetson_nano")).accuracy.offset_w == 0  # nobody says its shunt


def test_not_a_jetson(tree: Tree) -> None:
    with pytest.raises(PowerError, match=r"ina3221: no such sensor in .*: not a Jetson, or a con"):
        Ina3221Meter(tree("raspberry_pi_5"))


def test_rail_that_vanishes(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    meter = Ina3221Meter(root)
    (root / HWMON / "curr2_input").unlink()
    with pytest.raises(PowerError, match="curr2_input: cannot be read: No such file"):
        meter.read_w()


def test_reading_that_is_no_number(copy_of: Tree) -> None:
    root = copy_of("jetson_orin_nano")
    meter = Ina3221Meter(root)
    (root / HWMON / "curr1_input").write_text("0x10\n")
    with pytest.raises(PowerError, match="found '0x10', expected a whole number"):
        meter.read_w()
