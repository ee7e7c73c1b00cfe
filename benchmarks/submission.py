"""Results that are recorded in the repository, whoever measured them.

`check_result` says everything that is wrong with one: JSON Schema, the rules that its figures must
keep, whether it is of the device that it names, and what it tells about its sender.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from benchmarks import schemas
from benchmarks.checkout import DEVICES
from benchmarks.device_files import read_device_result
from benchmarks.genuine import same_processor
from benchmarks.plan import Plan
from benchmarks.plausible import implausible
from benchmarks.privacy import leaks, without_leaks
from benchmarks.result import DeviceResult
from benchmarks.validity import judge
from edge_pose.artifact import read_manifest
from edge_pose.errors import PublisherError, UsageError
from edge_pose.lookup import suggestion
from edge_pose.models import shipped
from edge_pose.profile import load_profile, profile_names

MAX_BYTES = 4 << 20  # a hundred times a usual result
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+\.json")


@dataclass(frozen=True, slots=True)
class Checked:
    """A result that was looked at.

    Attributes:
        file: where it is.
        result: None where it cannot be read as one.
        wrong: why it cannot be recorded, one line each.
        flags: what whoever reads its figures should know.
    """

    file: Path
    result: DeviceResult | None
    wrong: tuple[str, ...]
    flags: tuple[str, ...] = ()


def check_result(
    file: Path, now: datetime, names: Collection[str] = (), profile: str | None = None
) -> Checked:
    """Check one file.

    Args:
        file: with the result.
        now: the time, with its zone.
        names: of this machine and its user, see privacy.local_names.
        profile: that the result must be of; None for any.
    """
    try:
        result, values = _read(file)
    except UsageError as error:
        return Checked(file, None, (str(error).removeprefix(f"{file}: "),))
    return _check(file, result, values, now, names, profile)


def recorded(root: Path, now: datetime) -> tuple[Checked, ...]:
    """Check every file that is recorded in a repository.

    Args:
        root: of the repository.
        now: the time, with its zone.
    """
    folder = root / DEVICES
    if not folder.is_dir():
        return ()
    return tuple(
        _in_place(file, folder, now) for file in sorted(folder.rglob("*")) if not file.is_dir()
    )


def record(file: Path, root: Path, now: datetime, names: Collection[str] = ()) -> Checked:
    """Take a result into the repository, without paths and addresses; return it there.

    Args:
        file: as `edge-pose-bench run --out` wrote it.
        root: of the repository.
        now: the time, with its zone.
        names: of this machine and its user.

    Raises:
        UsageError: it breaks a rule; one line with everything.
        PublisherError: it cannot be written, or there is another one of this name.
    """
    result, values = _read(file)
    result = DeviceResult.model_validate(without_leaks(values))
    text = result.model_dump_json(by_alias=True)
    # The name of a profile that is known leads to no other folder.
    name = f"{NOT_IN_NAMES.sub('_', result.artifact.name)}_{result.created_at:%Y%m%d_%H%M%S}.json"
    target = root / DEVICES / result.device.profile / name
    checked = _check(target, result, json.loads(text), now, names, result.device.profile)
    if checked.wrong:
        raise UsageError(f"{file}: {'; '.join(checked.wrong)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text + "\n")
    except FileExistsError:
        raise PublisherError(f"{target}: is there already") from None
    except OSError as error:
        raise PublisherError(f"{target}: cannot be written: {error.strerror}") from None
    return checked


def _check(
    file: Path,
    result: DeviceResult,
    values: dict[str, Any],
    now: datetime,
    names: Collection[str],
    profile: str | None,
) -> Checked:
    wrong = [*_schema(values), *_device(result), *implausible(result, now), *_validity(result)]
    if profile is not None and result.device.profile != profile:
        wrong.append(f"device.profile: {result.device.profile} in the folder of {profile}")
    wrong += leaks(values, names)
    return Checked(file, result, tuple(wrong), tuple(_flags(result)))


def _in_place(file: Path, folder: Path, now: datetime) -> Checked:
    parts = file.relative_to(folder).parts
    if len(parts) != 2 or not FILE_NAME.fullmatch(file.name) or file.is_symlink():
        return Checked(file, None, (f"expected {DEVICES.as_posix()}/PROFILE/NAME.json",))
    return check_result(file, now, profile=parts[0])


def _read(file: Path) -> tuple[DeviceResult, dict[str, Any]]:
    if file.is_file() and file.stat().st_size > MAX_BYTES:
        raise UsageError(f"{file}: larger than {MAX_BYTES >> 20} MiB: no result is")
    result = read_device_result(file)
    try:
        values = json.loads(file.read_text("utf-8"), object_pairs_hook=_unique)
    except KeyError as error:
        raise UsageError(f"{file}: {error.args[0]}: is there twice") from None
    return result, values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What stands behind the first of two equal keys would not be looked at."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise KeyError(key)
        found[key] = value
    return found


@cache
def _validator() -> Any:  # noqa: ANN401 - fastjsonschema has no types
    return fastjsonschema.compile(json.loads(schemas.FILE.read_text("utf-8")))


def _schema(values: dict[str, Any]) -> list[str]:
    try:
        _validator()(values)
    except fastjsonschema.JsonSchemaValueException as error:
        return [f"JSON Schema: {error.message}"]
    return []


def _device(result: DeviceResult) -> list[str]:
    device, machine = result.device, result.environment.machine
    found = [f"device.emulated: {line}: no result" for line in device.emulated]
    if device.profile not in profile_names():
        return [*found, _unknown_profile(device.profile)]
    arch = load_profile(device.profile).arch
    if not same_processor(arch, machine):
        found.append(f"device.profile: {device.profile} is {arch}, the machine was {machine}")
    if result.setup.profile != device.profile:
        found.append(f"setup.profile: {result.setup.profile} against {device.profile}")
    return found


def _unknown_profile(name: str) -> str:
    return (
        f"device.profile: '{name}' is no profile of edge_pose{suggestion(name, profile_names())}"
        " (send its TOML file along, see CONTRIBUTING.md)"
    )


def _validity(result: DeviceResult) -> list[str]:
    """Judge again by the result's own division."""
    said = result.validity
    plan = Plan(
        repeats=result.setup.repeats,
        closed=said.division == "closed",
        min_accuracy=said.min_accuracy,
        measured_power=said.measured_power,
    )
    parts = (result.artifact, result.meter, result.machine, result.warm_up, result.modes)
    judged = judge(plan, *parts)
    if judged.reasons:
        return [f"validity: not valid: {reason}" for reason in judged.reasons]
    return [] if said == judged else ["validity: says that it is not valid, and is"]


def _flags(result: DeviceResult) -> list[str]:
    device = result.device
    found = []
    if not device.detected:
        found.append("nothing says which profile fits this machine")
    elif device.profile not in device.detected:
        found.append(f"profile named by hand: detection says {device.detected[0]}")
    if device.accelerator and result.artifact.backend_device.upper() == "CPU":
        found.append(f"ran on the CPU, not on {device.accelerator}")
    if result.artifact.sha256 not in {
        read_manifest(folder).file.sha256 for folder in shipped().values()
    }:
        found.append("artifact not shipped here: nobody can check its accuracy")
    if result.artifact.gate_passed is not True:
        found.append("artifact without a passed gate")
    return [*found, *result.warnings]
