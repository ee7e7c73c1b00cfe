"""What a manifest says of outputs: whole maps, and maps that come in several tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge_pose.artifact import load_artifact
from edge_pose.manifest import Manifest

Values = dict[str, Any]


@pytest.fixture
def values(detector_artifact: Path) -> Values:
    """A detector in TFLite, its only map in three tensors."""
    found = load_artifact(detector_artifact).manifest.model_dump(mode="json", by_alias=True)
    found["file"] |= {"format": "tflite", "backend": "tflite"}
    found["outputs"] = [
        {
            "name": name,
            "layout": "nhwk",
            "shape": [1, 16, 16, channels],
            "dtype": "int8",
            "quantization": {"scale": scale, "zero_point": 0},
            "part_of": "centers",
        }
        for name, channels, scale in (("logits", 1, 0.1), ("offsets", 2, 0.01), ("sizes", 2, 0.5))
    ]
    return found


def test_parts_make_one_map(values: Values) -> None:
    manifest = Manifest.model_validate(values)
    assert [[part.name for part in parts] for parts in manifest.maps] == [
        ["logits", "offsets", "sizes"]
    ]
    assert Manifest.model_validate(manifest.model_dump(mode="json", by_alias=True)) == manifest


def test_whole_maps_stand_for_themselves(crowd_artifact: Path) -> None:
    manifest = load_artifact(crowd_artifact).manifest
    assert [output.part_of for output in manifest.outputs] == ["", ""]
    assert manifest.maps == tuple((output,) for output in manifest.outputs)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (2, {"part_of": ""}, "does not fit"),  # neither map has five channels
        (2, {"part_of": "other"}, "does not fit"),
        (1, {"part_of": "other"}, "part_of is there twice: centers, other, centers"),
        (1, {"name": "centers", "part_of": ""}, "part_of 'centers' is the name of an output"),
        (2, {"name": "logits"}, "name is there twice: logits, offsets, logits"),
        (2, {"shape": [1, 16, 16, 3]}, "does not fit"),
        (2, {"shape": [1, 8, 16, 2]}, "does not fit"),
        (2, {"shape": [1, 16, 2]}, "does not fit"),
        (None, {"format": "onnx"}, "output with part_of: onnx has whole maps only"),
    ],
)
def test_parts_that_make_no_map_are_refused(
    values: Values, place: int | None, change: Values, message: str
) -> None:
    (values["file"] if place is None else values["outputs"][place]).update(change)
    with pytest.raises(ValidationError, match=message):
        Manifest.model_validate(values)
