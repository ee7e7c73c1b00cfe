"""Table 1 as Markdown."""

from __future__ import annotations

from typing import Any

from training.published import GROUPS

COLUMNS = (*GROUPS, "mean")


def markdown(report: dict[str, Any]) -> str:
    """Return both tables' figures, the document's in the line below ours, and the differences."""
    head = ["row", "", *COLUMNS, "min", "MAdds", "params", "weighted mean"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in report["rows"]:
        ours, theirs = row["ours"], row["published"]
        lines.append(
            _line(
                theirs["title"],
                "ours",
                ours["pckh"],
                f"{ours['minutes']:.1f}",
                f"{ours['madds'] / 1e9:.2f}G",
                f"{ours['params'] / 1e6:.2f}M",
                _optional(ours["weighted_mean"], "+.2f"),
            )
        )
        lines.append(
            _line(
                "",
                "paper",
                theirs["pckh"],
                _optional(theirs["minutes"], "d"),
                _optional(theirs["madds_g"], ".2f", "G"),
                f"{theirs['params_m']:g}M",
                _optional(theirs["weighted_mean"], "+.2f"),
            )
        )
    notes = "\n".join(f"- {text}" for text in report["differences"])
    return "\n".join(lines) + "\n\nWhy the figures differ:\n\n" + notes + "\n"


def _line(title: str, whose: str, pckh: dict[str, float | None], *rest: str) -> str:
    figures = [_optional(pckh[name], ".2f") for name in COLUMNS]
    return "| " + " | ".join([title, whose, *figures, *rest]) + " |"


def _optional(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None or value != value else format(value, form) + unit
