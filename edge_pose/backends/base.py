"""What every inference runtime offers."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_pose.types import FloatArray


class Backend(Protocol):
    """A loaded model that maps one input tensor to its output tensors.

    Attributes:
        name: registry name of the runtime, for example "onnxruntime".
        version: version of the runtime.
        device: what it runs on, for example "CPU".
    """

    name: str
    version: str
    device: str

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        """Run one batch.

        Raises:
            BackendError: the tensor does not have the model's shape or dtype.
        """
        ...

    def close(self) -> None:
        """Release the runtime's resources."""
        ...
