"""The training loop: seeded, resumable at every epoch, with an exponential moving average."""

from __future__ import annotations

import json
import logging
import math
import platform
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edge_pose.errors import ConfigError, EdgePoseError
from training.batch_statistics import refit_statistics
from training.checkpoint import (
    CheckpointError,
    CheckpointInfo,
    load_checkpoint,
    load_resume,
    merge_persons,
    save_checkpoint,
    save_resume,
)
from training.events import write_events
from training.loading import batches, open_loader
from training.losses.heatmap import HEATMAP_KIND
from training.optimizer import build_optimizer, lr_factor
from training.parallel import Processes
from training.recipe import Recipe
from training.registry import build_model, get_model
from training.run_folder import Paths, trim_log
from training.samples import EpochSampler
from training.tasks import Batch, Task

REFIT_BATCHES = 20

log = logging.getLogger(__name__)


class Trainer:
    """Trains one recipe.

    Args:
        recipe: what to do.
        task: samples, loss and figure of merit.
        folder: where log, state and weights go.
        device: "cpu" or "cuda".
        processes: this one among those that train together; alone by default.

    Raises:
        ConfigError: a batch cannot be divided as asked.
        EdgePoseError: there are too few samples for one batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        folder: Path,
        device: str,
        processes: Processes | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.task, self.paths = recipe, task, Paths(folder)
        self.processes = processes or Processes()
        self.device = self.processes.device(device)
        model, before = _initial_model(recipe)
        self.model = model.to(self.device)
        # Who was trained on earlier cannot be measured on later.
        self.trained_on = merge_persons(task.trained_on, before)
        _channels_last(self.model)
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.lossy = self.processes.wrap(_Lossy(self.model, task))
        self.optimizer = build_optimizer(self.model, recipe)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.sampler = EpochSampler(
            task.groups,
            recipe.seed,
            part=_part(recipe, self.processes.world),
            rank=self.processes.rank,
            world=self.processes.world,
        )
        self.steps_per_epoch = self.sampler.total // recipe.batch_size
        self.total_steps = recipe.epochs * self.steps_per_epoch
        if self.total_steps == 0:
            raise EdgePoseError(
                f"{self.sampler.total} samples are less than one batch of {recipe.batch_size},"
                " give more persons or a smaller batch_size"
            )

    def run(self, progress: Progress, until_epoch: int | None = None) -> None:
        """Train to the end of the recipe, or to the end of `until_epoch` epochs in total.

        Raises:
            EdgePoseError: the loss is not finite; the state of the last epoch stays on disk.
        """
        self.paths.folder.mkdir(parents=True, exist_ok=True)
        if self.paths.resume.exists():
            self._load()
        if self.processes.first:
            trim_log(self.paths.log, self.epoch)
        last = min(until_epoch or self.recipe.epochs, self.recipe.epochs)
        bar = progress.add_task(self.recipe.model, total=last * self.steps_per_epoch)
        progress.update(bar, completed=self.epoch * self.steps_per_epoch)
        loader = self._loader()
        while self.epoch < last:
            start, total = time.monotonic(), 0.0
            for count, loss in enumerate(self._epoch(loader), 1):
                total += loss
                text = f"epoch {self.epoch + 1}/{self.recipe.epochs} loss {total / count:.3f}"
                progress.update(bar, advance=1, description=text)
            took = time.monotonic() - start
            self.seconds += took
            self.epoch += 1
            rate = self.steps_per_epoch * self.recipe.batch_size / took
            self._finish_epoch(total / self.steps_per_epoch, rate)

    def dry_run(self) -> dict[str, Any]:
        """Compute loss and gradients of one step, write nothing, and say what a run would be."""
        start = time.monotonic()
        losses = list(islice(self._epoch(self._loader(), update=False), 1))
        return {
            "model": self.recipe.model,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "samples_per_epoch": self.steps_per_epoch * self.recipe.batch_size,
            "epochs": self.recipe.epochs,
            "steps": self.total_steps,
            "first_loss": losses[0],
            "first_step_s": round(time.monotonic() - start, 2),
            "device": self.device.type,
            "processes": self.processes.world,
        }

    def _epoch(self, loader: DataLoader[Any], *, update: bool = True) -> Iterator[float]:
        """Yield the loss of each step of the current epoch."""
        stage = self.recipe.stage(self.epoch)
        self.sampler.epoch, self.sampler.input_side = self.epoch, stage.input_side
        # What a network draws, such as dropout, does not depend on where a run was stopped.
        torch.manual_seed(hash((self.recipe.seed, self.epoch, self.processes.rank)))
        self.model.train()
        epoch = batches(loader)
        for _ in range(self.steps_per_epoch):
            parts = islice(epoch, self.recipe.accumulate)
            yield self._step(parts, stage.sigma, update=update)

    def _loader(self) -> DataLoader[Any]:
        pin = self.device.type == "cuda"
        return open_loader(self.task, self.sampler, self.recipe.workers, pin=pin)

    def _step(self, parts: Iterator[Batch], sigma: float, *, update: bool) -> float:
        """Take one step of the optimizer and return the loss, the mean over all processes."""
        self.optimizer.zero_grad(set_to_none=True)
        value = torch.zeros((), device=self.device)
        for index, batch in enumerate(parts, 1):
            last = index == self.recipe.accumulate
            with self.processes.gradients_meet(self.lossy, meet=last):
                loss = self._loss(batch, sigma) / self.recipe.accumulate
                loss.backward()  # type: ignore[no-untyped-call]
            value += loss.detach()
        mean = self.processes.mean(value)
        self._check("loss", mean)
        if update:
            self._update()
        return mean

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise EdgePoseError(
                f"epoch {self.epoch + 1}, step {self.step}: the {name} is {value}; lower the"
                f" learning rate and run again, the last epoch's state is in {self.paths.resume}"
            )

    def _loss(self, batch: Batch, sigma: float) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            loss: Tensor = self.lossy(self._moved(batch), sigma)
        return loss

    def _moved(self, batch: Batch) -> Batch:
        images, *others = batch
        return (
            images.to(self.device, memory_format=torch.channels_last, non_blocking=True),
            *(other.to(self.device, non_blocking=True) for other in others),
        )

    def _update(self) -> None:
        factor = lr_factor(self.recipe.optimizer, self.step, self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        limit = self.recipe.optimizer.clip_norm
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self._check("gradient's norm", float(norm))
        self.optimizer.step()
        self.step += 1
        self._update_average()

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
        if self.processes.first:
            self._write(loss, rate)
        self.processes.wait()

    def _write(self, loss: float, rate: float) -> None:
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
        model = self._averaged(self.recipe.refit_batches if last else 0)
        if last or self.epoch % self.recipe.measure_every == 0:
            record |= {"held_out": found} if (found := self._measure(model)) else {}
        save_checkpoint(self.paths.weights, model.state_dict(), self._info())
        # The log goes first: a kill before the state is written leaves a line too many, which
        # `trim_log` takes out again; the other way round a line would be missing for good.
        with self.paths.log.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        write_events(self.paths.events, record)
        save_resume(self.paths.resume, self._state())
        log.info("%s", json.dumps(record))

    def measure_trained(self) -> dict[str, float]:
        """Measure on the training's own samples, see Task.measure."""
        return self._measure(self._averaged(REFIT_BATCHES), trained=True)

    def _measure(self, model: nn.Module, *, trained: bool = False) -> dict[str, float]:
        return self.task.measure(model, self._info(), trained=trained)

    def _averaged(self, refit: int) -> nn.Module:
        """Return the network with averaged weights, its statistics from so many batches."""
        averaged = self._info().build().to(self.device)
        averaged.load_state_dict(self.average)
        if refit:
            epoch = max(self.epoch - 1, 0)
            stage = self.recipe.stage(epoch)
            self.sampler.epoch, self.sampler.input_side = epoch, stage.input_side
            loader = open_loader(self.task, self.sampler, 0, pin=False)
            refit_statistics(
                averaged,
                (self._moved(batch) for batch in islice(batches(loader), refit)),
                lambda network, batch: self.task.loss(network, batch, stage.sigma),
            )
        return averaged.eval()

    def _info(self) -> CheckpointInfo:
        side = self.recipe.stage(max(self.epoch - 1, 0)).input_side
        entry = get_model(self.recipe.model)
        return CheckpointInfo(
            model=self.recipe.model,
            model_args=dict(self.recipe.model_args),
            heatmap_kind=(
                HEATMAP_KIND[self.recipe.loss] if entry.task == "top_down" else entry.heatmap_kind
            ),
            input_size=(side, side),
            recipe=self.recipe.model_dump(mode="json", by_alias=True),
            trained_on=self.trained_on,
            data_sha256=self.task.data_sha256,
            epochs=self.epoch,
            minutes=round(self.seconds / 60, 1),
            device=f"{self.device.type} ({platform.machine()}, {torch.get_num_threads()} threads)",
        )

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.model_dump_json(by_alias=True),
            "data": self._data(),
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
        }

    def _data(self) -> dict[str, str | int]:
        """What else than the recipe makes a run what it is."""
        return {
            "data_sha256": self.task.data_sha256,
            "samples": self.sampler.total,
            "processes": self.processes.world,
        }

    def _load(self) -> None:
        state = load_resume(self.paths.resume)
        if state.get("recipe") != self.recipe.model_dump_json(by_alias=True):
            raise EdgePoseError(
                f"{self.paths.resume}: belongs to another recipe, choose another --out folder"
            )
        if state.get("data") != self._data():
            raise EdgePoseError(
                f"{self.paths.resume}: belongs to other data, another --limit or another number of"
                " processes, choose another --out folder"
            )
        self.model.load_state_dict(state["model"])
        self.average = {k: v.to(self.device) for k, v in state["average"].items()}
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.seconds = state["seconds"]
        log.info("going on after epoch %d of %s", self.epoch, self.paths.resume)


