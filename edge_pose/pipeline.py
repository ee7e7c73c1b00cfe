"""The frame loop: source → estimator → tracker, with capture in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from edge_pose.bottom_up import BottomUpEstimator
from edge_pose.config import RunConfig, TrackingConfig
from edge_pose.estimator import Estimator, Stopwatch
from edge_pose.frame_queue import FrameQueue
from edge_pose.handover import NotReadyError
from edge_pose.smoothing import KeypointSmoother
from edge_pose.sources.base import Source
from edge_pose.tracking import PersonTracker
from edge_pose.tracking_people import CrowdTracker, PeopleTracker
from edge_pose.types import Frame, FrameResult, Image, Pose

MANY_PEOPLE = 10  # followed at most, where all can be found and nobody says otherwise
POLL_S = 0.2  # how soon a wait for a frame notices that the run was stopped
STALE_S = 2.0  # a live source that says nothing for so long counts as stale

FindPoses: TypeAlias = Callable[[Image, Stopwatch], list[Pose]]


class Pipeline:
    """Turns the frames of one open source into results.

    Args:
        source: where frames come from; it is closed at the end of the iteration.
        estimator: finds people.
        config: tracking, smoothing and limits.
        stop: ends the loop after the frame in work.
        on_stale: called with True when a live source falls silent and with False when it is back.
        on_pause: called in the iterating thread when it has no use for the interpreter for a while:
            a network is about to run, or there is no frame yet.
    """

    def __init__(
        self,
        source: Source,
        estimator: Estimator,
        config: RunConfig,
        *,
        stop: threading.Event | None = None,
        on_stale: Callable[[bool], None] = lambda _: None,
        on_pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._config = config
        self._stop = stop or threading.Event()
        self._cancelled = threading.Event()
        self._on_stale = on_stale
        self._on_pause = on_pause
        self._smooth = KeypointSmoother(config.smoothing, config.min_keypoint_score)
        self._search: FindPoses = estimator.search
        self._follow: FindPoses = (
            _tracker(estimator, config.tracking) if config.tracking.enabled else self._search
        )

    def __iter__(self) -> Iterator[FrameResult]:
        """Yield one result per frame.

        Raises:
            SourceError: the source broke; the results before that were yielded.
            BackendError: the runtime failed.
        """
        count, limit = 0, self._config.max_frames
        with FrameQueue(self._source) as frames:
            try:
                while count != limit and (frame := self._next(frames)) is not None:
                    yield self._process(frame, frames.dropped)
                    count += 1
            finally:
                self._on_pause()  # closing a camera takes a while

    def cancel(self) -> None:
        """End the iteration after the frame in work; for another thread than the iterating one."""
        self._cancelled.set()

    @property
    def _stopped(self) -> bool:
        return self._stop.is_set() or self._cancelled.is_set()

    def _next(self, frames: FrameQueue) -> Frame | None:
        """Wait for a frame; None at the end of the source or when the run was stopped."""
        silent_since, stale, wait_s = time.monotonic(), False, 0.0
        while not self._stopped:
            try:
                frame = frames.get(wait_s)
            except NotReadyError:
                self._on_pause()
                wait_s = POLL_S
                if self._source.live and time.monotonic() - silent_since > STALE_S:
                    self._on_stale(True)
                    stale = True
                continue
            if stale:
                self._on_stale(False)
                stale = False
            if not self._stopped:  # it may have been stopped while the frame was awaited
                return frame
        return None

    def _process(self, frame: Frame, dropped: int) -> FrameResult:
        watch = Stopwatch(self._on_pause)
        # Stills have nothing to do with each other: each is searched from scratch.
        moving = self._source.live or frame.media_s is not None
        poses = (self._follow if moving else self._search)(frame.image, watch)
        poses = [self._smooth(pose, frame.time_s) for pose in poses]
        stage_s = {"capture": frame.capture_s, **watch.stage_s}
        latency_s = time.monotonic() - frame.captured_s
        return FrameResult(frame, tuple(poses), stage_s, latency_s, dropped)


def _tracker(estimator: Estimator, config: TrackingConfig) -> FindPoses:
    """Return what follows people with this kind of model."""
    if isinstance(estimator, BottomUpEstimator):
        return CrowdTracker(estimator, config, config.max_people or MANY_PEOPLE)
    if estimator.detector is not None:
        return PeopleTracker(estimator, config, config.max_people or MANY_PEOPLE)
    if (config.max_people or 1) > 1:
        return PeopleTracker(estimator, config, config.max_people or 1)
    return PersonTracker(estimator, config)
