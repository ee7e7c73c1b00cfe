"""Write the generated parts of the documents: `python scripts/update_docs.py [--check]`.

A generated part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. With --check nothing
is written and the exit code says whether everything is up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from edge_pose.artifact import read_manifest
from edge_pose.config import RunConfig
from edge_pose.metrics.pck import LIMB_GROUPS
from edge_pose.models import DEFAULT, shipped

ROOT = Path(__file__).parents[1]


def configuration_table() -> str:
    """Return every key of RunConfig with its default and meaning."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    defaults = RunConfig(device="HOST-NAME").model_dump(mode="json")

    def add(model: type[BaseModel], values: dict[str, object], prefix: str) -> None:
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                table = values[name]
                assert isinstance(table, dict)  # noqa: S101 - a sub-table dumps to a dict
                add(inner, table, f"{prefix}{name}.")
                continue
            value = values[name]
            shown = "" if value is None or value == "" else f"`{json.dumps(value)}`"
            rows.append(f"| `{prefix}{name}` | {shown} | {field.description or ''} |")

    add(RunConfig, defaults, "")
    return "\n".join(rows)


def model_table() -> str:
    """Return the shipped artifacts with what their gates measured."""
    rows = [
        "| artifact | input | params | GMAC | size | PCKh@0.5, mean of 14 joints | 12 limb joints |"
        " persons | float checkpoint |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, folder in shipped().items():
        if name == "default":
            continue
        manifest = read_manifest(folder)
        gate, origin = manifest.gate, manifest.origin
        if gate is None:
            raise SystemExit(f"{folder}: no gate report")
        # Two joints per group: the mean of the groups is the mean of the twelve joints.
        limbs = [gate.per_group.get(group) for group in LIMB_GROUPS]
        known = [value for value in limbs if value is not None]
        mean12 = f"{sum(known) / len(known):.1f}" if known else ""
        mark = " (default)" if name == DEFAULT else ""
        width, height = manifest.input.size
        rows.append(
            f"| `{name}`{mark} | {width}×{height} | {origin.params / 1e6:.2f} M"
            f" | {origin.macs / 1e9:.2f} | {manifest.file.size_bytes / 1e6:.1f} MB"
            f" | **{gate.artifact_accuracy:.1f}** | {mean12} | {gate.n_persons}"
            f" | {gate.checkpoint_accuracy:.1f} |"
        )
    return "\n".join(rows)


def speed_table() -> str:
    """Return what the committed benchmark reports found."""
    run, cold, peer = (
        json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
        for name in ("run", "cold_start", "mediapipe")
    )
    figures, first, versus = run["summary"], cold["summary"], peer["summary"]
    machine = f"{run['environment']['cpu_model']}, {run['environment']['cores']} cores"

    def spread(values: dict[str, float], digits: int) -> str:
        low, high = f"{values['min']:.{digits}f}", f"{values['max']:.{digits}f}"
        return f"{values['median']:.{digits}f} ({low} to {high})"

    pipeline = figures["pipeline"]
    rows = [
        ("whole pipeline, clip to JSONL", f"{spread(pipeline['fps'], 0)} FPS"),
        ("network alone", f"{spread(figures['bare']['ms_per_frame'], 2)} ms"),
        (
            "pipeline / network alone, per frame",
            f"{spread(figures['overhead'], 2)}; goal below 1.25",
        ),
        ("process start to first pose", f"{spread(first['total_s'], 2)} s; goal below 1.5 s"),
        (
            "pipeline / MediaPipe Pose (full), the same clip side by side",
            f"{spread(versus['ratio'], 2)} times the FPS; goal 3",
        ),
        (
            "frames with a person, ours / MediaPipe",
            f"{versus['edge_pose_frames_with_people']['median']:.0f} /"
            f" {versus['mediapipe_frames_with_people']['median']:.0f} of {versus['frames']}",
        ),
        (
            "accuracy × FPS / W",
            f"{spread(figures['accuracy_fps_per_watt'], 0)}, power {figures['power']['source']}",
        ),
    ]
    lines = [f"| on {machine} | median (range) |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows])


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "configuration": ("docs/configuration.md", configuration_table),
    "models": ("README.md", model_table),
    "speed": ("README.md", speed_table),
}


def main() -> int:
    """Write, or compare; return the exit code."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, (file, make) in PARTS.items():
        path = ROOT / file
        text = path.read_text("utf-8")
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        content = make().replace("\\", r"\\")
        new, count = re.subn(pattern, rf"\g<1>{content}\n\g<2>", text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{file}: found {count} parts named {name}, expected one")
        if new != text:
            stale.append(file)
            if not check:
                path.write_text(new, "utf-8")
    if stale:
        verb = "is out of date, run python scripts/update_docs.py" if check else "written"
        sys.stderr.write("".join(f"{file}: {verb}\n" for file in stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
