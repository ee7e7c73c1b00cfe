"""Keep the chatter of exporters out of the user's terminal; errors still come as exceptions."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet() -> Iterator[None]:
    """Drop prints, warnings and log lines below ERROR of whatever runs inside.

    The exporters print progress, warn of packages that are not needed here and log at the root
    logger; none of it is about the user's model.
    """
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with (
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def quiet_native() -> Iterator[None]:
    """Drop what native code writes to the process's standard error, around Python."""
    sys.stderr.flush()
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device, no path of ours
        kept = os.dup(2)
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
