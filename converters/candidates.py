"""What `select` chooses among: artifacts that are given, and those that checkpoints become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from converters.select import Candidate, Refusal
from converters.steps import Steps
from edge_pose.artifact import Artifact, artifact_folder, load_artifact, read_manifest_bytes
from edge_pose.backends import READS, default_threads, installed, readers
from edge_pose.backends.base import CPU
from edge_pose.errors import ArtifactError
from edge_pose.profile import DeviceProfile
from edge_pose.signature import judge_signature

CHECKPOINT = ".safetensors"


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Artifacts, and why others are none.

    Attributes:
        artifacts: each with the word that it was asked for by, and passed its gate.
        refused: name and reason of what cannot be used.
    """

    artifacts: list[tuple[str, Artifact]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def load(self, model: str) -> None:
        """Add an artifact by its name or folder.

        Raises:
            ArtifactError: there is none; one that is damaged, altered or failed is refused.
        """
        folder = artifact_folder(model).absolute()  # Path() is what lies nowhere yet
        try:
            artifact = load_artifact(folder)
            verdict = judge_signature(folder, read_manifest_bytes(folder), ())
            if verdict.state == "invalid":
                raise ArtifactError(verdict.reason)
        except ArtifactError as error:
            self.refused.append((model, str(error)))
        else:
            self.artifacts.append((model, artifact))

    def convert(
        self,
        checkpoints: Sequence[Path],
        data: Path | None,
        steps: Steps,
        *,
        generated: bool,
        n_images: int,
        seed: int,
        ladder: bool,
    ) -> None:
        """Add what checkpoints become in every format and precision.

        Raises:
            EdgePoseError: a checkpoint or the data is wrong; what cannot be converted or fails its
                gate is refused.
        """
        # torch takes seconds to import: who only measures artifacts needs none of it.
        from converters.data import open_data
        from converters.job import Job
        from converters.matrix import build_matrix
        from converters.settings import Settings

        settings = Settings(n_images=n_images, seed=seed, ladder=ladder)
        with open_data(data, generated=generated, n_images=n_images) as pictures:
            for checkpoint in checkpoints:
                job = Job(checkpoint, pictures, seed, steps)
                for cell in build_matrix(job, settings, threads=()):
                    if cell.passed is not None:
                        self.artifacts.append((str(checkpoint), cell.passed))
                    else:
                        self.refused.append((f"{job.info.model} {cell.name}", cell.verdict))

    def candidates(self, device: DeviceProfile) -> list[Candidate]:
        """Return each artifact in each runtime that is here and reads it.

        Artifacts that no runtime reads are refused. The profile's runtime computes on its device,
        others on the processor.
        """
        found: list[Candidate] = []
        times = Counter(artifact.manifest.name for _, artifact in self.artifacts)
        for word, artifact in self.artifacts:
            name, kind = artifact.manifest.name, artifact.manifest.file.format
            label = f"{name} ({word})" if times[name] > 1 else name
            backends = [b for b, formats in READS.items() if kind in formats and installed(b)]
            found += [_candidate(artifact, label, backend, device) for backend in backends]
            if not backends:
                wanted = " or ".join(readers(kind))
                self.refused.append((label, f"{kind} is read by {wanted}, which is not installed"))
        return found


def _candidate(artifact: Artifact, label: str, backend: str, device: DeviceProfile) -> Candidate:
    runtime = device.runtime
    word = runtime.device if backend == runtime.backend else CPU
    return Candidate(artifact, label, backend, word, runtime.threads or default_threads())
