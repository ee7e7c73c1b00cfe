from __future__ import annotations

import pytest
from torch import nn

from edge_pose.errors import UsageError
from training import registry
from training.registry import MODELS, ModelEntry, get_model, model_names, register_model


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModelEntry]:
    table: dict[str, ModelEntry] = {}
    monkeypatch.setattr(registry, "MODELS", table)
    return table


def test_the_decorator_registers_under_the_functions_name(empty: dict[str, ModelEntry]) -> None:
    @register_model(input_size=(192, 128), stride=8, mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    def tiny(width: int = 3) -> nn.Module:
        """A pointwise convolution.

        More words.
        """
        return nn.Conv2d(3, width, 1)

    entry = empty["tiny"]
    assert entry.name == "tiny"
    assert entry.summary == "A pointwise convolution."
    assert (entry.input_size, entry.stride, entry.task) == ((192, 128), 8, "top_down")
    assert (entry.mean, entry.std, entry.color) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "rgb")
    assert (entry.keypoint_format, entry.heatmap_kind, entry.paper) == ("mpii16", "logits", "")
    model = entry.build(width=5)
    assert isinstance(model, nn.Conv2d)
    assert model.out_channels == 5
    # The function itself stays what it was.
    assert isinstance(tiny(), nn.Conv2d)


def test_a_name_is_registered_once(empty: dict[str, ModelEntry]) -> None:
    def twin() -> nn.Module:
        """One."""
        return nn.Identity()

    register_model()(twin)
    with pytest.raises(ValueError, match="model 'twin': registered twice"):
        register_model()(twin)


def test_a_model_needs_a_docstring(empty: dict[str, ModelEntry]) -> None:
    def silent() -> nn.Module:
        return nn.Identity()

    with pytest.raises(ValueError, match="model 'silent': the function needs a docstring"):
        register_model()(silent)
    assert not empty


def test_a_model_builds_without_arguments(empty: dict[str, ModelEntry]) -> None:
    def needy(width: int) -> nn.Module:
        """Needs a width."""
        return nn.Conv2d(3, width, 1)

    with pytest.raises(ValueError, match="model 'needy': argument 'width' needs a default"):
        register_model()(needy)
    assert not empty


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heatmap_kind": "logit"}, "heatmap_kind: found 'logit', expected logits or gaussian"),
        ({"color": "yuv"}, "color: found 'yuv', expected rgb or bgr"),
        ({"stride": 0}, "expected multiples of stride 0"),
        ({"input_size": (192, 190), "stride": 4}, r"found \(192, 190\), expected multiples of"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_model(**arguments)  # type: ignore[arg-type]


def test_an_unknown_keypoint_format_is_named() -> None:
    with pytest.raises(UsageError, match=r"keypoint format 'mpii', did you mean|'mpii': unknown"):
        register_model(keypoints="mpii")


def test_get_model_finds_and_suggests() -> None:
    assert get_model("hourglass_2stack") is MODELS["hourglass_2stack"]
    with pytest.raises(
        UsageError, match="model 'hourglass_2stak': unknown, did you mean 'hourglass_2stack'"
    ):
        get_model("hourglass_2stak")


def test_model_names_are_sorted_and_complete() -> None:
    names = model_names()
    assert list(names) == sorted(MODELS)
    assert {"hourglass_1stack", "hourglass_8stack", "hourglass_168"} <= set(names)
