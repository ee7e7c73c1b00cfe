"""Why an exporter failed, in one line.

Exporters wrap the reason into exceptions of their own with pages of advice; what stopped them
stands in the innermost one.
"""

from __future__ import annotations

import re

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
MAX_LENGTH = 200


def reason(error: BaseException) -> str:
    """Return the first line of what caused an exception, without colours."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in ESCAPES.sub("", str(error)).splitlines()]
    text = next((line for line in lines if line), type(error).__name__)
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"
