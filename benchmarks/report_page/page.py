"""The page: what it says, in which order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import overview
from benchmarks.device_files import Named
from benchmarks.likeness import check_alike
from benchmarks.report_page.frontier import frontiers
from benchmarks.report_page.heat_map import heat_maps
from benchmarks.report_page.histogram import latency_histogram
from benchmarks.report_page.picture import Picture
from benchmarks.report_page.power_time import power_over_time
from benchmarks.report_page.stage_bars import shares, stage_bars
from benchmarks.report_page.words import (
    Fact,
    Grid,
    facts,
    key_figures,
    mode_grid,
    stage_grid,
    sweep_grid,
)
from benchmarks.result import DeviceResult
from edge_pose.errors import EdgePoseError

HERE = Path(__file__).parent
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # no page may hold them


@dataclass(frozen=True, slots=True)
class Section:
    """One result on the page."""

    key: str
    name: str
    result: DeviceResult
    key_figures: list[Fact]
    pictures: list[Picture]
    modes: Grid
    stages: Grid
    sweep: Grid | None
    facts: dict[str, list[Fact]]


def page(results: Sequence[Named]) -> str:
    """Return the HTML of at least one result; the same text for the same results.

    Raises:
        EdgePoseError: Jinja or matplotlib is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise EdgePoseError(
            "report: jinja2 is not installed; pip install 'edge-pose[report]'"
        ) from None
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("page.html.j2").render(_values(results))
    return CONTROL.sub("", text)


def _values(results: Sequence[Named]) -> dict[str, Any]:
    sections = [_section(f"result{n}", one) for n, one in enumerate(results, start=1)]
    pictures = [*frontiers(results), *heat_maps(results)]
    if len(results) > 1:
        pictures.append(shares(results))
    return {
        "css": (HERE / "style.css").read_text("utf-8"),
        "title": _title(results),
        "days": _days(results),
        "source": results[0].name if len(results) == 1 else "",
        "head": overview.HEAD,
        "first_figure": overview.FIRST_FIGURE,
        "lines": list(zip(overview.overview(results), sections, strict=True)),
        "note": overview.note(results),
        "unlike": _unlike(results),
        "pictures": pictures,
        "sections": sections,
    }


def _title(results: Sequence[Named]) -> str:
    if len(results) == 1:
        result = results[0].result
        return f"{result.artifact.name} on {result.device.profile}"
    return f"{len(results)} results of edge_pose"


def _days(results: Sequence[Named]) -> str:
    days = sorted(one.result.created_at.date().isoformat() for one in results)
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _unlike(results: Sequence[Named]) -> list[str]:
    """Return what keeps each result from being compared with the first one."""
    first, groups = results[0], dict[tuple[str, ...], list[str]]()
    for one in results[1:]:
        found = check_alike(first.result, one.result, other_machine=True)
        groups.setdefault(found, []).append(one.name)
    return [
        f"{first.name} and {', '.join(names)}: {'; '.join(found)}"
        for found, names in groups.items()
        if found
    ]


def _section(key: str, one: Named) -> Section:
    return Section(
        key=key,
        name=one.name,
        result=one.result,
        key_figures=key_figures(one.result),
        pictures=[
            latency_histogram(f"{key}-latency", one),
            stage_bars(f"{key}-stages", one),
            power_over_time(f"{key}-power", one),
        ],
        modes=mode_grid(one.result),
        stages=stage_grid(one.result),
        sweep=sweep_grid(one.result),
        facts=facts(one.result),
    )
