from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_pose.errors import PublisherError, UsageError
from edge_pose.messages import MessageContext, poses_message, state_message
from edge_pose.publishers import PUBLISHERS, publisher_class
from edge_pose.publishers.jsonl import JsonlPublisher
from edge_pose.schemas import validate_message
from edge_pose.types import FrameResult

WRITE_FOR_EVER = """
import sys
from pathlib import Path
from edge_pose.publishers.jsonl import JsonlPublisher
publisher = JsonlPublisher(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    publisher.poses(None, {"number": number, "padding": "x" * 1000})
report = publisher.close()
print(report.sent, report.dropped)
"""


def write(path: Path, count: int, prelude: str = "") -> subprocess.Popen:
    command = [sys.executable, "-c", prelude + WRITE_FOR_EVER, str(path), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_one_valid_message_per_line(
    tmp_path: Path, context: MessageContext, make_result: Callable[..., FrameResult]
) -> None:
    path = tmp_path / "new" / "folder" / "poses.jsonl"
    publisher = JsonlPublisher(path)
    publisher.state(state_message(context, "running"))
    for index in range(5):
        result = make_result(index, persons=index)
        publisher.poses(result, poses_message(result, context))
        assert len(path.read_bytes().splitlines()) == index + 1  # there at once
    assert publisher.close() == publisher.close()
    report = publisher.close()
    assert (report.name, report.sent, report.dropped) == ("jsonl", 5, 0)
    messages = [validate_message(line) for line in path.read_bytes().splitlines()]
    assert [m["frame"] for m in messages] == [0, 1, 2, 3, 4]
    assert [len(m["poses"]) for m in messages] == [0, 1, 2, 3, 4]


def test_a_killed_process_leaves_whole_lines(tmp_path: Path, until: Callable[..., None]) -> None:
    path = tmp_path / "poses.jsonl"
    with write(path, 10_000_000) as process:
        until(lambda: path.exists() and path.stat().st_size > 1_000_000)
        process.send_signal(signal.SIGKILL)
    content = path.read_bytes()
    assert content.endswith(b"\n")
    numbers = [json.loads(line)["number"] for line in content.splitlines()]
    assert numbers == list(range(len(numbers)))


def test_disk_full_in_the_middle(tmp_path: Path) -> None:
    """A file size limit acts like a full disk: the last write is cut short, the next ones fail."""
    path = tmp_path / "poses.jsonl"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_500, 10_500))\n"
    with write(path, 50, limit) as process:
        output, errors = process.communicate()
    lines = path.read_bytes().splitlines()
    assert len(lines) == 10
    assert [json.loads(line)["number"] for line in lines] == list(range(10))
    assert output.split() == ["10", "40"]
    assert len(errors.splitlines()) == 1
    assert "cannot be written" in errors


def test_a_full_device(
    context: MessageContext,
    make_result: Callable[..., FrameResult],
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher = JsonlPublisher(Path("/dev/full"))
    result = make_result()
    for _ in range(3):
        publisher.poses(result, poses_message(result, context))
    assert publisher.dropped == 3
    assert publisher.close().sent == 0
    [record] = caplog.records
    assert "No space left on device" in record.getMessage()


def lines_after_appending(path: Path, count: int = 2) -> list[int]:
    publisher = JsonlPublisher(path, overwrite=False, append=True)
    for number in range(100, 100 + count):
        publisher.poses(None, {"number": number})
    assert publisher.close().sent == count
    return [json.loads(line)["number"] for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (None, []),  # no file
        (b"", []),
        (b'{"number":1}\n{"number":2}\n', [1, 2]),
        (b'{"number":1}\n{"numb', [1]),
        (b'{"number":1}\n{"number":2}', [1, 2]),  # only the newline was lost
        (b'{"numb', []),
        (b'{"number":1}\n{"number":2,"text":"\xc3', [1]),  # half a character
    ],
)
def test_appending_goes_on_after_the_last_whole_line(
    tmp_path: Path, content: bytes | None, kept: list[int]
) -> None:
    path = tmp_path / "new" / "poses.jsonl"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    assert lines_after_appending(path) == [*kept, 100, 101]
    assert lines_after_appending(path, 1) == [*kept, 100, 101, 100]


def test_appending_to_a_long_file_that_was_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "poses.jsonl"
    whole = b'{"number":1,"padding":"' + b"x" * 1000 + b'"}\n'
    path.write_bytes(whole * 2000 + whole[:500])
    assert lines_after_appending(path) == [1] * 2000 + [100, 101]
    assert caplog.messages == [f"{path}: half a line at the end was cut off (500 bytes)"]


@pytest.mark.parametrize("content", [b"my thesis", b"{" + b"x" * 3_000_000, b"a,b\n1,2"])
def test_a_file_of_something_else_is_not_appended_to(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "poses.jsonl"
    path.write_bytes(content)
    with pytest.raises(PublisherError, match="does not end with a pose message"):
        JsonlPublisher(path, append=True)
    assert path.read_bytes() == content


def test_disk_full_while_appending(tmp_path: Path) -> None:
    path = tmp_path / "poses.jsonl"
    path.write_bytes(b'{"number":-1}\n{"num')
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_500, 10_500))\n"
    program = WRITE_FOR_EVER.replace("argv[1]))", "argv[1]), append=True)")
    assert program != WRITE_FOR_EVER
    command = [sys.executable, "-c", limit + program, str(path), "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [-1, *range(10)]
    assert done.stdout.split() == ["10", "40"]


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for path, problem in (
        (file / "poses.jsonl", "folder cannot be created"),
        (tmp_path, "is a folder"),
        (Path("/proc/poses.jsonl"), "cannot be written"),
    ):
        with pytest.raises(PublisherError, match=problem):
            JsonlPublisher(path)
    with pytest.raises(PublisherError, match="exists already"):
        JsonlPublisher(file, overwrite=False)
    assert file.read_text() == "x"


def test_publishers_by_name() -> None:
    assert publisher_class("jsonl") is JsonlPublisher
    for name in PUBLISHERS:
        assert publisher_class(name).name == name
        assert isinstance(publisher_class(name).dropped, property)
    with pytest.raises(UsageError, match="did you mean 'jsonl'"):
        publisher_class("json")


def test_the_table_of_publishers_imports_none_of_them() -> None:
    code = "import sys, edge_pose.publishers; print(*{'cv2', 'paho'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
