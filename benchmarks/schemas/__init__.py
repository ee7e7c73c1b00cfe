"""JSON Schemas of results, generated from the models: `python -m benchmarks.schemas`.

The schema is what others validate a result with before they send it; the models check more.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.result import json_schema

FILE = Path(__file__).with_name("device-2.json")


def schema_text() -> str:
    """Return the content that FILE should have."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
