"""`edge-pose devices`: device profiles, and which of them fits this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from edge_pose.errors import ConfigError, UsageError


@click.command("devices")
@click.argument("name", required=False)
@click.option("--detect", is_flag=True, help="Name the machine this runs on, and say why.")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="With --detect: look at the file system below this folder instead.",
)
@click.option(
    "--check",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Check a profile of your own and show everything that is wrong; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def devices_command(
    name: str | None, detect: bool, root: Path | None, files: tuple[Path, ...], as_json: bool
) -> int:
    """List the device profiles, or show the one called NAME.

    NAME is a profile that comes with edge_pose, the path of one of your own (*.toml), or "auto".
    """
    if (name is not None) + detect + bool(files) > 1:
        raise UsageError("devices: NAME, --detect and --check exclude each other")
    if root is not None and not detect:
        raise UsageError("devices: --root needs --detect")
    if files:
        return _check(files, as_json=as_json)
    if detect:
        _detect(root or Path("/"), as_json=as_json)
    elif name is not None:
        _show(name, as_json=as_json)
    else:
        _list(as_json=as_json)
    return 0


def _list(*, as_json: bool) -> None:
    from edge_pose.profile import load_profile, profile_names

    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        click.echo(json.dumps([profile.model_dump(mode="json") for profile in profiles]))
        return
    width = max(len(profile.name) for profile in profiles)
    for profile in profiles:
        runtime = profile.runtime
        click.echo(
            f"{profile.name:{width}}  {profile.description}: {runtime.format} {runtime.precision},"
            f" {runtime.backend} on {runtime.device}"
        )


def _show(name: str, *, as_json: bool) -> None:
    """Print a profile's file, for its comments say where each value is from."""
    from edge_pose.profile import AUTO, detect_profile, load_profile, profile_file

    if name == AUTO:
        name = detect_profile().name
    profile = load_profile(name)
    if as_json:
        click.echo(profile.model_dump_json())
    else:
        click.echo(profile_file(name).read_text(encoding="utf-8"), nl=False)


def _detect(root: Path, *, as_json: bool) -> None:
    from edge_pose.detect import detect
    from edge_pose.machine_facts import Fact

    def why(facts: Iterable[Fact]) -> str:
        return "; ".join(map(str, facts))

    found = detect(root)
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    click.echo(f"profile: {found.profile} ({why(found.facts)})")
    if found.machine:
        click.echo(f"machine: {found.machine}")
    for other in found.others:
        click.echo(f"fits, too: {other.profile} ({why(other.facts)})")
    for note in found.notes:
        click.echo(f"note: {note}")


def _check(files: Iterable[Path], *, as_json: bool) -> int:
    """Check files; the code is 2 where something is wrong."""
    from edge_pose.profile_file import ProfileError, read_profile

    wrong: dict[str, list[str]] = {}
    for file in files:
        lines = wrong[str(file)] = []
        try:
            read_profile(file)
        except ProfileError as error:
            lines.extend(error.lines)
        except ConfigError as error:
            lines.append(str(error))
        for line in () if as_json else lines:
            click.echo(line, err=True)
        if not lines and not as_json:
            click.echo(f"{file}: in order")
    if as_json:
        click.echo(json.dumps(wrong))
    return 2 if any(wrong.values()) else 0
