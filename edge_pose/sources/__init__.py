"""Frame sources: camera, network stream, video file, folder of images, synthetic figure."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from edge_pose.errors import SourceError
from edge_pose.lookup import lookup
from edge_pose.sources.base import Source
from edge_pose.sources.urls import is_url

__all__ = ["SOURCES", "Source", "open_source"]

# Name -> module:class, imported on use, so that `import edge_pose` loads no OpenCV.
SOURCES: dict[str, str] = {
    "camera": "edge_pose.sources.camera:CameraSource",
    "images": "edge_pose.sources.images:ImagesSource",
    "stream": "edge_pose.sources.stream:StreamSource",
    "synthetic": "edge_pose.sources.synthetic:SyntheticSource",
    "video": "edge_pose.sources.video:VideoSource",
}

_SIZE = r"(?P<width>\d{1,5})x(?P<height>\d{1,5})(?:@(?P<fps>\d{1,4}(?:\.\d{1,3})?))?"
_CAMERA = re.compile(rf"(?:camera:)?(?P<device>\d{{1,3}}|/dev/(?:video|v4l/)\S+?)(?::{_SIZE})?")
_SYNTHETIC = re.compile(rf"synthetic(?::{_SIZE}(?:x(?P<frames>\d{{1,9}}))?)?")
_GLOB = re.compile(r"[*?\[]")


def open_source(uri: str, *, realtime: bool = False) -> AbstractContextManager[Source]:
    """Open whatever `uri` names; use the result in a `with` statement.

    | uri | source |
    |---|---|
    | `0`, `camera:0`, `/dev/video0`, each also with `:1280x720@30` | camera |
    | `synthetic`, `synthetic:640x480@30x100` (100 frames) | drawn figure |
    | `rtsp://…`, `http://…` | live network stream |
    | a folder, a glob such as `shots/*.jpg`, one image file | stills |
    | anything else | video file |

    Args:
        uri: see the table.
        realtime: play files and the synthetic figure at their frame rate, skipping late frames.

    Raises:
        SourceError: it does not exist or cannot be opened; one line that says what to do.
    """
    kind, arguments = _parse(uri, realtime)
    module, _, name = lookup(SOURCES, kind, "source").partition(":")
    factory: Callable[..., Source] = getattr(importlib.import_module(module), name)
    return closing(factory(**arguments))


def _parse(uri: str, realtime: bool) -> tuple[str, dict[str, Any]]:
    """Return the name of the source and the arguments of its class."""
    if not uri.strip() or "\0" in uri:
        raise SourceError(f"source {uri!r}: give a camera index, a file, a folder, a glob or a URL")
    if match := _CAMERA.fullmatch(uri):
        device = match["device"].removeprefix("/dev/video")
        return "camera", {
            "device": int(device) if device.isdigit() else device,
            **_numbers(match),
        }
    if uri.startswith("camera:"):
        raise SourceError(
            f"{uri}: not a camera, write for example camera:0 or camera:0:1280x720@30"
        )
    if match := _SYNTHETIC.fullmatch(uri):
        frames = match["frames"]
        count = {"frame_count": int(frames)} if frames else {}
        return "synthetic", {"realtime": realtime, **count, **_numbers(match)}
    if uri.startswith("synthetic:"):
        raise SourceError(f"{uri}: write synthetic:WIDTHxHEIGHT@FPSxFRAMES, as in 640x480@30x100")
    if is_url(uri):
        return "stream", {"url": uri}
    return _parse_path(uri, realtime)


def _parse_path(uri: str, realtime: bool) -> tuple[str, dict[str, Any]]:
    from edge_pose.sources.images import IMAGE_SUFFIXES  # loads OpenCV, as every path source does

    path = Path(uri)
    try:
        is_still = path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES
        if is_still or path.is_dir() or (_GLOB.search(uri) and not path.exists()):
            return "images", {"where": uri}
    except OSError as error:  # for example a folder on the way that may not be searched
        raise SourceError(f"{uri}: cannot be read: {error.strerror}") from None
    return "video", {"path": path, "realtime": realtime}


def _numbers(match: re.Match[str]) -> dict[str, int | float]:
    numbers: dict[str, int | float] = {}
    if match["width"]:
        numbers |= {"width": int(match["width"]), "height": int(match["height"])}
    if match["fps"]:
        numbers["fps"] = float(match["fps"])
    return numbers
