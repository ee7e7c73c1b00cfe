"""Streams from a real HTTP server on this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.errors import SourceError
from edge_pose.sources.stream import StreamSource


class Server(ThreadingHTTPServer):
    """Serves a clip, and a motion JPEG stream that breaks off after `burst` pictures."""

    daemon_threads = True
    clip = b""
    burst = 6
    connections = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path.startswith("/clip.mp4"):
            self._answer("video/mp4", self.server.clip)
        elif self.path.startswith("/live"):
            self._live()
        else:
            self.send_error(404)

    def _answer(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _live(self) -> None:
        self.server.connections += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for _ in range(self.server.burst):
            image = np.full((48, 64, 3), 60 + 60 * (self.server.connections % 3), np.uint8)
            jpeg = cv2.imencode(".jpg", image)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client has left
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent."""


@pytest.fixture
def server(two_people: Path, index_first: Callable[[bytes], bytes]) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.clip = index_first(two_people.read_bytes())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/{path}"


def test_broken_stream_is_opened_again(server: Server) -> None:
    delays: list[float] = []
    source = StreamSource(url(server, "live.mjpeg"), timeout_s=5, sleep=delays.append)
    assert source.live
    levels = set()
    last = -1
    for frame in source.frames():
        assert frame.index > last
        assert frame.media_s is None
        last = frame.index
        levels.add(round(int(frame.image[0, 0, 0]) / 60))
        if len(levels) == 2:
            break
    source.close()
    assert server.connections >= 2
    assert delays[0] == 0.5


def test_clip_behind_a_url_plays_to_its_end(server: Server) -> None:
    source = StreamSource(url(server, "clip.mp4"), timeout_s=5)
    assert source.live
    assert source.frame_count == 50
    indices = [frame.index for frame in source.frames()]
    source.close()
    assert indices == sorted(set(indices))
    assert indices[-1] >= 44


def test_clip_behind_a_url_that_breaks_off(server: Server) -> None:
    server.clip = server.clip[: len(server.clip) * 2 // 3]
    source = StreamSource(url(server, "clip.mp4"), timeout_s=5)
    with pytest.raises(SourceError, match=r"clip\.mp4: ended after frame [1-9]\d* of 50: the conn"):
        list(source.frames())
    source.close()


def test_no_stream_there_and_no_secret_in_the_message(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    port = server.server_address[1]
    with pytest.raises(SourceError) as caught:
        StreamSource(f"http://me:secret@127.0.0.1:{port}/nothing?token=hidden", timeout_s=5)
    assert str(caught.value).startswith(f"http://127.0.0.1:{port}/nothing: no stream (")
    assert capfd.readouterr().err == ""


def test_unknown_scheme() -> None:
    with pytest.raises(SourceError, match=r"ftp://host/a: unknown kind of address \(known: http"):
        StreamSource("ftp://me:secret@host/a")


def test_malformed_url() -> None:
    with pytest.raises(SourceError, match="not a valid address"):
        StreamSource("rtsp://[::1")
