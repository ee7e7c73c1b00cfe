"""Which profile fits which machine, on the trees under tests/fixtures/devices."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_pose.cli_devices import devices_command
from edge_pose.detect import BOARDS, MODELS, detect
from edge_pose.errors import ConfigError
from edge_pose.machine_facts import BUILD_PROP, CPUINFO, Machine
from edge_pose.profile import detect_profile, load_profile, profile_names

TREES = Path(__file__).parents[1] / "fixtures/devices"
COMPATIBLE = "proc/device-tree/compatible"
X86, ARM = ["generic_x86_64"], ["generic_aarch64"]
# tree: profile, what decided, what else fits
EXPECTED = {
    "amd_ryzen_coral_usb": ("generic_x86_64", "vendor_id AuthenticAMD", ["coral_edge_tpu"]),
    "android_phone": ("android_arm64", "system/build.prop: mainline", ARM),
    "android_phone_termux": ("android_arm64", "system/bin/getprop: is there", ARM),
    "arm_server": ("generic_aarch64", "proc/cpuinfo: aarch64", []),
    "core_i5_8250u": ("intel_cpu", "vendor_id GenuineIntel", [*X86, "intel_igpu"]),
    "core_ultra_7_155h": (
        "intel_cpu",
        "vendor_id GenuineIntel",
        [*X86, "intel_igpu", "intel_npu"],
    ),
    "intel_pc_coral_pcie": (
        "intel_cpu",
        "vendor_id GenuineIntel",
        [*X86, "intel_igpu", "coral_edge_tpu"],
    ),
    "jetson_agx_orin": ("jetson_agx_orin", f"{COMPATIBLE}: nvidia,p3737-0000+p3701-0005", ARM),
    "jetson_nano": ("jetson_nano", f"{COMPATIBLE}: nvidia,p3449-0000-b00+p3448-0000-b00", ARM),
    "jetson_orin_nano": ("jetson_orin_nano", f"{COMPATIBLE}: nvidia,p3768-0000+p3767-0005", ARM),
    "jetson_orin_nano_carrier": ("jetson_orin_nano", "p3767-0003", ARM),
    "jetson_orin_nx": ("generic_aarch64", "proc/cpuinfo: aarch64", ["jetson_orin_nano"]),
    "jetson_xavier_nx": ("jetson_xavier_nx", "nvidia,p3509-0000+p3668-0000", ARM),
    "lunar_lake_258v": (
        "intel_cpu",
        "vendor_id GenuineIntel",
        [*X86, "intel_igpu", "intel_npu"],
    ),
    "raspberry_pi_4": ("raspberry_pi_4", f"{COMPATIBLE}: raspberrypi,4-model-b", ARM),
    "raspberry_pi_4_coral": ("raspberry_pi_4", COMPATIBLE, [*ARM, "coral_edge_tpu"]),
    "raspberry_pi_5": ("raspberry_pi_5", f"{COMPATIBLE}: raspberrypi,5-model-b", ARM),
    "raspberry_pi_5_container": ("raspberry_pi_5", f"{CPUINFO}: Raspberry Pi 5 Model B", ARM),
    "raspberry_pi_cm4": ("generic_aarch64", "proc/cpuinfo: aarch64", ["raspberry_pi_4"]),
    "raspberry_pi_zero_2w": ("raspberry_pi_zero_2w", "raspberrypi,model-zero-2-w", ARM),
    "rock_5b": ("generic_aarch64", "proc/cpuinfo: aarch64", []),
    "virtual_machine": ("intel_cpu", "vendor_id GenuineIntel", X86),
    "xeon_server_cards": ("intel_cpu", "vendor_id GenuineIntel", X86),
}


def test_every_tree_has_an_answer_and_every_profile_a_tree() -> None:
    assert {tree.name for tree in TREES.iterdir() if tree.is_dir()} == set(EXPECTED)
    found = {profile for profile, _, _ in EXPECTED.values()}
    found |= {other for _, _, others in EXPECTED.values() for other in others}
    assert found == set(profile_names())


@pytest.mark.parametrize("tree", EXPECTED)
def test_trees(tree: str) -> None:
    profile, fact, others = EXPECTED[tree]
    found = detect(TREES / tree)
    assert found.profile == profile
    assert fact in "; ".join(map(str, found.facts))
    assert [other.profile for other in found.others] == others
    assert all(other.facts for other in found.others)
    assert found.arch in ("x86_64", "aarch64")
    assert detect_profile(TREES / tree).name == profile
    arch = load_profile(profile).arch
    assert arch == found.arch


def test_facts_name_files_of_the_tree() -> None:
    for tree in EXPECTED:
        found = detect(TREES / tree)
        for fact in [*found.facts, *(fact for other in found.others for fact in other.facts)]:
            assert (TREES / tree / fact.where).exists(), fact


def test_a_card_without_a_profile_is_noted() -> None:
    (note,) = detect(TREES / "xeon_server_cards").notes
    assert "0000:65:00.0: 10de:25b6" in note
    assert "an NVIDIA GPU" in note


@pytest.mark.parametrize(
    ("model", "machine", "name"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", "aarch64", "raspberry_pi_4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "aarch64", "raspberry_pi_5"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "aarch64", "raspberry_pi_zero_2w"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "armv7l", "raspberry_pi_zero_2w"),  # the 32-bit system
        ("Raspberry Pi Zero W Rev 1.1", "aarch64", "generic_aarch64"),
        ("Raspberry Pi 400 Rev 1.0", "aarch64", "generic_aarch64"),
        ("Raspberry Pi 500 Rev 1.0", "aarch64", "generic_aarch64"),
        ("Raspberry Pi Compute Module 5 Rev 1.0", "aarch64", "generic_aarch64"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "aarch64", "generic_aarch64"),
        ("NVIDIA Jetson Nano Developer Kit", "aarch64", "jetson_nano"),
        ("NVIDIA Jetson Nano 2GB Developer Kit", "aarch64", "generic_aarch64"),
        ("NVIDIA Jetson Xavier NX Developer Kit", "aarch64", "jetson_xavier_nx"),
        ("NVIDIA Jetson AGX Xavier Developer Kit", "aarch64", "generic_aarch64"),
        ("NVIDIA Jetson Orin Nano Developer Kit", "aarch64", "jetson_orin_nano"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "aarch64", "jetson_agx_orin"),
        (None, "aarch64", "generic_aarch64"),
        (None, "arm64", "generic_aarch64"),
        (None, "x86_64", "generic_x86_64"),
        (None, "AMD64", "generic_x86_64"),
    ],
)
def test_a_model_alone(tmp_path: Path, model: str | None, machine: str, name: str) -> None:
    if model is not None:
        put(tmp_path, "sys/firmware/devicetree/base/model", model + "\0")
    assert detect_profile(tmp_path, machine).name == name


@pytest.mark.parametrize(
    ("names", "profile", "relative"),
    [
        ("nvidia,p3542-0000+p3448-0003\0nvidia,tegra210", "generic_aarch64", "jetson_nano"),
        ("nvidia,p3450-0000\0nvidia,tegra210", "jetson_nano", None),
        ("nvidia,p3509-0000+p3668-0003\0nvidia,tegra194", "jetson_xavier_nx", None),
        ("nvidia,p2972-0000\0nvidia,tegra194", "generic_aarch64", "jetson_xavier_nx"),
        ("nvidia,p3768-0000+p3767-0004\0nvidia,tegra234", "generic_aarch64", "jetson_orin_nano"),
        ("nvidia,p3740-0002+p3701-0008\0nvidia,tegra234", "jetson_agx_orin", None),
        ("raspberrypi,400\0brcm,bcm2711", "generic_aarch64", "raspberry_pi_4"),
        ("raspberrypi,500\0brcm,bcm2712", "generic_aarch64", "raspberry_pi_5"),
        ("raspberrypi,3-model-b\0brcm,bcm2837", "generic_aarch64", "raspberry_pi_zero_2w"),
    ],
)
def test_variants_of_boards(tmp_path: Path, names: str, profile: str, relative: str | None) -> None:
    put(tmp_path, COMPATIBLE, names + "\0")
    found = detect(tmp_path, "aarch64")
    assert found.profile == profile
    others = {other.profile for other in found.others} - {"generic_aarch64"}
    assert others == ({relative} if relative else set())


def test_an_accelerator_is_no_machine(tmp_path: Path) -> None:
    put(tmp_path, "sys/bus/usb/devices/1-1/idVendor", "1a6e")
    put(tmp_path, "sys/bus/usb/devices/1-1/idProduct", "089a")
    with pytest.raises(ConfigError, match="none for machine 'riscv64'"):
        detect(tmp_path, "riscv64")


def test_intel_graphics_need_an_x86_processor_and_two_are_one(tmp_path: Path) -> None:
    for slot in ("0000:00:02.0", "0000:00:02.1"):
        for name, value in {"vendor": "0x8086", "device": "0x7d55", "class": "0x038000"}.items():
            put(tmp_path, f"sys/bus/pci/devices/{slot}/{name}", value)
    assert [other.profile for other in detect(tmp_path, "x86_64").others] == ["intel_igpu"]
    assert detect(tmp_path, "aarch64").others == ()


def test_android_on_x86_is_not_the_arm_profile(tmp_path: Path) -> None:
    put(tmp_path, BUILD_PROP, "ro.product.model=Chromebook\n")
    assert detect(tmp_path, "x86_64").profile == "generic_x86_64"
    assert detect(tmp_path, "aarch64").facts[-1].value == "Chromebook"


def test_rules_and_profiles_agree() -> None:
    assert set(BOARDS) == set(MODELS) <= set(profile_names())


def test_unknown_machines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"profile 'auto': none for machine 'riscv64' \(known: "):
        detect_profile(tmp_path, "riscv64")
    with pytest.raises(ConfigError, match=r"no file says what machine this is: name its profile"):
        detect_profile(tmp_path)


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    (tmp_path / CPUINFO).mkdir(parents=True)  # reading a folder fails for root, too
    (tmp_path / COMPATIBLE).mkdir(parents=True)
    put(tmp_path, "sys/bus/pci/devices", "a file where a folder is expected")
    put(tmp_path, "sys/bus/usb/devices/1-1/idVendor", b"\xff\xfe\x00")
    put(tmp_path, "sys/class/dmi/id/product_name", "")
    loop = tmp_path / "proc/device-tree/model"
    loop.symlink_to(loop)
    found = detect(tmp_path, "x86_64")
    assert (found.profile, found.machine, found.others) == ("generic_x86_64", "", ())
    machine = Machine(tmp_path)
    assert machine.read("no\0file") == ""
    assert list(machine.pci()) == list(machine.usb()) == []


def test_this_machine() -> None:
    found = detect()
    assert found.facts[0].value == platform.machine()
    assert load_profile("auto").name == found.profile


def run(*arguments: object) -> str:
    done = CliRunner().invoke(devices_command, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_says_why() -> None:
    text = run("--detect", "--root", TREES / "core_ultra_7_155h")
    assert "profile: intel_cpu (" in text
    assert "proc/cpuinfo: vendor_id GenuineIntel" in text
    assert "machine: ASUSTeK COMPUTER INC. NUC14RVH-B" in text
    npu = "sys/bus/pci/devices/0000:00:0b.0: 8086:7d1d, class 120000"
    assert f"fits, too: intel_npu ({npu})" in text
    assert "note: " in run("--detect", "--root", TREES / "xeon_server_cards")


def test_the_command_in_json() -> None:
    found = json.loads(run("--detect", "--root", TREES / "raspberry_pi_4_coral", "--json"))
    assert found["profile"] == "raspberry_pi_4"
    assert found["facts"] == [{"where": COMPATIBLE, "value": "raspberrypi,4-model-b"}]
    assert found["others"][1]["profile"] == "coral_edge_tpu"
    assert json.loads(run("--detect", "--json"))["profile"] == detect().profile


def put(root: Path, where: str, text: str | bytes) -> None:
    file = root / where
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
