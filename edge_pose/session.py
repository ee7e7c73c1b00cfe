"""One run from configuration to summary: open everything, publish every frame, close everything."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from edge_pose._version import __version__
from edge_pose.config import RunConfig, load_config
from edge_pose.errors import EdgePoseError, SourceError, UsageError
from edge_pose.estimator import Estimator, load
from edge_pose.handover import Handover
from edge_pose.messages import (
    CameraState,
    MessageContext,
    PowerFigures,
    poses_message,
    state_message,
    stats_message,
)
from edge_pose.metrics.latency import LatencyRecorder
from edge_pose.pipeline import Pipeline
from edge_pose.power import EnergyRecorder, PowerSummary, open_meter
from edge_pose.profile import load_profile
from edge_pose.publishers import publisher_class
from edge_pose.publishers.base import Publisher, PublisherReport
from edge_pose.sources import open_source
from edge_pose.sources.base import Source
from edge_pose.summary import RunSummary, summarize
from edge_pose.types import FrameResult

logger = logging.getLogger(__name__)

RESULTS_AHEAD = 2  # finished, not yet published
FILE_PATIENCE_S = 5.0  # a file can wait for a slow broker, a camera cannot


def run(
    config: RunConfig,
    *,
    stop: threading.Event | None = None,
    on_result: Callable[[FrameResult], None] = lambda _: None,
) -> RunSummary:
    """Do what the configuration says until the source ends or `stop` is set.

    A source that breaks in the middle ends the run; the summary's `error` says why, and everything
    up to there is published and closed.

    Raises:
        EdgePoseError: something could not be opened.
    """
    stop = stop or threading.Event()
    with ExitStack() as stack:
        estimator = stack.enter_context(_estimator(config))
        source = stack.enter_context(open_source(config.source, realtime=config.realtime))
        meter = stack.enter_context(closing(open_meter(config.power, load_profile(config.profile))))
        session = _Session(config, estimator, source)
        stack.callback(session.close)  # whatever happens, files are finished and the broker told
        session.open()
        estimator.warm_up()
        with EnergyRecorder(meter) as energy:
            session.loop(stop, on_result, energy)
        power = energy.summary()
        session.close()
        return session.summary(power, interrupted=stop.is_set())


def stream(
    source: str | int | Path,
    *,
    model: str | Path = "default",
    stop: threading.Event | None = None,
    **options: object,
) -> Iterator[FrameResult]:
    """Yield results frame by frame; the source is closed when the loop ends or is left.

    Args:
        source: camera index, video file, folder, glob, URL or "synthetic".
        model: name of a shipped artifact, or an artifact folder.
        stop: ends the stream after the frame in work.
        options: further fields of edge_pose.config.RunConfig, for example `realtime=True`.

    Raises:
        EdgePoseError: the source or the model cannot be opened, or breaks.
    """
    values = {"source": str(source), "model": str(model), **options}
    config = load_config(flags=values, env={})
    with (
        _estimator(config) as estimator,
        open_source(config.source, realtime=config.realtime) as opened,
    ):
        yield from Pipeline(opened, estimator, config, stop=stop)


def check_outputs(config: RunConfig) -> None:
    """Make sure that no output replaces the source or another output.

    Raises:
        UsageError: it does.
    """
    taken = {Path(config.source).resolve(): "the source"}
    for key, path in (("jsonl", config.jsonl), ("video", config.video)):
        if path is not None:
            owner = taken.setdefault(path.resolve(), key)
            if owner != key:
                raise UsageError(f"{key} {path}: is {owner}, too; choose another file")


def _estimator(config: RunConfig) -> Estimator:
    return load(
        config.model,
        backend=config.backend,
        threads=config.threads or load_profile(config.profile).runtime.threads,
        trust_ungated=config.trust_ungated,
        min_keypoint_score=config.min_keypoint_score,
        min_score=config.tracking.acquire_score,
    )


class _Session:
    """The publishers and figures of one run."""

    def __init__(self, config: RunConfig, estimator: Estimator, source: Source) -> None:
        manifest = estimator.manifest
        self.config, self.estimator, self.source = config, estimator, source
        self.context = MessageContext(
            device=config.device,
            camera=config.camera,
            model_name=manifest.name,
            model_sha256=manifest.file.sha256,
            keypoint_format=manifest.keypoint_format.name,
            version=__version__,
        )
        self.publishers: list[Publisher] = []
        self.reports: list[PublisherReport] = []
        self.latency = LatencyRecorder()
        self.frames = self.frames_with_people = self.dropped = 0
        self.started_s = self.finished_s = time.monotonic()
        self.error: EdgePoseError | None = None
        self._closed = False
        self._stale = False

    def open(self) -> None:
        """Open the publishers that the configuration names."""
        config, source = self.config, self.source
        check_outputs(config)
        patience_s = 0.0 if source.live else FILE_PATIENCE_S
        if config.jsonl:
            jsonl = publisher_class("jsonl")
            self.publishers.append(jsonl(config.jsonl, overwrite=config.overwrite))
        if config.video:
            video = publisher_class("video")(
                config.video,
                self.estimator.keypoint_format,
                min_score=config.min_keypoint_score,
                frame_rate=source.frame_rate,
                block=not source.live,
                overwrite=config.overwrite,
            )
            self.publishers.append(video)
        if config.mqtt.host:
            mqtt = publisher_class("mqtt")
            self.publishers.append(mqtt(config.mqtt, self.context, block_s=patience_s))

    def loop(
        self,
        stop: threading.Event,
        on_result: Callable[[FrameResult], None],
        energy: EnergyRecorder,
    ) -> None:
        """Publish every frame until the source ends or breaks."""
        self._announce("running")
        pipeline = Pipeline(
            self.source, self.estimator, self.config, stop=stop, on_stale=self._on_stale
        )
        self.started_s = self.finished_s = time.monotonic()
        next_stats_s = self.started_s + self.config.stats_interval_s
        try:
            for result in self._in_background(pipeline):
                self._publish(result)
                on_result(result)
                if self.finished_s >= next_stats_s:
                    self._stats(energy)
                    next_stats_s = self.finished_s + self.config.stats_interval_s
        except SourceError as error:
            self.error = error
        self._stats(energy)
        self._announce("no_source", str(self.error) if self.error else None)

    def _in_background(self, pipeline: Pipeline) -> Iterator[FrameResult]:
        """Yield results while the next ones are made: publishing overlaps with inference."""
        with Handover(pipeline, RESULTS_AHEAD, name="infer") as results:
            while (result := results.get()) is not None:
                yield result

    def _publish(self, result: FrameResult) -> None:
        start = time.perf_counter()
        message = poses_message(result, self.context)
        for publisher in self.publishers:
            publisher.poses(result, message)
        publish_s = time.perf_counter() - start
        self.finished_s = time.monotonic()
        for stage, seconds in result.stage_s.items():
            self.latency.add(stage, seconds)
        self.latency.add("publish", publish_s)
        self.latency.add("end_to_end", result.latency_s + publish_s)
        self.frames += 1
        self.frames_with_people += bool(result.poses)
        self.dropped = result.dropped

    def _on_stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            self._announce("stale" if stale else "running")

    def _announce(self, state: CameraState, reason: str | None = None) -> None:
        for publisher in self.publishers:
            publisher.state(state_message(self.context, state, reason))

    def _stats(self, energy: EnergyRecorder) -> None:
        power = energy.summary()
        message = stats_message(
            self.context,
            uptime_s=self.finished_s - self.started_s,
            frames=self.frames,
            fps=self.fps,
            latency_ms={
                name: {"p50": s.p50_s * 1e3, "p95": s.p95_s * 1e3, "p99": s.p99_s * 1e3}
                for name, s in self.latency.summary().items()
            },
            dropped_source=self.dropped,
            dropped_mqtt=sum(getattr(p, "dropped", 0) for p in self.publishers if p.name == "mqtt"),
            power=PowerFigures(
                power.mean_w,
                power.energy_j / self.frames if self.frames else None,
                power.source,
                power.meter,
            ),
        )
        for publisher in self.publishers:
            publisher.stats(message)

    @property
    def fps(self) -> float:
        """Frames per second from opening the source's first frame to the last one published."""
        return self.frames / max(self.finished_s - self.started_s, 1e-9)

    def close(self) -> None:
        """Close every publisher once, even when one of them fails."""
        if self._closed:
            return
        self._closed = True
        for publisher in self.publishers:
            try:
                self.reports.append(publisher.close())
            except EdgePoseError as error:
                logger.error("%s", error)

    def summary(self, power: PowerSummary, *, interrupted: bool) -> RunSummary:
        """Return the figures of the finished run."""
        return summarize(
            manifest=self.estimator.manifest,
            source=self.config.source,
            device=self.config.device,
            frames=self.frames,
            frames_with_people=self.frames_with_people,
            dropped=self.dropped,
            duration_s=self.finished_s - self.started_s,
            latency=self.latency.summary(),
            reports=self.reports,
            power=power,
            interrupted=interrupted,
            error=self.error,
        )
