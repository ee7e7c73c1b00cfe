from __future__ import annotations

import pytest

from converters import CONVERTERS, Entry
from converters.settings import Settings, profile_settings
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.profile import load_profile, profile_names


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_has_a_converter(name: str) -> None:
    profile = load_profile(name)
    settings = profile_settings(profile)
    assert (settings.format, settings.precision) in CONVERTERS
    assert (settings.format, settings.precision) == (
        profile.runtime.format,
        profile.runtime.precision,
    )
    assert settings.arch == profile.arch
    assert settings.fold_pixels == profile.runtime.fold_pixels
    assert settings.integer_io == profile.runtime.integer_io


def test_a_combination_without_converter() -> None:
    with pytest.raises(UsageError, match="converter 'onnx int4': unknown, did you mean"):
        _ = Settings("int4").entry


def test_a_package_that_is_not_installed() -> None:
    with pytest.raises(ModuleNotFoundError):
        Entry("converters.onnx_fp17", calibrated=False).load()  # a bug of ours, no missing package
    with pytest.raises(EdgePoseError, match=r"no_such_package is not installed, pip install"):
        Entry("no_such_package.converter", calibrated=False).load()
