"""All tests, in two lanes side by side: `python scripts/run_tests.py [pytest arguments]`.

Each part has a process of its own. Exporters and runtimes start threads and load libraries that
processes which fork later, as training does, do not survive; and on two cores it is quicker.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONVERTING = ("tests/converters", "tests/contracts", "tests/examples", "tests/scripts")
OWN = ("tests/training", "tests/edge_pose")
NOTHING = 5  # pytest's exit code where its arguments leave no test


def main() -> int:
    """Run all parts, show each when it is done. Returns 0 where all passed."""
    rest = ["tests", *(f"--ignore={folder}" for folder in (*CONVERTING, *OWN))]
    lanes = ([list(CONVERTING)], [*([folder] for folder in OWN), rest])
    with ThreadPoolExecutor(len(lanes)) as pool:
        codes = [code for lane in pool.map(_lane, lanes) for code in lane]
    return 0 if all(code in (0, NOTHING) for code in codes) else 1


def _lane(parts: list[list[str]]) -> list[int]:
    return [_part(part) for part in parts]


def _part(arguments: list[str]) -> int:
    """Run pytest in a process; show its output at the end, and how it ended."""
    # Passive waiting: a spinning second thread stalls tests when something else wants the cores.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", *sys.argv[1:], *arguments]
    with tempfile.TemporaryFile() as output:
        code = subprocess.call(  # noqa: S603
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        output.seek(0)
        text = output.read().decode(errors="replace")
    sys.stdout.write(f"{text}\n{' '.join(arguments)}: exit code {code}\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
