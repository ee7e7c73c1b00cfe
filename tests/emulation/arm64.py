"""Run edge_pose on emulated 64-bit Arm and compare its keypoints with those of this machine.

    python tests/emulation/arm64.py ARTIFACT... [--work FOLDER] [--cpu cortex-a72]

A Debian userland for arm64 is put together from packages, without root and without running any
maintainer script, and the arm64 wheels of the runtime and its dependencies are unpacked beside it;
`qemu-aarch64-static` then runs its Python. This shows that the wheels load, that the kernels that
they choose on such a processor run, and that the keypoints agree. It says nothing about speed.

Needs Debian or Ubuntu with `apt-get`, `dpkg-deb` and `qemu-aarch64-static` (package
qemu-user-static), and the machine's usual package sources.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("estimate.py")
QEMU = "qemu-aarch64-static"
TOOLS = (QEMU, "apt-get", "dpkg-deb")
SIZE = (256, 256)  # px of the pictures
EXTRAS = ("onnx", "tflite")
GLIBC = (17, 27, 28, 31, 34, 35)
CPUS = {
    # MIDR part number and features as the kernel prints them (Arm's manuals of these cores).
    "cortex-a72": ("0xd08", "fp asimd evtstrm crc32 cpuid"),  # Raspberry Pi 4
    "cortex-a76": (  # Raspberry Pi 5
        "0xd0b",
        "fp asimd evtstrm crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc asimddp",
    ),
}
TOLERANCE_PX = {"fp32": 0.01, "fp16": 0.5, "dynamic_int8": 0.5, "int8": 2.0}
"""Of the median keypoint, input px: integer kernels may round in another order."""


class UnavailableError(Exception):
    """A tool, or the packages for arm64, cannot be had here."""


@dataclass(frozen=True, slots=True)
class Arm64:
    """An unpacked userland.

    Attributes:
        root: of the userland.
        python: its interpreter.
        packages: folder with the wheels' content.
    """

    root: Path
    python: Path
    packages: Path

    def estimate(self, artifact: str, pictures: Path, cpu: str) -> dict[str, Any]:
        """Return what `estimate.py` says, run on an emulated processor of CPUS."""
        part, features = CPUS[cpu]
        # The runtimes look here for the core they are on, and crash when they find x86.
        (self.root / "proc").mkdir(exist_ok=True)
        (self.root / "proc/cpuinfo").write_text(
            f"processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: {features}\n"
            f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: {part}\nCPU revision\t: 3\n\n"
        )
        environment = {
            "PATH": os.environ["PATH"],
            "QEMU_CPU": cpu,
            "PYTHONHOME": str(self.root / "usr"),
            "PYTHONPATH": os.pathsep.join((str(self.packages), str(ROOT))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.root),
        }
        command = [QEMU, "-L", str(self.root), str(self.python)]
        return _estimate(command, artifact, pictures, environment)


def here(artifact: str, pictures: Path) -> dict[str, Any]:
    """Return what `estimate.py` says on this machine."""
    return _estimate([sys.executable], artifact, pictures, {**os.environ, "PYTHONPATH": str(ROOT)})


def _estimate(
    command: list[str], artifact: str, pictures: Path, environment: dict[str, str]
) -> dict[str, Any]:
    command = [*command, str(CHILD), artifact, str(pictures)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit code {done.returncode}: {done.stderr[-2000:]}")
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def prepare(work: Path) -> Arm64:
    """Collect the userland and the wheels below `work`; what is there already is kept.

    Raises:
        UnavailableError: a tool is missing or a package cannot be had.
    """
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise UnavailableError(f"{tool}: not installed, apt-get install qemu-user-static")
    work = work.resolve()
    root, packages, done = work / "root", work / "packages", work / "complete"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(packages, ignore_errors=True)
        _unpack_debian(work, root)
        _unpack_wheels(_python(root), packages)
        done.touch()
    return Arm64(root, _python(root), packages)


def _unpack_debian(work: Path, root: Path) -> None:
    """Unpack Python and the C++ library for arm64 with all that they depend on."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "status").touch()  # nothing is installed there, so every dependency is fetched
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State::Lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Debug::NoLocking": "1",
    }
    options = [text for key, value in settings.items() for text in ("-o", f"{key}={value}")]
    _call("apt-get", *options, "update", "-qq")
    wanted = ("python3", "libstdc++6", "libgomp1")
    flags = ("-qq", "-y", "--no-install-recommends", "--download-only")
    _call("apt-get", *options, "install", *flags, *wanted)
    for package in sorted((work / "cache/archives").glob("*.deb")):
        _call("dpkg-deb", "-x", str(package), str(root))


