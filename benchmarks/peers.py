"""`edge-pose-bench peers`: our artifacts and other people's networks on the same crops.

Everybody is given the same picture and the same person's region, with the same threads, in turns of
a few persons (see benchmarks.peers_measure). Ours goes through `edge_pose.load` and
`Estimator.estimate`, as on a device; a peer through the same functions around its own network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from benchmarks.environment import Environment
from benchmarks.passes import Instruments
from benchmarks.peers_files import PeerFile
from benchmarks.peers_measure import Contestant, Turns, run_round
from benchmarks.peers_models import open_peer
from benchmarks.peers_report import PeersReport
from benchmarks.peers_summary import Facts, comparisons, contestant_result
from benchmarks.people import People
from edge_pose.artifact import load_artifact
from edge_pose.backends import thread_count
from edge_pose.errors import UsageError
from edge_pose.estimator import load
from edge_pose.power import PowerMeter, open_meter, read_state
from edge_pose.profile import load_profile
from edge_pose.types import FloatArray, utc_now

OUR_CROP = 1.25  # what ours are trained with
ALIKE = (
    "all alike: reading the picture is not timed; the crop (warp, area averaging where it shrinks"
    " much), the tensor and the way back are edge_pose.preprocess for everybody, with"
    " OpenCV's own threads as in a run; sizes differ",
    "network alone: of ours with quantising the input and making the output real numbers",
)
NO_JOINTS = "no data set, latency only: --data FOLDER (or EDGE_POSE_DATA) with mpii/ in it"
ESTIMATED = (
    "power is estimated from the processor use of the whole machine: where others use it, too, AE"
    " says no more than accuracy × FPS"
)


@dataclass(frozen=True, slots=True)
class PeersPlan:
    """What to measure.

    Attributes:
        artifacts: ours; the first one counts as the one that users get.
        threads: inference threads, at least 1.
        rounds: at least 1.
        power_s: seconds of power for each contestant in every round; 0 for none.
        power: meter.
        profile: device profile.
        trust_ungated: also measure artifacts whose accuracy was never checked.
        root: of the file system, for <root>/sys and <root>/proc.
    """

    artifacts: tuple[str, ...] = ("default",)
    threads: int = 1
    rounds: int = 5
    power_s: float = 2.0
    power: str = "auto"
    profile: str = "auto"
    trust_ungated: bool = False
    root: Path = Path("/")


def peers_benchmark(
    plan: PeersPlan,
    peers: Sequence[PeerFile],
    people: Sequence[People],
    environment: Environment,
    notes: Sequence[str] = (),
    on_round: Callable[[int, dict[str, Turns]], None] = lambda _number, _turns: None,
) -> PeersReport:
    """Measure.

    Args:
        plan: what to measure.
        peers: their files.
        people: the first ones are timed and count for AE; of others only accuracy is measured.
        environment: read before anything was loaded.
        notes: for the report, for example which peers are missing.
        on_round: called after each round with its number from 1.

    Raises:
        EdgePoseError: an artifact or a peer cannot be loaded, or a measurement fails.
    """
    profile = load_profile(plan.profile)
    timed, *more = people
    with (
        closing(open_meter(plan.power, profile, plan.root)) as meter,
        _open(plan, peers) as (contestants, facts),
    ):
        instruments = Instruments(meter, partial(read_state, plan.root))
        rounds = []
        for number in range(1, plan.rounds + 1):
            rounds.append(run_round(contestants, timed, number, instruments, plan.power_s))
            on_round(number, rounds[-1])
        found = [(timed, _keypoints(rounds[0]))]
        for others in more:
            found.append((others, _keypoints(run_round(contestants, others, 1, instruments, 0.0))))
        results = tuple(contestant_result(one, rounds, found) for one in facts)
        return PeersReport(
            created_at=utc_now(),
            environment=environment,
            threads=plan.threads,
            rounds=plan.rounds,
            people=timed.dataset,
            n_persons=len(timed.persons),
            power_source=meter.source if plan.power_s > 0 else None,
            power_detail=meter.detail if plan.power_s > 0 else "",
            contestants=results,
            comparisons=comparisons(results, rounds, found),
            notes=(*notes, *_at_home(facts, people), *_of_power(meter, rounds, plan), *ALIKE),
        )


def _keypoints(turns: dict[str, Turns]) -> dict[str, list[FloatArray]]:
    """Return what everybody found, by name."""
    return {name: one.keypoints for name, one in turns.items()}


@contextmanager
def _open(
    plan: PeersPlan, peers: Sequence[PeerFile]
) -> Iterator[tuple[list[Contestant], list[Facts]]]:
    """Load everybody."""
    threads = thread_count(plan.threads)
    with ExitStack() as stack:
        pairs = [_ours(name, plan, threads, stack) for name in plan.artifacts]
        for file in peers:
            pairs += _peer(file, threads, stack)
        names = [contestant.name for contestant, _ in pairs]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"{min(twice)}: two contestants of this name, give one of them")
        yield [contestant for contestant, _ in pairs], [facts for _, facts in pairs]


def _ours(name: str, plan: PeersPlan, threads: int, stack: ExitStack) -> tuple[Contestant, Facts]:
    artifact = load_artifact(name, trust_ungated=plan.trust_ungated)
    manifest, file = artifact.manifest, artifact.manifest.file
    if manifest.task != "top_down":
        raise UsageError(
            f"model {manifest.name}: is {manifest.task}; peers look at one person's crop, as"
            " top_down models do"
        )
    estimator = stack.enter_context(load(artifact, threads=threads))
    facts = Facts(
        name=manifest.name,
        ours=True,
        file=file.name,
        sha256=file.sha256,
        size_bytes=file.total_bytes,
        precision=file.precision,
        backend=estimator.backend.name,
        backend_version=estimator.backend.version,
        input_size=estimator.input_size,
        crop_factor=OUR_CROP,
        trained_on=tuple(manifest.origin.trained_on),
    )
    return Contestant(manifest.name, estimator, OUR_CROP), facts


def _peer(file: PeerFile, threads: int, stack: ExitStack) -> list[tuple[Contestant, Facts]]:
    peer = stack.enter_context(closing(open_peer(file.model, file.family, threads, str(file.file))))
    found = []
    for k in file.crop_factors:
        label = file.name if len(file.crop_factors) == 1 else f"{file.name} k={k:g}"
        facts = Facts(
            name=label,
            ours=False,
            file=file.file.name,
            sha256=hashlib.sha256(file.model).hexdigest(),
            size_bytes=len(file.model),
            precision="",
            backend="tflite",
            backend_version=peer.version,
            input_size=peer.input_size,
            crop_factor=k,
            trained_on=(),
        )
        found.append((Contestant(label, peer, k), facts))
    return found


def _at_home(facts: Sequence[Facts], people: Sequence[People]) -> Iterator[str]:
    """Yield what is to be said of the people: none with known joints, or some that suit ours."""
    if not people[0].metric:
        yield NO_JOINTS
    for one in people:
        names = [fact.name for fact in facts if fact.ours and one.dataset in fact.trained_on]
        if names:
            yield (
                f"{one.dataset}: {', '.join(names)} learnt from other persons of this data set,"
                " the peers from their makers' own data: an advantage of ours"
            )


def _of_power(
    meter: PowerMeter, rounds: Sequence[dict[str, Turns]], plan: PeersPlan
) -> Iterator[str]:
    """Yield why power is missing, where the meter was lost in the middle; that it is estimated."""
    lost = (turns.lost for done in rounds for turns in done.values() if turns.lost)
    yield from (f"power meter: lost {why}" for why in islice(lost, 1))
    if plan.power_s > 0 and meter.source == "estimated":
        yield ESTIMATED
