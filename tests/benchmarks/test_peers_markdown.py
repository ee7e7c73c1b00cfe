from __future__ import annotations

from pathlib import Path

from benchmarks.peers_markdown import peers_markdown
from benchmarks.peers_report import PeersReport
from benchmarks.report import Spread

FILE = Path(__file__).parents[2] / "benchmarks" / "results" / "peers.json"


def test_every_peer_and_every_loss_is_shown() -> None:
    report = PeersReport.model_validate_json(FILE.read_text("utf-8"))
    ours = report.comparisons[0].ours
    compared = [one for one in report.comparisons if one.ours == ours]
    text = peers_markdown(report, ours)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3 + len(compared)
    assert len({row.count("|") for row in rows}) == 1
    for one, row in zip(compared, rows[3:], strict=True):
        assert row.startswith(f"| {one.peer} |")
        points = f"{one.accuracy[0].points:+.1f}"
        assert (f"**{points}**" in row) == (one.accuracy[0].points < 0)
        assert points in row
        for line in one.losses:
            assert f"- to {one.peer}, {line}" in text
    assert f"{report.contestants[0].scores[0].n_persons} mpii persons" in text


def test_who_is_ahead_everywhere_says_so_and_what_was_not_measured_is_empty() -> None:
    report = PeersReport.model_validate_json(FILE.read_text("utf-8"))
    twice = Spread(median=2.0, min=1.9, max=2.1)
    better = report.comparisons[0].accuracy[0].model_copy(update={"points": 3.0, "low": 1.0})
    change = {"network": twice, "whole": twice, "efficiency": None, "losses": ()}
    ahead = report.comparisons[0].model_copy(update={**change, "accuracy": (better,)})
    text = peers_markdown(report.model_copy(update={"comparisons": (ahead,)}), ahead.ours)
    assert text.endswith("Where we lose:\n\n- in none of these figures")
    assert "| 2.00 | 2.00 | – |" in text
    assert "**" not in text
