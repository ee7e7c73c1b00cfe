"""The command line `edge-pose`."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

import click

from edge_pose.cli_devices import devices_command
from edge_pose.cli_listen import listen_command
from edge_pose.cli_model import list_command, model_group
from edge_pose.cli_power import power_command
from edge_pose.command_line import (
    INTERRUPTED,
    common_options,
    run_command,
    set_up_logging,
    stop_on_signals,
)
from edge_pose.config import RunConfig, load_config
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.sources.urls import public_uri


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def cli(verbose: int) -> None:
    """Camera in, body keypoints out."""
    set_up_logging(verbose)


cli.add_command(devices_command)
cli.add_command(listen_command)
cli.add_command(model_group)
cli.add_command(list_command, "models")  # its name before there was a group
cli.add_command(power_command)


@cli.command("run")
@click.argument("source", required=False)
@click.option(
    "--config", type=click.Path(path_type=Path), envvar="EDGE_POSE_CONFIG", help="TOML file."
)
@click.option("--model", help="Name of a shipped artifact, or an artifact folder.")
@click.option("--detector", help="Artifact that finds people for a top-down model.")
@click.option("--backend", help="Inference runtime: onnxruntime, openvino or tflite.")
@click.option("--threads", type=int, help="Inference threads; 0 leaves one core to capture.")
@click.option("--inference-device", help="What to run on: CPU, CUDA, GPU, AUTO:NPU,CPU, EDGETPU…")
@click.option("--strict", is_flag=True, default=None, help="Fail where that is not there.")
@click.option("--compile-cache", metavar="FOLDER", help='For compiled models; "off" for none.')
@click.option("--device", help="Name of this device in topics.")
@click.option("--camera", help="Name of this camera in topics.")
@click.option("--profile", help="Device profile: runtime and power.")
@click.option("--power", metavar="NAME[:OPTIONS]", help="Power meter; see `edge-pose power`.")
@click.option("--mqtt", "broker", metavar="URL", help="mqtt[s]://[user@]host[:port]")
@click.option("--jsonl", help="Write the messages to this file, one per line.")
@click.option("--video", help="Write the annotated video to this file.")
@click.option("--max-frames", type=int, help="Stop after so many frames.")
@click.option("--realtime/--as-fast-as-possible", default=None, help="How files are played.")
@click.option("--smooth/--no-smooth", default=None, help="One-Euro filter on keypoints.")
@click.option("--trust-ungated", is_flag=True, default=None, help="Run unchecked artifacts too.")
@click.option("--trusted-key", "trusted_keys", help="Public key or folder: only what it signed.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any key: tracking.patience=10"
)
@click.option("--print-config", is_flag=True, help="Show the merged configuration and stop.")
@click.option("--json", "as_json", is_flag=True, help="Summary as JSON on stdout.")
def run_command_(
    config: Path | None,
    broker: str | None,
    smooth: bool | None,
    settings: tuple[str, ...],
    print_config: bool,
    as_json: bool,
    **flags: Any,  # noqa: ANN401 - click passes options by name
) -> int:
    """Estimate the poses of SOURCE and publish them.

    SOURCE is a camera index, a video file, a folder or glob of pictures, a URL, or "synthetic".
    Settings come from --config, then EDGE_POSE_* variables, then flags, the later the stronger.
    """
    layer: dict[str, Any] = {**flags, "smoothing": {"enabled": smooth}, "mqtt": _broker(broker)}
    for setting in settings:
        _set(layer, setting)
    merged = load_config(config, layer)
    if print_config:
        _print_config(merged, as_json=as_json)
        return 0
    return _run(merged, as_json=as_json)


def _run(config: RunConfig, *, as_json: bool) -> int:
    from rich.console import Console

    from edge_pose.session import run
    from edge_pose.summary import summary_table

    stop = threading.Event()
    with stop_on_signals(stop) as received:
        summary = run(config, stop=stop)
    if as_json:
        click.echo(json.dumps(summary.to_json(), default=str))
    else:
        Console().print(summary_table(summary))
    if summary.error is not None:
        raise EdgePoseError(summary.error)
    return INTERRUPTED if signal.SIGINT in received else 0


def _broker(url: str | None) -> dict[str, Any]:
    """Return the `mqtt` table that a broker's URL stands for; what it leaves out stays open."""
    if url is None:
        return {}
    from edge_pose.broker_url import DEFAULT_FILTER, parse_broker_url

    parsed = parse_broker_url(url)
    if parsed.topic_filter != DEFAULT_FILTER:
        raise UsageError("--mqtt: no topic is expected here, use --set mqtt.topic_prefix=…")
    keys = ("host", "port", "tls", "username", "password")
    return {key: getattr(parsed.config, key) for key in keys}


def _set(layer: dict[str, Any], setting: str) -> None:
    """Put "a.b=c" into the layer."""
    key, equals, value = setting.partition("=")
    if not equals:
        raise UsageError(f"--set {setting}: expected KEY=VALUE, for example tracking.patience=10")
    *tables, name = key.strip().split(".")
    table = layer
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {setting}: '{part}' is not a table")
    table[name] = value


def _print_config(config: RunConfig, *, as_json: bool) -> None:
    values = config.model_dump(mode="json", exclude_none=True)
    values["source"] = public_uri(config.source)  # a camera's password is nobody's business, either
    if as_json:
        click.echo(json.dumps(values))
        return
    import tomli_w

    click.echo(tomli_w.dumps(values), nl=False)


@cli.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out"), help="Output folder.")
@click.option("--source", help="Another clip than the shipped one.")
@click.option("--json", "as_json", is_flag=True, help="Summary as JSON on stdout.")
def demo_command(out: Path, source: str | None, as_json: bool) -> int:
    """Show the main job end to end, with a broker and a subscriber."""
    from edge_pose.demo import demo

    return demo(out, source, as_json=as_json)


def main() -> None:
    """Entry point of the console script."""
    run_command(cli, "edge-pose")
