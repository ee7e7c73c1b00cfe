"""Reading a device profile: everything that is wrong with a file, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from edge_pose.config import read_toml
from edge_pose.errors import ConfigError
from edge_pose.lookup import suggestion
from edge_pose.profile_schema import SCHEMA, DeviceProfile


class ProfileError(ConfigError):
    """A profile with mistakes; as text it is one line with all of them.

    Attributes:
        lines: one per mistake, each with the file's name.
    """

    def __init__(self, file: Path, problems: list[str]) -> None:
        super().__init__(f"{file}: {'; '.join(problems)}")
        self.lines = tuple(f"{file}: {problem}" for problem in problems)


def read_profile(file: Path) -> DeviceProfile:
    """Read and check a profile.

    Raises:
        ProfileError: it says something that no profile may say.
        ConfigError: it is missing, unreadable or not TOML.
    """
    values = read_toml(file)
    schema = values.pop("schema", None)
    if schema != SCHEMA:
        raise ProfileError(file, [f"schema is {schema!r}, this version reads {SCHEMA!r}"])
    meant: set[str] = set()
    problems = list(_unknown_keys(values, DeviceProfile, "", meant))
    try:
        profile = DeviceProfile.model_validate(values)
    except ValidationError as error:
        raise ProfileError(file, problems + list(_wrong_values(error, meant))) from None
    return profile


def _unknown_keys(
    values: Mapping[str, Any], model: type[BaseModel], path: str, meant: set[str]
) -> Iterator[str]:
    """Yield a line for each key that the model does not have; note in `meant` what was meant."""
    fields = model.model_fields
    for key, value in values.items():
        if key not in fields:
            hint = suggestion(key, fields)
            if hint:
                meant.add(path + hint.split("'")[1])
            yield f"unknown key '{path}{key}'{hint} (known: {', '.join(fields)})"
            continue
        inner = fields[key].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            yield from _unknown_keys(value, inner, f"{path}{key}.", meant)


def _wrong_values(error: ValidationError, meant: set[str]) -> Iterator[str]:
    """Yield a line for each wrong value, and for each missing one that is not just misspelled."""
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden" or (problem["type"] == "missing" and key in meant):
            continue
        message = problem["msg"].removeprefix("Value error, ")
        found = problem["input"]
        told = repr(found) in message or not isinstance(found, (str, int, float))
        yield f"{key}: {message}" if told else f"{key}: {message} (found {found!r})"
