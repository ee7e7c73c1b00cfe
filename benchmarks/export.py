"""Results for other programs: a spreadsheet, a page, a monitor.

The text is the same for the same results, so that it may be committed and compared.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

from benchmarks.device_files import Named
from edge_pose.lookup import lookup

# Name -> module with `export(results) -> str`, imported on use.
EXPORTERS: dict[str, str] = {
    "csv": "benchmarks.export_csv",
    "markdown": "benchmarks.export_markdown",
    "prometheus": "benchmarks.export_prometheus",
}


def export(results: Sequence[Named], to: str) -> str:
    """Return the text of at least one result.

    Raises:
        UsageError: there is no such form, or the results do not fit into it together.
    """
    module = importlib.import_module(lookup(EXPORTERS, to, "export to"))
    make: Callable[[Sequence[Named]], str] = module.export
    return make(results)
