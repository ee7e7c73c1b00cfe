"""A folder or glob of still images."""

from __future__ import annotations

import glob
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge_pose.errors import SourceError
from edge_pose.sources.quiet import quiet_opencv
from edge_pose.types import Frame, Image, utc_now

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ImagesSource:
    """Independent stills in natural order (shot2 before shot10). EXIF rotation is applied.

    An image that cannot be decoded is skipped with a warning; it keeps its index and is counted in
    `skipped`.

    Args:
        where: a folder, a glob pattern or one file.

    Raises:
        SourceError: there are no images.
    """

    def __init__(self, where: str) -> None:
        quiet_opencv()
        self.name = Path(where).name or where
        self.live = False
        self.frame_rate: float | None = None
        self.skipped = 0
        self._where = where
        self._paths = _find(where)
        self.frame_count: int | None = len(self._paths)
        self._closed = False

    def frames(self) -> Iterator[Frame]:
        """Yield every image that can be decoded; `media_s` is None.

        Raises:
            SourceError: not one image can be decoded.
        """
        self.skipped = 0
        for index, path in enumerate(self._paths):
            if self._closed:
                return
            captured_at, captured_s = utc_now(), time.monotonic()
            image = _read(path)
            if image is None:
                self.skipped += 1
                continue
            yield Frame(
                image=image,
                index=index,
                captured_at=captured_at,
                captured_s=captured_s,
                capture_s=time.monotonic() - captured_s,
            )
        if self.skipped == len(self._paths):
            raise SourceError(f"{self._where}: none of the {self.skipped} images can be decoded")

    def close(self) -> None:
        """End the iteration after the image in work; any thread may call it, and twice."""
        self._closed = True


def _find(where: str) -> list[Path]:
    folder = Path(where)
    try:
        if folder.is_dir():
            found = [path for path in folder.iterdir() if not path.name.startswith(".")]
        elif folder.is_file():
            found = [folder]
        else:
            found = [Path(name) for name in glob.glob(where, recursive=True)]  # noqa: PTH207 - absolute patterns
    except OSError as error:
        raise SourceError(f"{where}: cannot be read: {error.strerror}") from None
    images = [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not images:
        raise SourceError(f"{where}: no images found (looked for {', '.join(IMAGE_SUFFIXES)})")
    return sorted(images, key=_natural_key)


def _natural_key(path: Path) -> list[tuple[int, str]]:
    """Compare runs of digits as numbers, everything else as text."""
    parts = re.split(r"([0-9]+)", str(path))
    return [(int(part), "") if i % 2 else (0, part.lower()) for i, part in enumerate(parts)]


def _read(path: Path) -> Image | None:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except OSError as error:
        logger.warning("%s: skipped, cannot be read: %s", path, error.strerror)
        return None
    except cv2.error:  # for example more pixels than OpenCV's limit
        image = None
    if image is None:
        logger.warning("%s: skipped, not an image that can be decoded", path)
        return None
    return np.asarray(image, np.uint8)
