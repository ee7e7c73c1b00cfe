"""Errors of samples arrive in one line, from this process and from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from training.datasets import DatasetError
from training.datasets.generated import write_generated
from training.tasks import build_task
from training.trainer import Trainer


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_picture_is_named_in_one_line(
    recipe: Any, tmp_path: Path, workers: int, content: bytes
) -> None:
    write_generated(tmp_path, 8, 1, size=(96, 96))
    task = build_task(recipe(workers=workers), tmp_path)
    file = task.samples.persons[5].image  # type: ignore[attr-defined]
    file.write_bytes(content)
    trainer = Trainer(recipe(workers=workers), task, tmp_path / "out", "cpu")
    with Progress(disable=True) as progress, pytest.raises(DatasetError) as caught:
        trainer.run(progress)
    assert str(caught.value) == f"{file}: not a picture that OpenCV can decode"
