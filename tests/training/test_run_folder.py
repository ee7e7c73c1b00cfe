"""The log of a run that was killed at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.run_folder import trim_log


@pytest.mark.parametrize("state", [0, 1, 2, 3])
@pytest.mark.parametrize("torn", ["", "\n", '{"epoch": 4, "lo', '{"epoch": 4, "loss": 1}\n'])
def test_the_log_ends_where_the_state_does(tmp_path: Path, state: int, torn: str) -> None:
    file = tmp_path / "log.jsonl"
    lines = [f'{{"epoch": {epoch}, "loss": 0.5}}\n' for epoch in (1, 2, 3)]
    file.write_text("".join([*lines, torn]))
    trim_log(file, state)
    assert file.read_text() == "".join(lines[:state])
    assert list(tmp_path.iterdir()) == [file]


def test_a_log_of_the_past_loses_its_repeated_epoch(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    trim_log(file, 1)
    assert not file.exists()
    file.write_text('{"epoch": 1}\n{"epoch": 2, "lost": 1}\n{"epoch": 2}\n')
    trim_log(file, 2)
    assert file.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'
