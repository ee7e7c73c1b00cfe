"""Write the generated parts of the documents: `python scripts/update_docs.py [--check]`.

A generated part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`. With --check nothing
is written and the exit code says whether everything is up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.generated_part import with_part
from benchmarks.peers_markdown import peers_markdown
from benchmarks.peers_report import PeersReport
from benchmarks.supported import PART as DEVICES
from benchmarks.supported import devices_table
from edge_pose.artifact import read_manifest
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError
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
        "| artifact | task | format | input | params | GMAC | size | metric | artifact |"
        " float checkpoint | persons |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, folder in shipped().items():
        if name == "default":
            continue
        manifest = read_manifest(folder)
        gate, origin = manifest.gate, manifest.origin
        if gate is None:
            raise SystemExit(f"{folder}: no gate report")
        mark = " (default)" if name == DEFAULT else ""
        width, height = manifest.input.size
        file, part = manifest.file, gate.stated
        rows.append(
            f"| `{name}`{mark} | {manifest.task} | {file.format} {file.precision}"
            f" | {width}×{height}"
            f" | {origin.params / 1e6:.2f} M | {origin.macs / 1e9:.2f}"
            f" | {file.total_bytes / 1e6:.1f} MB | {part.metric}, {part.dataset}"
            f" | **{part.artifact_accuracy:.1f}** | {part.checkpoint_accuracy:.1f}"
            f" | {part.n_persons} |"
        )
    return "\n".join(rows)


def speed_table() -> str:
    """Return what the committed benchmark reports found."""
    run, cold, peer = (
        json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
        for name in ("run", "cold_start", "mediapipe")
    )
    # Schema 2 keeps the parts beside the modes; schema 1 had nothing else.
    figures = run.get("parts", run)["summary"]
    first, versus = cold["summary"], peer["summary"]
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


def peers_table() -> str:
    """Return the shipped default beside the peers, as the committed report has them."""
    file = ROOT / "benchmarks" / "results" / "peers.json"
    report = PeersReport.model_validate_json(file.read_text("utf-8"))
    return peers_markdown(report, DEFAULT)


def network_table() -> str:
    """Return every registered network: counts, latency, and accuracy where it was trained."""
    report = json.loads((ROOT / "benchmarks" / "results" / "networks.json").read_text("utf-8"))
    accuracy = {**table1_accuracy(), **shipped_accuracy()}
    lines = [
        "| network | params | MAdds by document | MACs | input | ms, fp32, 1 thread | accuracy |"
        " paper |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task, title in TASK_TITLES.items():
        rows = [row for row in report["networks"] if row["task"] == task]
        lines.append(f"| **{title}** | | | | | | | |")
        for row in sorted(rows, key=lambda row: str(row["name"])):
            width, height = row["input_size"]
            paper = f"[paper]({row['paper']})" if row["paper"] else "ours"
            lines.append(
                f"| `{row['name']}` | {row['params']:,} | {document_madds(row)}"
                f" | {row['macs'] / 1e9:.3f} G | {width}×{height} | {row['latency_ms']:.1f}"
                f" | {accuracy.get(row['name'], 'not trained here')} | {paper} |"
            )
    environment = report["environment"]
    note = (
        f"Latency: median of {report['rounds']} rounds in turn, batch 1, ONNX Runtime, on"
        f" {environment['cpu_model']}; compare within the column only."
    )
    return "\n".join([*lines, "", note])


TASK_TITLES = {
    "top_down": "one person per input",
    "bottom_up": "everybody in the input",
    "detector": "person detector",
    "classifier": "image classifiers, 1,000 classes",
}


def document_madds(row: dict[str, Any]) -> str:
    """Return the operations by the rule of the document that the network comes from."""
    if row["s3_flops"] is None:
        return f"{row['madds_document'] / 1e9:.3f} G"
    unit, name = (2**20, "Mi") if row["s3_flops_binary"] else (1e9, "G")
    return f"{row['s3_flops'] / unit:.2f} {name}"


def shipped_accuracy() -> dict[str, str]:
    """Return what `edge-pose-train evaluate` said of the weights in training/weights."""
    found = {}
    for file in sorted((ROOT / "training" / "weights").glob("*/evaluation.jsonl")):
        first = json.loads(file.read_text("utf-8").splitlines()[0])
        if "mean14" in first:
            text = f"{first['mean14']:.1f} {first['metric']} (n = {first['n_persons']})"
        else:
            text = f"{first['ap50']:.1f} AP50 on {first['dataset']} (n = {first['n']})"
        found[file.parent.name] = f"**{text}**"
    return found


def weights_table() -> str:
    """Return every folder of training/weights: what it cost and what it reached."""
    lines = ["| weights | epochs | minutes | measured on | figures |", "|---|---|---|---|---|"]
    for file in sorted((ROOT / "training" / "weights").glob("*/evaluation.jsonl")):
        last = json.loads((file.parent / "log.jsonl").read_text("utf-8").splitlines()[-1])
        for number, line in enumerate(file.read_text("utf-8").splitlines()):
            found = json.loads(line)
            name = f"`{file.parent.name}` | {last['epoch']} | {last['minutes']:.0f}"
            start = name if number == 0 else " | | "
            lines.append(f"| {start} | {_measured_on(found)} | {_figures(found)} |")
    return "\n".join(lines)


def _measured_on(found: dict[str, Any]) -> str:
    n = found.get("n_persons", found.get("n"))
    flip = ", flip test" if found.get("flip_test") else ""
    precision = str(found["model"]).rpartition("_")[2]  # artifacts are named by it
    what = {"default": "int8 artifact", "int8": "int8 artifact", "fp32": "fp32 artifact"}.get(
        precision, "checkpoint"
    )
    return f"{found['dataset']}, n = {n}{flip}, {what}"


def _figures(found: dict[str, Any]) -> str:
    if "mean14" in found:
        stages = found.get("stages_mean14", [])
        steps = f", stages {' → '.join(f'{v:.1f}' for v in stages)}" if len(stages) > 1 else ""
        return f"{found['metric']}: {found['mean14']:.1f}{steps}"
    if "recall" in found:
        return (
            f"recall {found['recall']:.1f} % at score {found['score']},"
            f" {found['recall_any_score']:.1f} % at any score"
        )
    pck = found.get("pck_all_mean14")
    also = f", {found['metric']} of everybody {pck:.1f}" if pck is not None else ""
    return f"AP {found['ap']:.1f}, AP50 {found['ap50']:.1f}, AR {found['ar']:.1f}{also}"


def table1_text() -> str:
    """Return our Table 1 beside the paper's, and why they differ."""
    from training.comparisons.table1_text import markdown

    file = ROOT / "training" / "weights" / "table1.json"
    return markdown(json.loads(file.read_text("utf-8"))).rstrip()


