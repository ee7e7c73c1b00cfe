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
from edge_pose.figures import RunFigures
from edge_pose.handover import Handover, NotReadyError
from edge_pose.loaded_model import LoadedModel, load_model
from edge_pose.messages import CameraState, MessageContext, poses_message, state_message
from edge_pose.opencv_threads import one_opencv_thread
from edge_pose.pipeline import Pipeline
from edge_pose.power import EnergyRecorder, PowerSummary, open_meter
from edge_pose.profile import load_profile
from edge_pose.publishers import publisher_class
from edge_pose.publishers.base import Publisher, PublisherReport
from edge_pose.sources import open_source
from edge_pose.sources.base import Source
from edge_pose.sources.urls import public_uri
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
    up to there is published and closed. While frames come OpenCV has one thread in this process.

    Raises:
        EdgePoseError: something could not be opened.
    """
    stop = stop or threading.Event()
    with ExitStack() as stack:
        profile = load_profile(config.profile)
        model = load_model(config, profile)
        stack.enter_context(model.estimator)
        source = stack.enter_context(open_source(config.source, realtime=config.realtime))
        meter = stack.enter_context(closing(open_meter(config.power, profile)))
        session = Session(config, model, source)
        stack.callback(session.close)  # whatever happens, files are finished and the broker told
        session.open()
        model.warm_up()
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
    loaded = load_model(config)
    with (
        loaded.estimator as estimator,
        open_source(config.source, realtime=config.realtime) as opened,
    ):
        loaded.warm_up()
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


class Session:
    """The publishers and figures of one run.

    Args:
        config: of the run.
        model: ready to use; whoever loaded it closes it.
        source: open; whoever opened it closes it.
    """

    def __init__(self, config: RunConfig, model: LoadedModel, source: Source) -> None:
        manifest = model.estimator.manifest
        self.config, self.model, self.source = config, model, source
        self.estimator = model.estimator
        self.context = MessageContext(
            device=config.device,
            camera=config.camera,
            model_name=manifest.name,
            model_sha256=manifest.file.sha256,
            keypoint_format=manifest.keypoint_format.name,
            version=__version__,
            runtime=model.runtime,
        )
        self.publishers: list[Publisher] = []
        self.reports: list[PublisherReport] = []
        self.figures = RunFigures()
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
            self.publishers.append(
                jsonl(config.jsonl, overwrite=config.overwrite, append=config.append)
            )
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
        self.figures = RunFigures()
        reason = None
        try:
            with one_opencv_thread:
                for result in self._results(stop, energy):
                    start = time.perf_counter()
                    message = poses_message(result, self.context)
                    for publisher in self.publishers:
                        publisher.poses(result, message)
                    self.figures.add(result, time.perf_counter() - start)
                    on_result(result)
        except SourceError as error:
            self.error, reason = error, str(error)
        except BaseException as error:
            reason = str(error) or type(error).__name__
            raise
        finally:
            self._stats(energy)
            self._announce("no_source", reason)

    def _results(self, stop: threading.Event, energy: EnergyRecorder) -> Iterator[FrameResult]:
        """Yield results while the next ones are made; send statistics when they are due."""
        pipeline = Pipeline(
            self.source,
            self.estimator,
            self.config,
            stop=stop,
            on_stale=self._on_stale,
            on_pause=lambda: results.release(),
        )
        # Two threads cannot run Python at the same time. A result is held back until the network
        # runs, or it would be published in turns with the preparation of the next frame.
        results = Handover(pipeline, RESULTS_AHEAD, hold=True, cancel=pipeline.cancel, name="infer")
        interval_s = self.config.stats_interval_s
        due_s = time.monotonic() + interval_s
        with results:
            while True:
                if time.monotonic() >= due_s:  # whether or not there are frames
                    self._stats(energy)
                    due_s = time.monotonic() + interval_s
                try:
                    result = results.get(max(due_s - time.monotonic(), 0.0))
                except NotReadyError:
                    continue
                if result is None:
                    return
                yield result

    def _on_stale(self, stale: bool) -> None:
        if stale != self._stale:
            self._stale = stale
            # A source that reconnects on its own knows if the device is gone or only silent.
            gone = stale and not getattr(self.source, "connected", True)
            self._announce("no_source" if gone else "stale" if stale else "running")

    def _announce(self, state: CameraState, reason: str | None = None) -> None:
        for publisher in self.publishers:
            publisher.state(state_message(self.context, state, reason))

    def _stats(self, energy: EnergyRecorder) -> None:
        dropped = sum(
            publisher.dropped for publisher in self.publishers if publisher.name == "mqtt"
        )
        energy.sample()  # up to now: the meter's own interval may be longer than this one
        message = self.figures.interval_message(self.context, energy.summary(), dropped)
        for publisher in self.publishers:
            publisher.stats(message)

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
        figures = self.figures
        return summarize(
            manifest=self.estimator.manifest,
            source=public_uri(self.config.source),
            device=self.config.device,
            runtime=self.model.runtime,
            load_s=self.model.load_s,
            warm_up_s=self.model.warm_up_s,
            frames=figures.frames,
            frames_with_people=figures.frames_with_people,
            dropped=figures.dropped,
            duration_s=figures.duration_s,
            latency=figures.latency.summary(),
            reports=self.reports,
            power=power,
            interrupted=interrupted,
            error=self.error,
        )
