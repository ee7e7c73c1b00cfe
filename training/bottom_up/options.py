"""Options of bottom-up training, in a recipe's table `bottom_up`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SceneConfig(BaseModel):
    """How samples are drawn from whole pictures; flips and colours are AugmentConfig's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    p_composite: float = Field(0.5, ge=0, le=1, description="paste people onto the picture")
    max_pasted: int = Field(3, ge=1, description="people pasted at most")
    rotate_deg: float = Field(30.0, ge=0, description="largest rotation")
    closest: float = Field(
        1.0, ge=0, le=1, description="view: 0 always the whole picture, 1 up to one of its people"
    )
    zoom: tuple[float, float] = Field((0.75, 1.5), description="smallest and largest")
    shift: float = Field(0.1, ge=0, description="largest shift over the view's side")


class BottomUpOptions(BaseModel):
    """Weights of the loss, and the samples.

    The defaults are HigherHRNet's squared error at both resolutions and its weights of pull and
    push. The push itself is the mean of exp(-d²/2) over the pairs of different people, d between
    their mean tags (see losses.associative); HigherHRNet's has another width and factor.

    On little data from scratch that loss stays at the all-zero answer for a long time:
    `positive_weight` and `location_weight` are against that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    positive_weight: float = Field(1.0, ge=1, description="of a keypoint's px over an empty px")
    location_weight: float = Field(0.0, ge=0, description="of the spatial softmax's cross-entropy")
    temperature: float = Field(0.1, gt=0, description="heatmap height per logit of that softmax")
    pull_weight: float = Field(1e-3, ge=0)
    push_weight: float = Field(1e-3, ge=0)
    scenes: SceneConfig = SceneConfig()
