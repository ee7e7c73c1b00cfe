"""JSON written by somebody else, read so that it says the same to every reader.

Beyond the standard library's parser this refuses what other parsers read in another way or refuse
(NaN, a name that is there twice), and texts that a terminal would obey when they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - whatever it holds
    """Return the content of UTF-8 bytes.

    Raises:
        ValueError: it is not such JSON.
    """
    try:
        values = json.loads(
            data.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_table
        )
    except RecursionError:  # [[[[… by the thousands
        raise ValueError("nested too deeply") from None
    check_texts(values)
    return values


def check_texts(values: object) -> None:
    """Make sure that no name and no text holds control characters or line ends.

    Raises:
        ValueError: one does.
    """
    for text in _texts(values):
        if not text.isprintable():
            raise ValueError(f"{text[:60]!r}: no control characters and line ends allowed")


def _texts(values: object) -> Iterator[str]:
    left = [values]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple)):
            left += value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} is there twice")
    return table
