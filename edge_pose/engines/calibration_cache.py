"""TensorRT's calibration cache: the scale of every tensor, as text.

    TRT-8502-EntropyCalibration2
    image: 3c010a14

The first line names the version; TensorRT skips a cache of another one and would calibrate anew.
Then one tensor per line: its name in the ONNX file and the float32 scale, big-endian, in
hexadecimal. Integers are symmetric: real = scale * (-127 … 127).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping

from edge_pose.errors import ArtifactError

UNKNOWN_VERSION = "8502"  # of JetPack 5; the builder writes its own before it builds
LARGEST = 127
_HEADER = re.compile(r"TRT-\d+-EntropyCalibration2")
_LINE = re.compile(r"(\S.*): ([0-9a-f]{8})")


def format_cache(ranges: Mapping[str, tuple[float, float]], version: str = UNKNOWN_VERSION) -> str:
    """Return the cache for (lowest, highest) of each tensor."""
    lines = [f"TRT-{version}-EntropyCalibration2"]
    for name in sorted(ranges):
        largest = max(abs(limit) for limit in ranges[name])
        scale = struct.pack("!f", largest / LARGEST)
        if largest > 0:  # a tensor that is always zero has no scale
            lines.append(f"{name}: {scale.hex()}")
    return "\n".join(lines) + "\n"


def parse_cache(text: str, where: str) -> dict[str, float]:
    """Return the scale of each tensor.

    Args:
        text: content of the file.
        where: its name, for messages.

    Raises:
        ArtifactError: it is not a calibration cache.
    """
    header, *lines = text.splitlines() or [""]
    if not _HEADER.fullmatch(header):
        raise ArtifactError(f"{where}: not a calibration cache: it begins with {header[:40]!r}")
    scales = {}
    for number, line in enumerate(lines, start=2):
        found = _LINE.fullmatch(line)
        scale = struct.unpack("!f", bytes.fromhex(found[2]))[0] if found else 0.0
        if found is None or not (math.isfinite(scale) and scale > 0):
            message = f"line {number}: found {line[:40]!r}, expected 'tensor: scale' in hexadecimal"
            raise ArtifactError(f"{where}: {message}")
        scales[found[1]] = scale
    return scales


def with_version(text: str, version: str) -> str:
    """Return the cache as a builder of this version takes it."""
    return _HEADER.sub(f"TRT-{version or UNKNOWN_VERSION}-EntropyCalibration2", text, count=1)