class _Lossy(nn.Module):
    """Model and loss as one module: several processes exchange gradients at its forward pass."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self._task = task

    def forward(self, batch: Batch, sigma: float) -> Tensor:
        return self._task.loss(self.model, batch, sigma)


def _part(recipe: Recipe, world: int) -> int:
    """Return the samples of one forward pass in one process."""
    part, rest = divmod(recipe.batch_size, recipe.accumulate * world)
    if rest:
        raise ConfigError(
            f"batch_size {recipe.batch_size}: is not a multiple of accumulate {recipe.accumulate}"
            f" x {world} processes"
        )
    return part


def _initial_model(recipe: Recipe) -> tuple[nn.Module, dict[str, str]]:
    """Return the network to start from and who it was trained on."""
    pretrained = {"pretrained": True} if recipe.pretrained else {}
    model = build_model(recipe.model, {**recipe.model_args, **pretrained})
    trained_on: dict[str, str] = {}
    if recipe.init:
        given, info = load_checkpoint(Path(recipe.init))
        if info.model != recipe.model:
            raise CheckpointError(
                f"init: {recipe.init} is of model {info.model}, the recipe's is {recipe.model}"
            )
        try:
            model.load_state_dict(given.state_dict())
        except RuntimeError:
            raise CheckpointError(
                f"init: {recipe.init} was built with {info.model_args}, the recipe's model_args"
                f" are {recipe.model_args}"
            ) from None
        trained_on = info.trained_on
    return model, trained_on


def _channels_last(model: nn.Module) -> None:
    """Put kernels into the memory format that convolutions are quickest in."""
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
