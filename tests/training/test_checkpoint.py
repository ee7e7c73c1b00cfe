"""Checkpoints: round trip, provenance and damage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    load_checkpoint,
    load_resume,
    pack_persons,
    read_info,
    save_checkpoint,
    save_resume,
    unpack_persons,
)
from training.registry import get_model


def info(model: str) -> CheckpointInfo:
    return CheckpointInfo(
        model, "logits", (64, 64), {"seed": 1}, {"mpii": pack_persons([3, 5])}, "ab" * 32, 2, 1.5
    )


@pytest.mark.parametrize("half", [False, True])
def test_round_trip(tiny_model: str, tmp_path: Path, half: bool) -> None:
    state = get_model(tiny_model).build().state_dict()
    save_checkpoint(tmp_path / "a" / "x.safetensors", state, info(tiny_model), half=half)
    model, read = load_checkpoint(tmp_path / "a" / "x.safetensors")
    assert read == info(tiny_model)
    assert not model.training
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == state[name].dtype
        assert torch.allclose(tensor, state[name], atol=1e-3 if half else 0)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("indices", [[], [0], [7], [8, 9, 4000], list(range(0, 999, 7))])
def test_persons_survive_packing(indices: list[int]) -> None:
    assert unpack_persons(pack_persons(indices)) == set(indices)


def test_what_is_not_a_checkpoint_is_refused(tiny_model: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read_info(tmp_path / "gone.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_info(text)
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(
        CheckpointError, match=r"schema: found none, expected edge_pose\.checkpoint"
    ):
        read_info(tmp_path / "other.safetensors")
    metadata = {"schema": "edge_pose.checkpoint/1", "info": '{"model": 1}'}
    save_file({"a": torch.zeros(2)}, tmp_path / "broken.safetensors", metadata)
    with pytest.raises(CheckpointError, match="description is damaged"):
        read_info(tmp_path / "broken.safetensors")
    wrong = tmp_path / "wrong.safetensors"
    save_checkpoint(wrong, {"a": torch.zeros(2)}, info(tiny_model))
    with pytest.raises(CheckpointError, match="weights do not fit model") as error:
        load_checkpoint(wrong)
    assert "\n" not in str(error.value)


def test_a_damaged_resume_state_is_refused(tmp_path: Path) -> None:
    save_resume(tmp_path / "resume.pt", {"epoch": 3})
    assert load_resume(tmp_path / "resume.pt") == {"epoch": 3}
    data = (tmp_path / "resume.pt").read_bytes()
    (tmp_path / "resume.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="not a resumable state"):
        load_resume(tmp_path / "resume.pt")
