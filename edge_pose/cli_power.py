"""`edge-pose power`: which power meters this machine has, and what they read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_pose.errors import PowerError, UsageError

if TYPE_CHECKING:
    from edge_pose.power import PowerMeter, PowerSummary
    from edge_pose.profile import DeviceProfile

NEVER_S = 1e9  # the command takes each sample itself


@dataclass(frozen=True, slots=True)
class MeterRow:
    """One meter in the list.

    Attributes:
        name: of the meter.
        present: True where it can be read, False where not, None where it needs options.
        source: "measured" or "estimated".
        scope: what is in its figure.
        watts: one reading.
        rails_w: the same by part.
        text: what it reads, or why it cannot be read.
    """

    name: str
    present: bool | None
    source: str | None
    scope: str | None
    watts: float | None
    rails_w: dict[str, float]
    text: str


@click.command("power")
@click.option("--meter", metavar="NAME[:OPTIONS]", help="Read this one instead of listing all.")
@click.option(
    "--watch", type=click.IntRange(1), metavar="N", help="N readings of the meter, and their mean."
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.01, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between them.",
)
@click.option(
    "--between",
    nargs=2,
    metavar="FROM TO",
    help="With --meter file:LOG: the energy between two times (RFC 3339 or seconds since 1970).",
)
@click.option("--utc", is_flag=True, help="With --between: a PTDaemon log's times are UTC.")
@click.option("--profile", default="auto", help="Device profile: rails, and the estimate's watts.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/"),
    help="Look at a file system recorded below this folder instead.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def power_command(
    meter: str | None,
    watch: int | None,
    interval_s: float,
    between: tuple[str, str] | None,
    utc: bool,
    profile: str,
    root: Path,
    as_json: bool,
) -> None:
    """List the power meters: what each one reads at this moment, or why it cannot be read."""
    from edge_pose.power import open_meter
    from edge_pose.profile import AUTO, detect_profile, load_profile

    if utc and between is None:
        raise UsageError("--utc: only with --between")
    if between is not None:
        if watch is not None:
            raise UsageError("--watch: not with --between, which reads a log that is complete")
        _between(meter, between, utc=utc, as_json=as_json)
        return
    facts = detect_profile(root) if profile == AUTO else load_profile(profile)
    if meter is None and watch is None:
        _list(facts, root, as_json=as_json)
        return
    with closing(open_meter(meter or "auto", facts, root)) as opened:
        _watch(opened, watch or 1, interval_s, as_json=as_json)


def _list(profile: DeviceProfile, root: Path, *, as_json: bool) -> None:
    from edge_pose.power import open_meter, read_state

    rows = list(_rows(profile, root))
    with closing(open_meter("auto", profile, root)) as meter:
        chosen = meter.name
    state = read_state(root)
    if as_json:
        values = {"profile": profile.name, "auto": chosen, "meters": [asdict(r) for r in rows]}
        click.echo(json.dumps({**values, "state": asdict(state)}))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        mark = "*" if row.name == chosen else " "
        if row.watts is not None:
            text = f"{row.watts:.2f} W, {row.scope}, {row.source}: {row.text}"
        else:
            text = f"{'needs options' if row.present is None else 'absent'}: {row.text}"
        click.echo(f"{mark} {row.name:{width}}  {text}")
    click.echo(f"* is what `auto` takes (profile {profile.name})")
    if state.throttled:
        click.echo(f"throttled: {', '.join(state.throttled)}")


def _rows(profile: DeviceProfile, root: Path) -> Iterator[MeterRow]:
    from edge_pose.power import METERS, OPTIONS, open_meter

    for name in METERS:
        form = OPTIONS.get(name, "")
        if form.startswith(":"):
            yield MeterRow(name, None, None, None, None, {}, f"{name}{form}")
            continue
        try:
            with closing(open_meter(name, profile, root)) as meter:
                watts = meter.read_w()
                rails_w = dict(meter.rails_w)
                yield MeterRow(name, True, meter.source, meter.scope, watts, rails_w, meter.detail)
        except PowerError as error:
            why = str(error).removeprefix(f"{name}: ")
            yield MeterRow(name, False, None, None, None, {}, why)


def _watch(meter: PowerMeter, readings: int, interval_s: float, *, as_json: bool) -> None:
    """Show readings one by one; after several of them, the mean.

    Raises:
        PowerError: the meter was lost; what it read before has been shown.
    """
    from edge_pose.power import EnergyRecorder

    if not as_json:
        click.echo(f"{meter.name}, {meter.scope}, {meter.source}: {meter.detail}")
    with EnergyRecorder(meter, NEVER_S, keep_trace=True) as recorder:
        for number in range(readings):
            if number or meter.averages:  # a first mean is of the time before
                shown = len(recorder.trace)
                time.sleep(interval_s)
                recorder.sample()
                if len(recorder.trace) == shown:
                    break
            _show(recorder.trace[-1], meter, as_json=as_json)
    summary = recorder.summary()
    if readings > 1:
        _show_summary(summary, as_json=as_json)
    if summary.lost is not None:
        raise PowerError(f"{meter.name}: lost {summary.lost}")


def _show(sample: tuple[float, float], meter: PowerMeter, *, as_json: bool) -> None:
    seconds, watts = sample
    if as_json:
        values: dict[str, Any] = {"meter": meter.name, "source": meter.source, "s": seconds}
        click.echo(json.dumps({**values, "watts": watts, "rails_w": dict(meter.rails_w)}))
        return
    rails = ", ".join(f"{name} {rail_w:.3f}" for name, rail_w in meter.rails_w.items())
    click.echo(f"{seconds:8.2f} s  {watts:8.3f} W" + (f"  ({rails})" if rails else ""))


def _show_summary(summary: PowerSummary, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"summary": asdict(summary)}))
        return
    if summary.uncertainty_w is not None:
        spread = f" ± {summary.uncertainty_w:.3f} W (95 %"
        spread += ")" if summary.sensor_known else ", without the sensor's own error)"
    else:
        measured = summary.source == "measured"
        spread = " (± not known: shorter than one update of the sensor)" if measured else ""
    click.echo(
        f"mean {summary.mean_w:.3f} W{spread}, {summary.energy_j:.2f} J in"
        f" {summary.duration_s:.2f} s, {summary.samples} samples"
    )


def _between(meter: str | None, between: tuple[str, str], *, utc: bool, as_json: bool) -> None:
    from edge_pose.power.external_log import parse_instant, read_log
    from edge_pose.power.log_meter import parse_options

    name, _, options = (meter or "").partition(":")
    if name != "file" or not options:
        raise UsageError("--between: needs --meter file:LOG")
    file, stale_s = parse_options(options)
    if stale_s is not None:
        raise UsageError("--between: stale_s is for a log that grows, leave it out")
    try:
        start_s, end_s = (parse_instant(text) for text in between)
    except ValueError as error:
        raise UsageError(f"--between: {error}") from None
    _show_summary(read_log(file, utc=utc).between(start_s, end_s), as_json=as_json)