def stacks_text() -> str:
    """Return what each stage of 2, 4 and 8 stacks reached."""
    from training.comparisons.stacks import markdown

    file = ROOT / "training" / "weights" / "stacks.json"
    return markdown(json.loads(file.read_text("utf-8"))).rstrip()


def table1_accuracy() -> dict[str, str]:
    """Return what the rows of our Table 1 reached on its short budget."""
    file = ROOT / "training" / "weights" / "table1.json"
    report = json.loads(file.read_text("utf-8"))
    return {
        row["published"]["model"]: f"{row['ours']['pckh']['mean']:.1f} PCKh@0.5"
        f" (n = {row['ours']['persons']}), {row['ours']['trained']:,} samples at"
        f" {report['input_side']} px"
        for row in report["rows"]
        if not row["published"]["perceptual"]
    }


def matrix_tables() -> str:
    """Return `edge-pose-convert matrix --json` of the weights that have one."""
    tables = []
    for file in sorted(ROOT.glob("training/weights/*/matrix.json")):
        matrix = json.loads(file.read_text("utf-8"))
        rows = matrix["rows"]
        before = rows[0]["checkpoint_accuracy"]
        tables.append(
            f"`{matrix['model']}`, float checkpoint {before:.2f}:\n\n"
            "| format | precision | MB | p50 ms, 1 thread | 2 threads | accuracy | p95 drift, px"
            " | agreement | ranges by | gate |\n|---|---|---|---|---|---|---|---|---|---|\n"
            + "\n".join(_matrix_row(row) for row in rows)
        )
    return "\n\n".join(tables)


