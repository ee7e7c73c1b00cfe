"""Where compiled models are kept, so that a changed artifact never meets an old one.

Runtimes notice a compiled model that was cut short, but not a few wrong bytes in its middle, as a
power cut leaves them on a memory card: keypoints would be wrong and nothing would say so. So what
was compiled is hashed, too.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from edge_pose.manifest import Manifest
from edge_pose.user_folder import user_folder

logger = logging.getLogger(__name__)

OFF = "off"
KEY_DIGITS = 16
SUMS = "SHA256SUMS"
FOLDER = re.compile(rf"(onnxruntime|openvino|tflite)-.+-[0-9a-f]{{{KEY_DIGITS}}}")
UNUSED_S = 90 * 24 * 3600.0
"""What no run has opened for so long is of a model, or a runtime's version, that is gone."""


def cache_root(setting: str | Path | None) -> Path | None:
    """Return the folder that a setting means.

    Args:
        setting: a folder, None for the user's cache folder, or "off".

    Returns:
        None where nothing shall be kept, or where there is no home to keep it in.
    """
    if setting is None:
        return user_folder("XDG_CACHE_HOME", ".cache", "compiled")
    return None if str(setting) == OFF else Path(setting).expanduser()


def cache_key(manifest: Manifest, backend: str, version: str, device: str) -> str:
    """Return the folder's name: runtime, version, device, and a hash over them and the model."""
    file = manifest.file
    weights = file.weights.sha256 if file.weights else ""
    text = "\n".join((backend, version, device, file.sha256, weights))
    digest = hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]
    readable = "-".join((backend, version.partition("-")[0], device.lower()))
    plain = "".join(c if (c.isascii() and c.isalnum()) or c in "-." else "_" for c in readable)
    return f"{plain}-{digest}"


def drop_damaged(folder: Path) -> None:
    """Delete the files of a cache folder whose content is not what `seal` saw.

    From here on the folder counts as in use: no other process deletes it while it is read.
    """
    _touch(folder)
    try:
        listed = [line.split("  ", 1) for line in (folder / SUMS).read_text("utf-8").splitlines()]
        digests = _digests(folder)
        for digest, name in listed:
            if digests.get(name, digest) != digest:
                logger.warning("compile cache %s: was damaged, compiling anew", folder / name)
                (folder / name).unlink()
    except (FileNotFoundError, NotADirectoryError):
        return  # nothing was kept yet
    except (OSError, ValueError) as error:
        logger.warning("compile cache %s: cannot be checked: %s", folder, error)


def seal(folder: Path) -> None:
    """Note the hashes of what a runtime has just written to a cache folder."""
    try:
        lines = [f"{digest}  {name}\n" for name, digest in sorted(_digests(folder).items())]
        if lines:
            _replace(folder / SUMS, "".join(lines))
    except OSError as error:
        logger.warning("compile cache %s: cannot be sealed: %s", folder, error.strerror)


def drop_unused(folder: Path) -> None:
    """Note that a cache folder is in use, and delete those beside it that have not been for long.

    Each new version of a model or a runtime makes a folder of its own: nothing else ends the old
    ones' lives. They are compared with each other: what the clock says now may be wrong.
    """
    try:
        if not folder.is_dir():
            return  # this runtime keeps nothing
        _touch(folder)
        used_s = _beside(folder)
        for other, time_s in used_s.items():
            if max(used_s.values()) - time_s > UNUSED_S:
                shutil.rmtree(other, ignore_errors=True)  # follows no links
    except OSError as error:
        logger.debug("compile cache %s: cannot be cleared: %s", folder.parent, error.strerror)


def _touch(folder: Path) -> None:
    """Date a folder now, but never before those beside it.

    A board without a clock chip starts with an old date, and has the right one when the network
    tells it: a folder in use would look like one that is gone.
    """
    with suppress(OSError):  # not there yet, or read-only
        now_s = max([time.time(), *_beside(folder).values()])
        os.utime(folder, (now_s, now_s))


def _beside(folder: Path) -> dict[Path, float]:
    """Return when each sealed folder beside this one was used last, in seconds since 1970.

    The cache may lie in a folder that others use, too: theirs are left alone.
    """
    return {
        other: other.lstat().st_mtime
        for other in folder.parent.iterdir()
        if other != folder and FOLDER.fullmatch(other.name) and (other / SUMS).is_file()
    }


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file by name; runtimes make no folders in it."""
    files = [path for path in folder.glob("*") if path.is_file() and not path.name.startswith(SUMS)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _replace(file: Path, text: str) -> None:
    if file.exists() and file.read_text("utf-8") == text:
        return  # memory cards wear out
    # Several processes may start at once; each writes a file of its own and the last one stays.
    new = file.with_name(f"{SUMS}.{os.getpid()}")
    new.write_text(text, "utf-8")
    new.replace(file)
