"""The training loop: seeded, resumable at every epoch, with an exponential moving average."""

from __future__ import annotations

import json
import logging
import math
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import InputSpec
from training.checkpoint import (
    CheckpointInfo,
    load_resume,
    pack_persons,
    save_checkpoint,
    save_resume,
)
from training.datasets import Person, load_dataset
from training.evaluate import NetworkPredictor, data_hash, measure
from training.losses import HEATMAP_KIND, LOSSES
from training.recipe import Recipe
from training.registry import get_model
from training.samples import Collate, EpochSampler, PersonSamples
from training.targets import gaussian_targets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Paths:
    """Files of one run."""

    folder: Path

    @property
    def log(self) -> Path:
        """One JSON object per epoch."""
        return self.folder / "log.jsonl"

    @property
    def resume(self) -> Path:
        """State to go on from."""
        return self.folder / "resume.pt"

    @property
    def weights(self) -> Path:
        """The averaged weights of the last finished epoch."""
        return self.folder / "checkpoint.safetensors"


class Trainer:
    """Trains one recipe.

    Args:
        recipe: what to do.
        data: folder with the data sets.
        folder: where log, state and weights go.
        device: "cpu" or "cuda".
        limit: use only this many persons, for trials.
    """

    def __init__(
        self, recipe: Recipe, data: Path, folder: Path, device: str, limit: int | None = None
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.paths = recipe, torch.device(device), Paths(folder)
        self.entry = get_model(recipe.model)
        everyone = {name: load_dataset(name, data) for name in recipe.datasets}
        self.persons: list[Person] = [
            person for people in everyone.values() for person in people if not person.held_out
        ][:limit]
        self.held_out = [p for p in everyone.get("lspet", []) if p.held_out][:limit]
        arguments = {"pretrained": True} if recipe.pretrained else {}
        self.model = self.entry.build(**arguments).to(self.device)
        _channels_last(self.model)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimizer = _optimizer(self.model, recipe)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.sampler = EpochSampler(self.persons, recipe.datasets, recipe.seed)
        self.total_steps = recipe.epochs * (len(self.sampler) // recipe.batch_size)
        if self.total_steps == 0:
            raise EdgePoseError(
                f"{data}: {len(self.sampler)} samples are less than one batch of"
                f" {recipe.batch_size}, give more persons or a smaller batch_size"
            )

    def run(self, progress: Progress, until_epoch: int | None = None) -> None:
        """Train to the end of the recipe, or to the end of `until_epoch` epochs in total.

        Raises:
            EdgePoseError: the loss is not finite; the state of the last epoch stays on disk.
        """
        self.paths.folder.mkdir(parents=True, exist_ok=True)
        if self.paths.resume.exists():
            self._load()
        trim_log(self.paths.log, self.epoch)
        last = min(until_epoch or self.recipe.epochs, self.recipe.epochs)
        batches = len(self.sampler) // self.recipe.batch_size
        bar = progress.add_task(self.recipe.model, total=last * batches)
        progress.update(bar, completed=self.epoch * batches)
        loader = self._loader()
        while self.epoch < last:
            stage = self.recipe.stage(self.epoch)
            self.sampler.epoch, self.sampler.input_side = self.epoch, stage.input_side
            start, total = time.monotonic(), 0.0
            self.model.train()
            for count, batch in enumerate(loader, 1):
                total += self._step(*batch, sigma=stage.sigma)
                text = f"epoch {self.epoch + 1}/{self.recipe.epochs} loss {total / count:.3f}"
                progress.update(bar, advance=1, description=text)
            took = time.monotonic() - start
            self.seconds += took
            self.epoch += 1
            self._finish_epoch(total / batches, batches * self.recipe.batch_size / took)

    def _loader(self) -> DataLoader[Any]:
        entry, recipe = self.entry, self.recipe
        spec = InputSpec(entry.input_size, entry.color, "nchw", "float32", entry.mean, entry.std)
        return DataLoader(
            PersonSamples(self.persons, recipe.augment),
            batch_size=recipe.batch_size,
            sampler=self.sampler,
            num_workers=recipe.workers,
            collate_fn=Collate(spec),
            drop_last=True,
            prefetch_factor=4 if recipe.workers else None,
            worker_init_fn=_one_thread,
        )

    def _step(self, images: Tensor, keypoints: Tensor, present: Tensor, *, sigma: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * self._lr_factor()
        images = images.to(self.device, memory_format=torch.channels_last)
        keypoints, present = keypoints.to(self.device), present.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            stages = self.model(images)
        size = (stages[-1].shape[3], stages[-1].shape[2])
        target, inside = gaussian_targets(keypoints, self.entry.stride, size, sigma)
        loss = LOSSES[self.recipe.loss](stages, target, present, inside)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise EdgePoseError(
                f"epoch {self.epoch + 1}, step {self.step}: the loss is {value}; lower the"
                f" learning rate and run again, the last epoch's state is in {self.paths.resume}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimizer.clip_norm)
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return value

    def _lr_factor(self) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        warmup = self.recipe.optimizer.warmup_steps
        if self.step < warmup:
            return (self.step + 1) / warmup
        done = (self.step - warmup) / max(self.total_steps - warmup, 1)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average forgets faster, or it would drag its start along.
        decay = min(self.recipe.optimizer.ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            mean = self.average[name]
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def _finish_epoch(self, loss: float, rate: float) -> None:
        record: dict[str, Any] = {
            "epoch": self.epoch,
            "step": self.step,
            "input_side": self.recipe.stage(self.epoch - 1).input_side,
            "loss": round(loss, 5),
            "lr": self.optimizer.param_groups[0]["lr"],
            "images_per_s": round(rate, 1),
            "minutes": round(self.seconds / 60, 2),
        }
        last = self.epoch == self.recipe.epochs
        if self.held_out and (last or self.epoch % self.recipe.measure_every == 0):
            record["lspet_held_out"] = self._measure()
        save_checkpoint(self.paths.weights, self.average, self._info())
        # The log goes first: a kill before the state is written leaves a line too many, which
        # `trim_log` takes out again; the other way round a line would be missing for good.
        with self.paths.log.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        save_resume(self.paths.resume, self._state())
        log.info("%s", json.dumps(record))

    def _measure(self) -> dict[str, float]:
        averaged = self.entry.build().to(self.device)
        averaged.load_state_dict(self.average)
        predictor = NetworkPredictor(averaged, self._info(), self.device)
        result = measure(predictor, self.held_out, flip_test=False)
        return {"mean14": round(result.mean14, 2), "mean12": round(result.mean12, 2)}

    def _info(self) -> CheckpointInfo:
        side = self.recipe.stage(max(self.epoch - 1, 0)).input_side
        used = {
            name: pack_persons(p.index for p in self.persons if p.dataset == name)
            for name in self.recipe.datasets
        }
        return CheckpointInfo(
            model=self.recipe.model,
            heatmap_kind=HEATMAP_KIND[self.recipe.loss],
            input_size=(side, side),
            recipe=self.recipe.model_dump(mode="json", by_alias=True),
            trained_on=used,
            data_sha256=data_hash(self.persons),
            epochs=self.epoch,
            minutes=round(self.seconds / 60, 1),
            device=f"{self.device.type} ({platform.machine()}, {torch.get_num_threads()} threads)",
        )

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.model_dump_json(by_alias=True),
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
        }

    def _load(self) -> None:
        state = load_resume(self.paths.resume)
        if state.get("recipe") != self.recipe.model_dump_json(by_alias=True):
            raise EdgePoseError(
                f"{self.paths.resume}: belongs to another recipe, choose another --out folder"
            )
        self.model.load_state_dict(state["model"])
        self.average = {k: v.to(self.device) for k, v in state["average"].items()}
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.seconds = state["seconds"]
        log.info("going on after epoch %d of %s", self.epoch, self.paths.resume)


def trim_log(file: Path, epochs: int) -> None:
    """Keep one line for each of the finished epochs: a killed run repeats what came after them.

    Args:
        file: log.jsonl; it need not exist.
        epochs: finished epochs, as the state knows them.
    """
    if not file.exists():
        return
    text = file.read_text("utf-8")
    lines = {}
    for line in text.splitlines(keepends=True):
        try:
            lines[int(json.loads(line)["epoch"])] = line
        except (KeyError, TypeError, ValueError):
            log.warning("%s: dropping a damaged line", file)
    kept = "".join(line for epoch, line in lines.items() if epoch <= epochs)
    if kept != text:
        temporary = file.with_suffix(".partial")
        temporary.write_text(kept, "utf-8")
        temporary.replace(file)


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only; pretrained weights at their own rate."""
    config = recipe.optimizer
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        slow = recipe.pretrained and name.startswith("down.")
        groups.setdefault((slow, parameter.ndim > 1), []).append(parameter)
    settings = []
    for (slow, decay), parameters in groups.items():
        lr = config.lr * (config.pretrained_lr_factor if slow else 1.0)
        wd = config.weight_decay if decay else 0.0
        settings.append({"params": parameters, "lr": lr, "peak_lr": lr, "weight_decay": wd})
    if config.name == "rmsprop":
        return torch.optim.RMSprop(settings, lr=config.lr)
    return torch.optim.AdamW(settings, lr=config.lr, fused=True)


def _channels_last(model: nn.Module) -> None:
    """Put kernels into the memory format that convolutions are quickest in."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _one_thread(worker: int) -> None:
    """Keep a loading process to one core."""
    import cv2

    del worker
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
