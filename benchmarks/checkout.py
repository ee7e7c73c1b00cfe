"""Files of the repository that an installed package does not bring along."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE1 = ROOT / "training" / "weights" / "table1.json"
DEVICES = Path("benchmarks", "results", "devices")  # below the repository's root
SUPPORTED = "SUPPORTED.md"
