"""A training run as data: what the TOML files in training/configs say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_pose.config import check_keys, first_error, read_toml
from edge_pose.errors import ConfigError
from training.bottom_up.options import BottomUpOptions
from training.classification.views import ClassifierOptions
from training.detection.views import DetectorOptions
from training.transforms import PLAIN, AugmentConfig

SCHEMA = "edge_pose.training/1"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Table):
    """Some epochs at one input size; later stages go on from earlier ones."""

    epochs: int = Field(ge=1)
    input_side: int = Field(ge=32, description="px; each network has its own multiples")
    sigma: float = Field(1.5, gt=0, description="of the Gaussian target, heatmap px")


class OptimizerConfig(_Table):
    """What moves the weights."""

    name: Literal["adamw", "rmsprop"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    pretrained_lr_factor: float = Field(1.0, gt=0, description="for weights from ImageNet")
    weight_decay: float = Field(0.05, ge=0)
    warmup_steps: int = Field(300, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = Field(10.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)


class PerceptualConfig(_Table):
    """Perceptual loss between the necks of successive hourglasses, see losses.perceptual."""

    kind: Literal["mse", "kl"] = "mse"
    weight: float = Field(2.0, gt=0, description="the papers' lambda, of the whole sum")
    alpha: float = Field(0.7, ge=0, le=1, description="share of the prediction losses")


class DistillOptions(_Table):
    """What a teacher adds to the labels, see training.teaching.distill."""

    teacher: str = Field(description="checkpoint, artifact or peer's model file")
    weight: float = Field(0.5, ge=0, le=1, description="share of the teacher where it is confident")
    gate: float = Field(0.3, ge=0, le=1, description="least confidence of the teacher")
    temperature: float = Field(1.0, gt=0, description="of the teacher's softmax")


class Recipe(_Table):
    """Everything that determines a run, given the data."""

    schema_: Literal["edge_pose.training/1"] = Field(alias="schema")
    model: str
    model_args: dict[str, str | int | float | bool] = Field(
        {}, description="keyword arguments of the model's function"
    )
    pretrained: bool = False
    init: str = Field("", description="checkpoint to start from, of the same model")
    loss: Literal["softmax", "mse"] = "softmax"
    perceptual: PerceptualConfig | None = None
    distill: DistillOptions | None = None
    seed: int = 1
    batch_size: int = Field(48, ge=1, description="samples per step, over all processes")
    accumulate: int = Field(1, ge=1, description="parts that a batch is computed in")
    workers: int = Field(1, ge=0)
    bf16: bool = Field(True, description="autocast to bfloat16 where the device can")
    datasets: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1, description="repeats per epoch, or weights where the mixing is balanced"
    )
    mixing: Literal["repeats", "balanced"] = Field(
        "repeats", description="balanced: an epoch shows each data set in proportion to its weight"
    )
    corrections: dict[str, str] = Field({}, description="files of `data clean`, by data set")
    stages: tuple[Stage, ...] = Field(min_length=1)
    measure_every: int = Field(
        4, ge=1, description="epochs between measurements on people held out from training"
    )
    refit_batches: int = Field(
        0, ge=0, description="batches to take the last epoch's batch statistics from anew"
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: AugmentConfig = AugmentConfig()
    bottom_up: BottomUpOptions = BottomUpOptions()
    classifier: ClassifierOptions = ClassifierOptions()
    detector: DetectorOptions = DetectorOptions()

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def without_augmentation(self) -> Recipe:
        """Return the recipe with every epoch seeing the same samples."""
        still = {
            "p_composite": 0.0,
            "closest": 0.0,
            "rotate_deg": 0.0,
            "zoom": (1.0, 1.0),
            "shift": 0.0,
        }
        scenes = self.bottom_up.scenes.model_copy(update=still)
        view = self.detector.view.model_copy(update={"p_whole": 1.0, "border": 1.0})
        return self.model_copy(
            update={
                "augment": PLAIN,
                "bottom_up": self.bottom_up.model_copy(update={"scenes": scenes}),
                "classifier": self.classifier.model_copy(update={"min_area": 1.0}),
                "detector": self.detector.model_copy(update={"view": view, "mosaic": (1.0,)}),
            }
        )

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
