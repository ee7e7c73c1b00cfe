"""`edge-pose-bench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.commands.options import json_option, say
from benchmarks.likeness import Aspect
from benchmarks.named_figures import EVERYTHING

if TYPE_CHECKING:
    from benchmarks.compare import Comparison


@click.command("compare", short_help="Two results of `run` side by side; conditions for CI.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Exit code 1 where it holds, as 'latency_p95 > +5%'; may be given several times.",
)
@click.option(
    "--significant",
    is_flag=True,
    help="A condition holds only where the whole 95 % interval is beyond the limit.",
)
@click.option(
    "--only",
    "only",
    type=click.Choice(EVERYTHING),
    multiple=True,
    help="Compare only what needs these to be alike; may be given several times.",
)
@click.option("--other-machine", is_flag=True, help="Two machines are what is compared.")
@click.option("--all", "everything", is_flag=True, help="All statistics of all stages.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Markdown on stdout.")
@json_option
def command(
    a: Path,
    b: Path,
    conditions: tuple[str, ...],
    significant: bool,
    only: tuple[Aspect, ...],
    other_machine: bool,
    everything: bool,
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Two results of `run` side by side, and whether they differ by more than they scatter.

    Results of another data set, clip, power meter or machine are refused.

    \b
    A CONDITION is FIGURE OP [+|-]NUMBER[%|UNIT]:
        latency_p95 > +5%        more than 5 % above A
        accuracy < -0.5pp        more than half a percentage point below A
        offline.fps < 30         B itself is below 30 FPS

    FIGURE is accuracy, fps, power, energy, energy_above_idle, ae, misses, cpu, memory, load, size,
    or a stage and a statistic: latency, capture, preprocess, infer, decode or publish, then _mean,
    _p50, _p90, _p95, _p99 or _max. With a mode before it, as offline.fps, in that mode.

    A change holds only where the repeats show a difference, as in the table. Fewer than 3 repeats
    go by the value: use 5 or more.

    Exit code: 1 where a condition holds, 2 where one is malformed or the results are unlike.
    """  # noqa: D301 - \b is the character that click takes for "do not wrap"
    from benchmarks.compare import both, compare, with_conditions
    from benchmarks.compare_condition import parse_condition
    from benchmarks.device_files import Named, read_device_result, unlike_names

    names = unlike_names((a, b))
    sides = [Named(*one) for one in zip(names, map(read_device_result, (a, b)), strict=True)]
    aspects = tuple(one for one in EVERYTHING if one in (only or EVERYTHING))
    found = compare(sides[0], sides[1], aspects=aspects, other_machine=other_machine)
    pairs = both(sides[0].result, sides[1].result, aspects)
    known = {name: pair[0] for name, pair in pairs.items()}
    parsed = [parse_condition(text, known) for text in conditions]
    found = with_conditions(found, pairs, parsed, significant=significant)
    if as_json:
        click.echo(found.model_dump_json(by_alias=True))
    else:
        _print(found, everything=everything, as_markdown=as_markdown)
    for outcome in found.failed:
        say(f"failed: {outcome.condition}")
    return 1 if found.failed else 0


def _print(found: Comparison, *, everything: bool, as_markdown: bool) -> None:
    from benchmarks.compare_tables import markdown, print_words, words

    text = words(found, everything=everything)
    if as_markdown:
        click.echo(markdown(text))
    else:
        print_words(text)
