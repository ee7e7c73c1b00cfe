"""All tests, two parts side by side: `python scripts/run_tests.py [pytest arguments]`.

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
# The long ones first: two run at a time, and the short ones fill the end.
PARTS = (
    ("tests/contracts",),
    ("tests/converters",),
    ("tests/training",),
    ("tests/edge_pose",),
    ("tests/examples", "tests/scripts"),
)
NOTHING = 5  # pytest's exit code where its arguments leave no test


def main() -> int:
    """Run all parts, show each when it is done. Returns 0 where all passed."""
    rest = ("tests", *(f"--ignore={folder}" for part in PARTS for folder in part))
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(_part, (*PARTS, rest)))
    return 0 if all(code in (0, NOTHING) for code in codes) else 1


def _part(arguments: tuple[str, ...]) -> int:
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
