"""One of ours against every peer, out of a `peers` report: the table of docs/benchmark.md."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.markdown import escape
from benchmarks.peers_report import Comparison, ContestantResult, PeersReport
from benchmarks.report import Spread


def peers_markdown(report: PeersReport, ours: str) -> str:
    """Return how it was measured, the table, and where ours is behind.

    Args:
        report: with an accuracy of every contestant.
        ours: name of one of ours.
    """
    found = {one.name: one for one in report.contestants}
    comparisons = [one for one in report.comparisons if one.ours == ours]
    known = (f"{s.metric}, {s.dataset}" for s in found[ours].scores)
    head = ("", *known, "ours: points", "network", "with pre/post", "AE")
    return "\n".join(
        (
            *(_how(report, found[ours]), ""),
            *(_line(head), _line(["---"] * len(head))),
            _ours(found[ours]),
            *(_peer(found[one.peer], one) for one in comparisons),
            *("", "Where we lose:", ""),
            *(_losses(comparisons) or ("- in none of these figures",)),
        )
    )


def _how(report: PeersReport, ours: ContestantResult) -> str:
    machine = report.environment
    persons = " and ".join(f"{s.n_persons} {s.dataset} persons" for s in ours.scores)
    threads = "1 thread" if report.threads == 1 else f"{report.threads} threads"
    load = "" if machine.load_1min is None else f" (load {machine.load_1min:.1f} before)"
    power = "" if report.power_source is None else f", power {report.power_source}"
    return (
        f"One run on {machine.cpu_model}, {machine.cores_available} cores{load}, {threads},"
        f" {persons}, 12 joints, 95 % bootstrap, in turns, medians of {report.rounds}"
        f" rounds{power}:"
    )


def _ours(one: ContestantResult) -> str:
    scores = (f"{s.percent:.1f} ({s.low:.1f} to {s.high:.1f})" for s in one.scores)
    times = (f"{one.network.p50_ms.median:.2f} ms", f"{one.whole.p50_ms.median:.2f} ms")
    return _line((f"`{one.name}`", *scores, "", *times, ""))


def _peer(peer: ContestantResult, one: Comparison) -> str:
    scores = (f"{s.percent:.1f}" for s in peer.scores)
    first = one.accuracy[0]
    points = _bold(f"{first.points:+.1f}", lost=first.points < 0)
    ratios = (_ratio(ratio) for ratio in (one.network, one.whole, one.efficiency))
    name = escape(peer.name)
    return _line((name, *scores, f"{points} ({first.low:+.1f} to {first.high:+.1f})", *ratios))


def _ratio(value: Spread | None) -> str:
    return "–" if value is None else _bold(f"{value.median:.2f}", lost=value.median < 1)


def _bold(text: str, *, lost: bool) -> str:
    return f"**{text}**" if lost else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _losses(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    return tuple(f"- to {one.peer}, {line}" for one in comparisons for line in one.losses)
