"""`edge-pose-bench peers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.commands.options import json_option, measured_environment, say, show
from edge_pose.errors import EdgePoseError, UsageError

if TYPE_CHECKING:
    from benchmarks.people import People

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("peers", short_help="Our artifacts beside others' networks on the same crops.")
@click.option(
    "--artifact",
    "--model",
    "artifacts",
    multiple=True,
    default=("default",),
    show_default=True,
    help="Of ours: shipped artifact or folder; may be given several times.",
)
@click.option(
    "--movenet", type=click.Path(path_type=Path, dir_okay=False), help="MoveNet's .tflite file."
)
@click.option(
    "--peers",
    "folder",
    type=FOLDER,
    envvar="EDGE_POSE_PEERS",
    help="Folder with peers' files [env: EDGE_POSE_PEERS].",
)
@click.option("--fetch", is_flag=True, help="Get BlazePose with npm into the user's cache folder.")
@click.option(
    "--data",
    type=FOLDER,
    envvar="EDGE_POSE_DATA",
    help="Folder with mpii/ (and lspet/) in it [env: EDGE_POSE_DATA]; without: latency only.",
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--profile", default="auto", help="Device profile; auto finds this machine's.")
@click.option("--power", default="auto", help="Power meter, `edge-pose power` lists them.")
@click.option(
    "--power-seconds",
    "power_s",
    type=click.FloatRange(0, 600),
    default=2.0,
    show_default=True,
    help="Of each contestant in every round; 0 for none.",
)
@click.option("--trust-ungated", is_flag=True, help="Unchecked artifacts too.")
@json_option
def command(
    artifacts: tuple[str, ...],
    movenet: Path | None,
    folder: Path | None,
    fetch: bool,
    data: Path | None,
    as_json: bool,
    **flags: object,
) -> None:
    """Our artifacts and other people's networks on the same crops, in turns.

    MoveNet Lightning int8 is a file that you give; BlazePose (of MediaPipe Pose) is fetched from
    npm on request. Neither is shipped. Accuracy needs MPII's validation persons, see --data.
    """
    environment = measured_environment()
    from benchmarks.peers import PeersPlan, peers_benchmark
    from benchmarks.peers_files import find_peers

    found = find_peers(movenet, folder, fetch=fetch)
    if not found.files:
        raise UsageError(f"peers: there is none to compare with: {'; '.join(found.notes)}")
    people, notes = _people(data)
    notes = [*found.notes, *notes]
    for note in notes:
        say(f"warning: {note}")
    plan = PeersPlan(artifacts=artifacts, **flags)  # type: ignore[arg-type]  # click's values
    report = peers_benchmark(
        plan,
        found.files,
        people,
        environment,
        notes,
        lambda n, _: say(f"round {n} of {plan.rounds}"),
    )
    show(report, as_json=as_json)


def _people(data: Path | None) -> tuple[list[People], list[str]]:
    """Return whom to measure on, and what is to be said about it."""
    from benchmarks.people import clip_people, read_mpii
    from benchmarks.people_lspet import read_lspet
    from edge_pose.samples import WALKING

    if data is None:
        return [clip_people(WALKING)], []
    people, notes = [read_mpii(data / "mpii")], []
    try:
        people.append(read_lspet(data / "lspet"))
    except EdgePoseError as error:
        notes.append(str(error))
    return people, notes
