from __future__ import annotations

import pytest

from edge_pose.sources.urls import public_uri


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        ("rtsp://u:p%40@cam.local:554/s1?x=1#y", "rtsp://cam.local:554/s1"),
        ("rtsp://u:p@ss@cam.local/s1", "rtsp://cam.local/s1"),
        ("HTTP://token@[fe80::1]:8080/a", "http://[fe80::1]:8080/a"),
        ("rtsp://[::1", "rtsp://…"),
        ("rtsp://me:sec/ret@cam.local/s1", "rtsp://…"),
        ("rtsp://me:sec#ret@cam.local/s1", "rtsp://…"),
    ],
)
def test_what_is_secret_is_left_out(uri: str, public: str) -> None:
    assert public_uri(uri) == public


@pytest.mark.parametrize(
    "uri", ["0", "camera:0:1280x720@30", "clips/a@b?.mp4", "C://clips/a.mp4", "shots/*.jpg", ""]
)
def test_what_is_no_url_stays_as_it_is(uri: str) -> None:
    assert public_uri(uri) == uri
