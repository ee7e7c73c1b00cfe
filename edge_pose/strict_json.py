"""JSON written by somebody else, read so that it says the same to every reader.

Beyond the standard library's parser this refuses what other parsers read in another way or refuse
(NaN, 1e999, a name that is there twice), and texts that a terminal would obey when they are shown.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator
from typing import Any

SPACE = "Zs"  # in Unicode's words; Python calls only one of them printable


def parse_json(data: bytes) -> Any:  # noqa: ANN401 - whatever it holds
    """Return the content of UTF-8 bytes.

    Raises:
        ValueError: it is not such JSON.
    """
    try:
        values = json.loads(
            data.decode("utf-8"),
            parse_float=finite,
            parse_constant=finite,
            object_pairs_hook=_table,
        )
    except RecursionError:  # [[[[… by the thousands
        raise ValueError("nested too deeply") from None
    check_texts(values)
    return values


def check_texts(values: object) -> None:
    """Make sure that no name and no text holds control or invisible characters or line ends.

    Raises:
        ValueError: one does.
    """
    for text in _texts(values):
        if not all(c.isprintable() or unicodedata.category(c) == SPACE for c in text):
            message = "no control or invisible characters and no line ends allowed"
            raise ValueError(f"{text[:60]!r}: {message}")


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


def finite(text: str) -> float:
    """Return a number; the standard library's parser takes NaN, Infinity and 1e999, too.

    Raises:
        ValueError: it is none of JSON's, or too large for any float.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:60]} is not a finite number")
    return number


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} is there twice")
    return table
