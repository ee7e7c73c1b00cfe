from __future__ import annotations

import struct

import pytest

from edge_pose.engines.calibration_cache import format_cache, parse_cache, with_version
from edge_pose.errors import ArtifactError


def test_text_is_as_tensorrt_writes_it() -> None:
    # 1.0 / 127 is 3c010204 in float32; TensorRT writes the same for an input from -1 to 1.
    text = format_cache({"t1": (0.0, 6.0), "image": (-1.0, 0.5), "dead": (0.0, 0.0)}, "8203")
    assert text == f"TRT-8203-EntropyCalibration2\nimage: 3c010204\nt1: {hex_of(6 / 127)}\n"


def hex_of(scale: float) -> str:
    return struct.pack(">f", scale).hex()


def test_it_can_be_read_back() -> None:
    ranges = {"image": (-0.9, 0.3), "a: b": (-1e-9, 0.0), "t12": (3.0, 250.0)}
    scales = parse_cache(format_cache(ranges), "cache")
    assert scales == pytest.approx({"image": 0.9 / 127, "a: b": 1e-9 / 127, "t12": 250 / 127})


def test_a_cache_of_a_real_network_can_be_read() -> None:
    # The first lines of one that was posted in issue 2036 of NVIDIA/TensorRT.
    text = "TRT-8203-EntropyCalibration2\n167: 3c009976\n168: 3e5d05cc\n"
    scales = parse_cache(text, "cache")
    assert scales == pytest.approx({"167": 0.00784909, "168": 0.21584243})


def test_the_version_is_the_builders() -> None:
    text = format_cache({"x": (0, 1)})
    changed = with_version(text, "100300")
    assert changed.splitlines()[0] == "TRT-100300-EntropyCalibration2"
    assert parse_cache(changed, "c") == parse_cache(text, "c")
    assert with_version(text, "") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c: not a calibration cache: it begins with ''"),
        ("\x00\x01binary", "not a calibration cache"),
        ("TRT-8203-MinMaxCalibration\n", "not a calibration cache"),
        ("TRT-8203-EntropyCalibration2\nimage 3c010204\n", "line 2: found 'image 3c010204'"),
        ("TRT-8203-EntropyCalibration2\nx: 3c010204\ny: 3c01\n", "line 3"),
        ("TRT-8203-EntropyCalibration2\nx: 7f800000\n", "line 2"),  # infinite
        ("TRT-8203-EntropyCalibration2\nx: bc010204\n", "line 2"),  # negative
    ],
)
def test_what_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ArtifactError) as error:
        parse_cache(text, "c")
    assert message in str(error.value)
