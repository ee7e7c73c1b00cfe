"""Python processes that work beside this one: told what to do, started together, asked at the end.

They speak JSON, one object per line. The task goes through stdin, where nobody but the two can read
it: it may hold a password. A companion answers {"ready": …} when it could start, waits for the word
to go, and answers once more when it is done; {"error": one line} instead where something fails.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from edge_pose.errors import EdgePoseError

Answer: TypeAlias = dict[str, Any]
START_S = 120.0  # a busy small device imports slowly
STOP_S = 5.0


class Companion:
    """One process; a context manager that ends it.

    Args:
        module: what `python -m` runs; its main calls `serve`.
        task: handed over at once.
        what: named in errors.

    Raises:
        EdgePoseError: it cannot be started.
    """

    def __init__(self, module: str, task: Answer, what: str) -> None:
        self.what = what
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell, our own module
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
            )
        except OSError as error:
            self._said.close()
            message = f"{what}: {sys.executable}: cannot be run: {error.strerror}"
            raise EdgePoseError(message) from None
        self.tell(task)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def tell(self, message: Answer) -> None:
        """Send one object; one that has ended does not hear it, which `answer` reports."""
        stream = self._process.stdin
        assert stream is not None  # noqa: S101 - PIPE
        try:
            stream.write(json.dumps(message).encode() + b"\n")
            stream.flush()
        except BrokenPipeError:
            pass

    def answer(self, timeout_s: float = START_S) -> Answer:
        """Wait for the next object.

        Raises:
            EdgePoseError: it reports an error, ends without an answer or says nothing in time.
        """
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - PIPE
        if not select.select([stream], [], [], timeout_s)[0]:
            raise EdgePoseError(f"{self.what}: no answer within {timeout_s:g} s")
        line = stream.readline()
        if not line.endswith(b"\n"):
            code = self._process.wait()
            raise EdgePoseError(f"{self.what}: ended with {code}, it said: {self._last_words()}")
        found: Answer = json.loads(line)
        if "error" in found:
            raise EdgePoseError(f"{self.what}: {found['error']}")
        return found

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "nothing"

    def __enter__(self) -> Companion:
        return self

    def __exit__(self, *error: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None  # noqa: S101 - PIPE
            with suppress(BrokenPipeError):  # what it did not hear before it ended
                stream.close()
        try:
            self._process.wait(0 if any(error) else STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


def serve(work: Callable[[Answer, Callable[[Answer], Answer]], Answer]) -> None:
    """Be a companion: read the task, do it, answer.

    Args:
        work: `work(task, ready)` returns the final answer. It calls `ready({…})` once, which tells
            that it could start and returns what comes with the word to go.
    """
    # Whatever libraries print must not end up between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(message: Answer) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def hear() -> Answer:
        line = sys.stdin.readline()
        if not line:  # whoever asked is gone
            sys.exit(1)
        heard: Answer = json.loads(line)
        return heard

    def ready(message: Answer) -> Answer:
        say({"ready": True, **message})
        return hear()

    try:
        say(work(hear(), ready))
    except EdgePoseError as error:
        say({"error": str(error)})


def sleep_until(moment_s: float) -> None:
    """Wait for a moment on the monotonic clock, which all processes of a machine share."""
    while (remaining_s := moment_s - time.monotonic()) > 0:
        time.sleep(remaining_s)
