"""Another Python process that answers with one JSON object on stdout."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from edge_pose.errors import EdgePoseError

TIMEOUT_S = 600.0


def ask_child(
    command: Sequence[str],
    what: str,
    *,
    env: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Any]:
    """Run a command and return the object on the last line of its output.

    Args:
        command: program and arguments; no shell is involved.
        what: named in errors.
        env: the environment; ours by default.
        timeout_s: it is killed after that.

    Raises:
        EdgePoseError: it cannot be started, does not end, or answers something else; one line.
    """
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            list(command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=dict(os.environ if env is None else env),
            check=False,
        )
    except OSError as error:
        raise EdgePoseError(f"{what}: {command[0]}: cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise EdgePoseError(f"{what}: {command[0]}: no answer within {timeout_s:g} s") from None
    lines = done.stdout.splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        said = (done.stderr.strip().splitlines() or lines or ["nothing"])[-1]
        raise EdgePoseError(
            f"{what}: {command[0]}: exit code {done.returncode}, no answer, it said: {said}"
        )
    return answer
