from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.fleet.process_usage import cpu_s, memory_kib


def test_usage_of_a_process(tmp_path: Path) -> None:
    folder = tmp_path / "17"
    folder.mkdir()
    before = " ".join(["S", *map(str, range(4, 14))])
    (folder / "stat").write_text(f"17 (a) b (c) {before} 250 150 0 0")
    (folder / "status").write_text("Name:\tx\nVmRSS:\t    5124 kB\n")
    assert cpu_s(17, tmp_path) == pytest.approx(400 / os.sysconf("SC_CLK_TCK"))
    assert memory_kib(17, tmp_path) == 5124
    assert (cpu_s(18, tmp_path), memory_kib(18, tmp_path)) == (None, None)
