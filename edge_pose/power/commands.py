"""Programs that tell what no file does, such as vcgencmd of the Raspberry Pi."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edge_pose.errors import PowerError

Command: TypeAlias = Callable[[str, str], str]
"""(program, argument) -> its output; PowerError where it is missing or fails."""

RECORDED = "commands"  # in a recorded tree: commands/<program>_<argument>.txt
TIMEOUT_S = 5.0


def commands_of(root: Path) -> Command:
    """Return what runs programs: of this machine for "/", else out of a recorded tree."""
    if root == Path("/"):
        return run
    return lambda program, argument: _recorded(root / RECORDED, program, argument)


def run(program: str, argument: str) -> str:
    """Run a program and return what it prints.

    Raises:
        PowerError: it is not installed, fails, or takes longer than 5 s.
    """
    try:
        done = subprocess.run(  # noqa: S603 - constants of ours
            [program, argument], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise PowerError(f"{program}: not installed") from None
    except subprocess.TimeoutExpired:
        raise PowerError(f"{program} {argument}: no answer within {TIMEOUT_S:g} s") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PowerError(f"{program} {argument}: cannot be run: {error}") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[:160]
        raise PowerError(f"{program} {argument}: failed: {said or f'exit code {done.returncode}'}")
    return done.stdout


def _recorded(folder: Path, program: str, argument: str) -> str:
    try:
        return (folder / f"{program}_{argument}.txt").read_text(encoding="utf-8")
    except OSError:
        raise PowerError(f"{program}: not installed") from None