def _python(root: Path) -> Path:
    found = sorted(p for p in root.glob("usr/bin/python3.*") if p.name[8:].isdigit())
    if not found:
        raise UnavailableError(f"{root}: the packages for arm64 hold no Python")
    return found[-1]


def _unpack_wheels(python: Path, packages: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    platforms = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in GLIBC)]
    tags = [text for platform in platforms for text in ("--platform", platform)]
    version = python.name.removeprefix("python")
    _call(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"),
        *("--target", str(packages), "--python-version", version, "--implementation", "cp"),
        *("--only-binary=:all:", "--no-compile", "-c", str(ROOT / "constraints.txt")),
        *tags,
        *wanted,
    )


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise UnavailableError(f"{Path(command[0]).name}: exit code {done.returncode}: {reason}")


def write_pictures(folder: Path, frames: tuple[int, ...] = (20, 60, 100)) -> None:
    """Write the person of some frames of the walking clip, cut out, as PNG files."""
    import cv2

    import edge_pose
    from edge_pose.preprocess import bbox_region, crop, region_affine
    from edge_pose.samples import WALKING

    capture = cv2.VideoCapture(str(WALKING))
    with edge_pose.load("default") as estimator:
        for frame in frames:
            capture.set(cv2.CAP_PROP_POS_FRAMES, frame)
            _, image = capture.read()
            person = estimator(image)[0]
            matrix = region_affine(bbox_region(person.bbox_xyxy, SIZE, estimator.padding), SIZE)
            cv2.imwrite(str(folder / f"{frame:04}.png"), crop(image, matrix, SIZE))


def compare(arm: Arm64, artifact: str, pictures: Path, cpu: str) -> dict[str, Any]:
    """Run an artifact on both machines; distances in px of the network's input."""
    ours, theirs = here(artifact, pictures), arm.estimate(artifact, pictures, cpu)
    pairs = zip(ours["keypoints"], theirs["keypoints"], strict=True)
    apart = sorted(
        ((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5
        for one, other in pairs
        for (ax, ay), (bx, by) in zip(one, other, strict=True)
    )
    return {
        "artifact": ours["name"],
        "backend": theirs["backend"],
        "version": theirs["version"],
        "machine": theirs["machine"],
        "cpu": cpu,
        "precision": ours["precision"],
        "keypoints": len(apart),
        "median_px": apart[len(apart) // 2],
        "p95_px": apart[int(len(apart) * 0.95)],
        "largest_px": apart[-1],
        "agrees": apart[len(apart) // 2] <= TOLERANCE_PX[ours["precision"]],
    }


def main() -> None:
    """Compare the artifacts that are named; exit code 1 where one differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifacts", nargs="+", help="Artifact folders, or shipped names.")
    parser.add_argument("--work", type=Path, default=ROOT / ".arm64", help="Where to unpack.")
    parser.add_argument("--cpu", choices=CPUS, default="cortex-a72")
    chosen = parser.parse_args()
    try:
        arm = prepare(chosen.work)
    except UnavailableError as error:
        sys.exit(f"arm64: {error}")
    with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder:
        write_pictures(Path(folder))
        rows = [compare(arm, name, Path(folder), chosen.cpu) for name in chosen.artifacts]
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")
    sys.exit(0 if all(row["agrees"] for row in rows) else 1)


if __name__ == "__main__":
    main()
