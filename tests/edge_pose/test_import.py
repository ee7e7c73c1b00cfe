"""What importing edge_pose costs, and what it offers."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import edge_pose

HEAVY = ("cv2", "onnxruntime", "paho", "rich", "torch", "click", "amqtt", "onnx", "pydantic")


def loaded_after(code: str) -> list[str]:
    """Return the heavy modules that a fresh interpreter has loaded after the code."""
    program = (
        f"import sys, json\n{code}\nprint(json.dumps(sorted(set(sys.modules) & set({HEAVY}))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_after("import edge_pose") == []
    assert loaded_after("import edge_pose; edge_pose.__version__, dir(edge_pose)") == []


@pytest.mark.parametrize(
    ("use", "allowed"),
    [
        ("edge_pose.Pose", set()),
        ("edge_pose.load_config", {"pydantic"}),
        ("edge_pose.run", {"pydantic", "cv2"}),
        ("edge_pose.load", {"pydantic", "cv2"}),
        ("import edge_pose.cli", {"pydantic", "click"}),  # `edge-pose run` may need no more
    ],
)
def test_each_name_loads_what_it_needs(use: str, allowed: set[str]) -> None:
    assert set(loaded_after(f"import edge_pose; {use}")) <= allowed


def test_every_public_name_resolves() -> None:
    for name in edge_pose.__all__:
        assert getattr(edge_pose, name) is not None
    assert dir(edge_pose) == sorted(edge_pose.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        edge_pose.lod  # noqa: B018


def test_run_and_load_stay_functions_after_their_modules_were_used() -> None:
    # A submodule of the same name would take the function's place on import.
    code = (
        "import edge_pose\n"
        "edge_pose.stream\n"
        "import edge_pose.session, edge_pose.cli, edge_pose.demo, edge_pose.pipeline\n"
        "import edge_pose.estimator, edge_pose.sources.stream, edge_pose.sources.video\n"
        "assert callable(edge_pose.run) and callable(edge_pose.stream) and callable(edge_pose.load)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_version_is_the_packages() -> None:
    assert edge_pose.__version__.count(".") == 2
    done = subprocess.run(
        [sys.executable, "-m", "edge_pose", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"edge-pose {edge_pose.__version__}\n"