def _matrix_row(row: dict[str, Any]) -> str:
    if "accuracy" not in row:
        return f"| {row['format']} | {row['precision']} | | | | | | | | {row['verdict']} |"
    one, two = (f"{row['latency_ms_by_threads'][n]['p50_ms']:.2f}" for n in ("1", "2"))
    return (
        f"| {row['format']} | {row['precision']} | {row['size_bytes'] / 1e6:.2f} | {one} | {two}"
        f" | {row['accuracy']:.2f} | {row['drift_p95_px']:.2f} | {row['argmax_agreement']:.1%}"
        f" | {row['method']} | {row['verdict']} |"
    )


def gate_limits_table() -> str:
    """Return what the gate lets pass, by precision."""
    from converters.gates import LIMITS

    heads = {"fp32": "fp32", "fp16": "fp16", "int8": "dynamic int8, int8"}
    if LIMITS["dynamic_int8"] != LIMITS["int8"]:
        raise SystemExit("the limits of dynamic_int8 and int8 share a column, and differ")
    lines = [f"| limit | {' | '.join(heads.values())} |", "|---|---|---|---|"]
    for name, (title, form) in GATE_LIMITS.items():
        values = (form.format(getattr(LIMITS[precision], name)) for precision in heads)
        lines.append(f"| {title} | {' | '.join(values)} |")
    return "\n".join(lines)


GATE_LIMITS = {
    "points": ("fall of accuracy, points", "{:g}"),
    "drift_heatmap_px": ("p95 of the drift, heatmap px", "{:g}"),
    "median_heatmap_px": ("p50 of the drift, heatmap px", "{:g}"),
    "min_agreement": ("keypoints within one heatmap px, at least", "{:.0%}"),
    "min_joint_agreement": ("the same of every single joint, at least", "{:.0%}"),
    "people": ("people lost; people invented", "{:.0%}"),
    "score_drift": ("p95 of the change of scores", "{:g}"),
    "min_same_side": ("scores on the same side of what a device shows, at least", "{:.0%}"),
    "min_correlation": ("correlation of each map, at least", "{:g}"),
    "max_gain": ("gain of each map, up or down", "{:g}"),
    "max_offset": ("shift of each map's mean, in its standard deviations", "{:g}"),
}


def gate_power_table() -> str:
    """Return the least of each damage that the gate refused, by network."""
    file = ROOT / "benchmarks" / "results" / "gate_power.json"
    report = json.loads(file.read_text("utf-8"))
    networks = report["networks"]
    heads = " | ".join(f"`{network['model']}`" for network in networks)
    lines = [f"| fault | strength | {heads} |", "|---|---|" + "---|" * len(networks)]
    for name, fault in report["faults"].items():
        rows = (row for network in networks for row in network["rows"] if row["fault"] == name)
        cells = " | ".join(_edge(row) for row in rows)
        lines.append(f"| {fault['title']} | {fault['unit']} | {cells} |")
    return "\n".join(lines)


def _edge(row: dict[str, Any]) -> str:
    passes, refused = (
        "–" if row[key] is None else f"{row[key]:g}" for key in ("passes", "refused")
    )
    return f"{passes} / **{refused}**"


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "configuration": ("docs/configuration.md", configuration_table),
    "models": ("README.md", model_table),
    "speed": ("README.md", speed_table),
    "peers": ("docs/benchmark.md", peers_table),
    "networks": ("docs/models.md", network_table),
    "table1": ("docs/models.md", table1_text),
    "stacks": ("docs/models.md", stacks_text),
    "weights": ("training/weights/README.md", weights_table),
    "matrix": ("docs/converting.md", matrix_tables),
    "gate-limits": ("docs/converting.md", gate_limits_table),
    "gate-power": ("docs/converting.md", gate_power_table),
    DEVICES: ("SUPPORTED.md", lambda: devices_table(ROOT)),
}


def main() -> int:
    """Write, or compare; return the exit code."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, (file, make) in PARTS.items():
        path = ROOT / file
        text = path.read_text("utf-8")
        try:
            new = with_part(text, name, make(), file)
        except EdgePoseError as error:
            raise SystemExit(str(error)) from None
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
