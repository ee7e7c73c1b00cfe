"""LiteRT's converter and quantizer: imported on use, quiet, and missing in one clear line.

They bring a gigabyte of packages and take seconds to import, so they are an extra of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

from converters.quiet import quiet, quiet_native
from edge_pose.errors import EdgePoseError

SIGNATURE = "serving_default"
"""The name under which a file's inputs and outputs are listed; the converter's own word."""


@contextmanager
def working(what: str) -> Iterator[None]:
    """Run the converter or the quantizer in silence; what they raise becomes one line.

    Args:
        what: the step, for the error.

    Raises:
        EdgePoseError: the step failed.
    """
    try:
        with quiet(), quiet_native():
            yield
    except EdgePoseError:
        raise
    except Exception as error:  # noqa: BLE001 - the libraries' exceptions share no base class
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        name, reason = type(error).__name__, lines[0].strip() if lines else ""
        raise EdgePoseError(f"{what}: {name}: {reason}"[:400]) from None


def load(module: str) -> Any:  # noqa: ANN401 - the packages ship no types
    """Import a module of the converter's packages.

    Raises:
        EdgePoseError: they are not installed.
    """
    try:
        with quiet(), quiet_native():
            return import_module(module)
    except ImportError:
        raise EdgePoseError(
            f"TFLite: {module.split('.')[0]} is not installed,"
            " pip install 'edge-pose[convert-tflite]'"
        ) from None


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of PyPI packages."""
    return {package: version(package) for package in packages}
