"""One line per result and figure, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from benchmarks.device_files import Named
from benchmarks.named_figures import named_figures

HEAD = (
    "result",
    "created_at",
    "edge_pose",
    "profile",
    "machine",
    "artifact",
    "sha256",
    "format",
    "precision",
    "backend",
    "threads",
    "source",
    "dataset",
    "metric",
    "n_persons",
    "power_meter",
    "power_source",
    "power_scope",
    "division",
    "valid",
    "figure",
    "unit",
    "mean",
    "ci95_low",
    "ci95_high",
    "repeats",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(results: Sequence[Named]) -> str:
    """Return RFC 4180 CSV with a head; what is not known is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(HEAD)
    for one in results:
        facts = [_text(fact) for fact in _facts(one)]
        for figure in named_figures(one.result).values():
            value = figure.value
            numbers = ("" if v is None else repr(v) for v in (value.mean, value.low, value.high))
            writer.writerow([*facts, figure.name, figure.unit, *numbers, len(value.values)])
    return stream.getvalue()


def _facts(one: Named) -> tuple[object, ...]:
    result = one.result
    artifact, environment, accuracy = result.artifact, result.environment, result.artifact.accuracy
    return (
        one.name,
        result.created_at.isoformat(),
        environment.libraries.get("edge-pose"),
        result.device.profile,
        environment.cpu_model or environment.machine,
        artifact.name,
        artifact.sha256,
        artifact.format,
        artifact.precision,
        f"{artifact.backend} {artifact.backend_version}",
        result.setup.threads,
        result.source.name,
        accuracy and accuracy.dataset,
        accuracy and accuracy.metric,
        accuracy and accuracy.n_persons,
        result.meter.name,
        result.meter.source,
        result.meter.scope,
        result.validity.division,
        str(result.validity.valid).lower(),
    )


def _text(fact: object) -> str:
    """Return a cell that no spreadsheet takes for a formula: results may come from anybody."""
    text = "" if fact is None else str(fact)
    return f"'{text}" if text.startswith(FORMULA) else text
