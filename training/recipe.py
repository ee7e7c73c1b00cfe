"""A training run as data: what the TOML files in training/configs say."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_pose.config import check_keys, first_error, read_toml
from edge_pose.errors import ConfigError
from training.transforms import AugmentConfig

SCHEMA = "edge_pose.training/1"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Table):
    """Some epochs at one input size; later stages go on from earlier ones."""

    epochs: int = Field(ge=1)
    input_side: int = Field(ge=32, description="px, a multiple of 32")
    sigma: float = Field(1.5, gt=0, description="of the Gaussian target, heatmap px")


class OptimizerConfig(_Table):
    """What moves the weights."""

    name: Literal["adamw", "rmsprop"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    pretrained_lr_factor: float = Field(1.0, gt=0, description="for weights from ImageNet")
    weight_decay: float = Field(0.05, ge=0)
    warmup_steps: int = Field(300, ge=0)
    clip_norm: float = Field(10.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)


class Recipe(_Table):
    """Everything that determines a run, given the data."""

    schema_: Literal["edge_pose.training/1"] = Field(alias="schema")
    model: str
    pretrained: bool = False
    loss: Literal["softmax", "mse"] = "softmax"
    seed: int = 1
    batch_size: int = Field(48, ge=1)
    workers: int = Field(1, ge=0)
    bf16: bool = Field(True, description="autocast to bfloat16 where the device can")
    datasets: dict[str, int] = Field(description="repeats per epoch, by data set")
    stages: tuple[Stage, ...] = Field(min_length=1)
    measure_every: int = Field(4, ge=1, description="epochs between measurements on held-out LSPET")
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def stage(self, epoch: int) -> Stage:
        """Return the stage that `epoch` (from 0) belongs to."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]


def load_recipe(file: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ConfigError: one line that names file, key and what is allowed.
    """
    return parse_recipe(read_toml(file), str(file))


def parse_recipe(values: dict[str, Any], where: str) -> Recipe:
    """Validate a recipe's values; `where` names them in errors."""
    found = values.get("schema")
    if found != SCHEMA:
        raise ConfigError(f"{where}: schema: found {found!r}, expected '{SCHEMA}'")
    check_keys({k: v for k, v in values.items() if k != "schema"}, Recipe, where)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_error(error)}") from None
