"""Checkpoints: round trip, provenance and damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
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


def test_a_file_that_is_replaced_meanwhile_is_not_mixed(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = get_model(tiny_model).build().state_dict()
    file, later = tmp_path / "x.safetensors", tmp_path / "later.safetensors"
    save_checkpoint(file, state, info(tiny_model))
    newer = {name: tensor + 1 for name, tensor in state.items()}
    save_checkpoint(later, newer, replace(info(tiny_model), epochs=3))

    def open_and_replace(*arguments: Any, **options: Any) -> Any:
        opened = safe_open(*arguments, **options)
        if later.exists():
            later.replace(file)
        return opened

    monkeypatch.setattr("training.checkpoint.safe_open", open_and_replace)
    model, read = load_checkpoint(file)
    assert read.epochs == 2
    assert all(torch.equal(t, state[name]) for name, t in model.state_dict().items())
    assert load_checkpoint(file)[1].epochs == 3


@pytest.mark.parametrize("indices", [[], [0], [7], [8, 9, 4000], list(range(0, 999, 7))])
def test_persons_survive_packing(indices: list[int]) -> None:
    assert unpack_persons(pack_persons(indices)) == set(indices)


@pytest.mark.parametrize("index", [-1, 900_100_000_001])
def test_indices_that_would_not_fit_are_refused(index: int) -> None:
    with pytest.raises(CheckpointError, match=f"persons: found index {index}, expected 0 to"):
        pack_persons([3, index])


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


@pytest.mark.parametrize(
    "data",
    [b"", b"garbage", b"\x80\x02garbage", b"(garbage", b"PK\x03\x04garbage", bytes(range(256))],
)
def test_garbage_is_not_a_resume_state(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "resume.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match="not a resumable state") as error:
        load_resume(tmp_path / "resume.pt")
    assert "\n" not in str(error.value)


def test_another_torch_file_is_not_a_resume_state(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "resume.pt")
    with pytest.raises(CheckpointError, match="found a list, expected a dict"):
        load_resume(tmp_path / "resume.pt")


@pytest.mark.parametrize("packed", ["A", "no bits!", "ä", "8A==\n", 3, None])
def test_what_are_no_packed_persons(packed: Any) -> None:
    with pytest.raises(CheckpointError, match="trained_on: not a base64 bit set"):
        unpack_persons(packed)
