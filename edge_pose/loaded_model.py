"""The model of a run: chosen, loaded, warmed up, and how long that took."""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import READS, resolve_model
from edge_pose.backends.base import Runtime
from edge_pose.backends.choice import choose
from edge_pose.config import RunConfig
from edge_pose.detect import GENERIC
from edge_pose.detector import PersonDetector
from edge_pose.estimator import Estimator, check_task, load, load_detector
from edge_pose.manifest import Manifest
from edge_pose.profile import DeviceProfile, load_profile

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoadedModel:
    """An estimator and what is to be told about it.

    Attributes:
        estimator: ready to use; whoever loaded it closes it.
        runtime: what it runs in, after any fallback.
        load_s: reading, checking and compiling the artifact, in seconds.
        warm_up_s: the first runs, which are part of no frame, in seconds; 0 before `warm_up`.
    """

    estimator: Estimator
    runtime: Runtime
    load_s: float
    warm_up_s: float = 0.0

    def warm_up(self) -> None:
        """Run the model on a grey picture, so that the first real frame is not the slow one."""
        start = time.perf_counter()
        self.estimator.warm_up()
        self.warm_up_s = time.perf_counter() - start
        logger.info("warmed up in %.3f s", self.warm_up_s)


def load_model(config: RunConfig, profile: DeviceProfile | None = None) -> LoadedModel:
    """Load the artifact that a run's configuration names into the runtime that suits the device.

    Args:
        config: what is asked for.
        profile: the device; the one that the configuration names by default.

    Raises:
        ArtifactError: the artifact is missing, damaged or not trusted.
        BackendError: the runtime is missing or refuses the model, or, where the configuration is
            strict, the device is not there.
        UsageError: the runtime, its device or the profile is unknown.
    """
    start = time.perf_counter()
    profile = profile or load_profile(config.profile)
    preferred = profile.runtime.backend
    asked = config.backend or (preferred if config.strict else None)
    artifact = _trusted(resolve_model(config.model, asked=asked, preferred=preferred), config)
    choice = choose(
        artifact.manifest,
        profile,
        backend=config.backend,
        device=config.inference_device,
        threads=config.threads,
        strict=config.strict,
    )
    logger.info("%s", choice)
    check_task(artifact, detector=config.detector is not None)
    estimator = load(
        artifact,
        backend=choice.backend,
        device=choice.device,
        threads=choice.threads,
        strict=config.strict,
        cache=config.compile_cache,
        min_keypoint_score=config.min_keypoint_score,
        min_score=config.tracking.acquire_score,
        padding=config.tracking.padding,
        detector=_load_detector(config, profile, choice.backend),
    )
    backend = estimator.backend
    runtime = Runtime(backend.name, backend.version, backend.device, choice.threads)
    load_s = time.perf_counter() - start
    logger.info("%s: loaded in %.3f s", runtime, load_s)
    _note_differences(artifact.manifest, runtime)
    return LoadedModel(estimator, runtime, load_s)


def _note_differences(manifest: Manifest, runtime: Runtime) -> None:
    """Tell where the artifact was made for another runtime or processor: it runs all the same."""
    file, here = manifest.file, platform.machine()
    if manifest.gate is not None and file.backend != runtime.backend:
        logger.info("%s: its gate was measured with %s", manifest.name, file.backend)
    if file.arch and _generic(file.arch) != _generic(here):
        logger.info("%s: its integers suit %s, this is %s", manifest.name, file.arch, here)


def _generic(machine: str) -> str:
    return GENERIC.get(machine.lower(), machine.lower())


def _trusted(model: str | Path, config: RunConfig) -> Artifact:
    keys = (config.trusted_keys,) if config.trusted_keys else ()
    return load_artifact(model, trust_ungated=config.trust_ungated, trusted_keys=keys)


def _load_detector(config: RunConfig, profile: DeviceProfile, beside: str) -> PersonDetector | None:
    """Load the detector that a configuration names, into the runtime that suits it.

    The runtime and the device that were asked for are the model's. The detector takes the runtime
    where that reads its format, and the device where it got the same runtime: each has words of
    its own for devices.

    Args:
        config: what is asked for.
        profile: the device.
        beside: the model's runtime.
    """
    if config.detector is None:
        return None
    artifact = _trusted(config.detector, config)
    choice_on = partial(
        choose,
        artifact.manifest,
        profile,
        backend=config.backend if artifact.manifest.file.format in READS[beside] else None,
        threads=config.threads,
        strict=config.strict,
    )
    choice = choice_on()
    if choice.backend == beside:
        choice = choice_on(device=config.inference_device)
    logger.info("detector: %s", choice)
    return load_detector(
        artifact,
        backend=choice.backend,
        device=choice.device,
        threads=choice.threads,
        strict=config.strict,
        cache=config.compile_cache,
    )
