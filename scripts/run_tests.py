"""All tests, in two processes side by side: `python scripts/run_tests.py [pytest arguments]`.

What converts loads exporters that start threads, which processes that fork later do not survive;
and on two cores it is done in two thirds of the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONVERTING = ("tests/converters", "tests/contracts", "tests/examples", "tests/scripts")


def main() -> int:
    """Run both; the converting one is shown when it is done. Returns pytest's exit code."""
    # Passive waiting: a spinning second thread stalls tests when something else wants the cores.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}
    pytest = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    others = [f"--ignore={folder}" for folder in CONVERTING]
    with tempfile.TemporaryFile() as output:
        converting = subprocess.Popen(  # noqa: S603
            [*pytest, "-p", "no:cacheprovider", *CONVERTING],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            codes = [subprocess.call([*pytest, *others], cwd=ROOT, env=environment)]  # noqa: S603
            codes.append(converting.wait())
        finally:
            converting.kill()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    return max(codes, key=abs)


if __name__ == "__main__":
    sys.exit(main())
