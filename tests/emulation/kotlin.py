"""Compile examples/android and run it on a Java machine, without Android.

    python tests/emulation/kotlin.py ARTIFACT... [--json-jar FILE]

Small stand-ins for Android's bitmaps and assets (the folder `android`) and LiteRT in a Python
process take the place of the telephone; everything else is the example itself. Its keypoints are
compared with edge_pose's for the same regions of frames of the shipped clip.

Needs `java`, `kotlinc` (npm's package kotlin-compiler has it) and Android's org.json (Debian's
package libandroid-json-java).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import edge_pose
from edge_pose.artifact import artifact_folder
from edge_pose.config import CROP_PADDING
from edge_pose.preprocess import Region, bbox_region
from edge_pose.samples import WALKING
from edge_pose.types import FloatArray, Image

ROOT = Path(__file__).parents[2]
STAND_INS = Path(__file__).with_name("android")
EXAMPLE = ROOT / "examples" / "android"
JSON_JAR = Path("/usr/share/java/com.android.json.jar")
FRAMES = (30, 90, 150)


def main() -> int:
    """Print a line per artifact and frame: how far the keypoints lie apart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifacts", nargs="+", help="Folders or shipped names; TFLite files.")
    parser.add_argument("--json-jar", type=Path, default=JSON_JAR, help="Android's org.json.")
    chosen = parser.parse_args()
    for tool in ("java", "kotlinc"):
        if shutil.which(tool) is None:
            sys.exit(f"kotlin: {tool} is not on the PATH")
    with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder:
        program = Path(folder) / "example.jar"
        compile_example(program, chosen.json_jar)
        for name in chosen.artifacts:
            for index in FRAMES:
                compare(name, index, f"{program}:{chosen.json_jar}", Path(folder) / "picture.png")
    return 0


def compile_example(program: Path, json_jar: Path) -> None:
    """Compile the example with its stand-ins into a jar."""
    sources = [*sorted(EXAMPLE.glob("*.kt")), *sorted(STAND_INS.glob("*.kt"))]
    options = ["-nowarn", "-include-runtime", "-classpath", str(json_jar), "-d", str(program)]
    subprocess.run(["kotlinc", *options, *map(str, sources)], check=True)


def compare(name: str, index: int, classpath: str, picture: Path) -> None:
    """Look at one frame twice, all of it and close to the person."""
    estimator = edge_pose.load(name, threads=1)
    image = frame(index)
    cv2.imwrite(str(picture), image)
    box = estimator(image)[0].bbox_xyxy
    height, width = image.shape[:2]
    regions = {
        "whole": bbox_region(
            np.array([0, 0, width - 1, height - 1], np.float32), estimator.input_size, 1.0
        ),
        "close": bbox_region(box, estimator.input_size, CROP_PADDING),
    }
    for view, region in regions.items():
        expected = estimator.estimate(image, region)
        found = run(classpath, artifact_folder(name), picture, region)
        px = np.linalg.norm(found[:, :2] - expected.keypoints, axis=1)
        sys.stdout.write(
            f"{name} frame {index} {view}, region {region.size[0]:.0f} px:"
            f" median {np.median(px):.3f} px, largest {px.max():.3f} px,"
            f" scores {np.abs(found[:, 2] - expected.scores).max():.3f}\n"
        )


def run(classpath: str, artifact: Path, picture: Path, region: Region) -> FloatArray:
    """Return (K, 3): what the example makes of a region."""
    interpreter = f"{sys.executable}\n{STAND_INS / 'interpreter.py'}"
    numbers = [str(float(value)) for value in (*region.center, *region.size)]
    command = ["java", f"-Dinterpreter={interpreter}", "-cp", classpath, "MainKt"]
    done = subprocess.run(
        [*command, str(artifact), str(picture), *numbers],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return np.array([line.split() for line in done.stdout.splitlines()], np.float32)


def frame(index: int) -> Image:
    """Return a frame of the shipped clip."""
    clip = cv2.VideoCapture(str(WALKING))
    for _ in range(index + 1):
        _, image = clip.read()
    return np.asarray(image, np.uint8)


if __name__ == "__main__":
    sys.exit(main())
