"""`edge-pose model`: the artifacts on this device, from listing them to signing them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from edge_pose.cli_engine import engine_command
from edge_pose.errors import ArtifactError, UsageError

if TYPE_CHECKING:  # these load pydantic and rich, which the other commands may not need
    from edge_pose.model_pull import Request
    from edge_pose.package_reader import Trust
    from edge_pose.signing_keys import PublicKey

Command = TypeVar("Command", bound=Callable[..., object])
PathType = click.Path(path_type=Path)
FileType = click.Path(path_type=Path, dir_okay=False)
DEFAULT_MAX_MIB = 512

as_json_option = click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
key_option = click.option(
    "--key", "keys", type=PathType, multiple=True, metavar="PUBLIC",
    help="Require a signature by this public key (PEM); several: by one of them.",
)  # fmt: skip
ungated_option = click.option(
    "--trust-ungated", is_flag=True, help="Accept artifacts that passed no accuracy gate."
)
passphrase_option = click.option(
    "--passphrase-file", type=PathType,
    help="Its first line protects the private key; or set EDGE_POSE_KEY_PASSPHRASE.",
)  # fmt: skip


def terms_options(command: Command) -> Command:
    """Add what `pull` and `unpack` can ask of a package."""
    for option in (
        click.option(
            "--max-mib", type=click.IntRange(1, 4095), default=DEFAULT_MAX_MIB,
            show_default=True, help="Largest package in MiB.",
        ),
        ungated_option,
        click.option(
            "--allow-unsigned", is_flag=True, help="Do not insist on a key of the trust folder."
        ),
        key_option,
        click.option("--sha256", default="", metavar="HEX", help="Require this hash of the file."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group("model")
def model_group() -> None:
    """Handle artifacts: list, check, pull, pack and sign them.

    ARTIFACT is a name as `model list` shows it, an artifact's folder, or a packed file.
    """


model_group.add_command(engine_command)


@model_group.command("list")
@as_json_option
def list_command(as_json: bool) -> None:
    """List the artifacts that came with edge_pose and those pulled to this device."""
    from edge_pose.model_store import entries
    from edge_pose.model_view import list_lines, list_row, to_json

    trusted = _folder_keys()
    rows = [list_row(entry, trusted) for entry in entries()]
    click.echo(to_json(rows) if as_json else "\n".join(list_lines(rows)))


@model_group.command("show")
@click.argument("artifact")
@as_json_option
def show_command(artifact: str, as_json: bool) -> None:
    """Show what the manifest of ARTIFACT says."""
    from edge_pose.artifact import read_manifest
    from edge_pose.model_view import manifest_lines, show_values, to_json

    with _folder_of(artifact) as folder:
        values = show_values(folder, _folder_keys())
        lines = manifest_lines(read_manifest(folder), values["signature"]["reason"])
    if _is_package(artifact):
        values["folder"] = artifact  # it was unpacked for a moment only
    click.echo(to_json(values) if as_json else "\n".join(lines))


@model_group.command("verify")
@click.argument("artifact")
@key_option
@as_json_option
def verify_command(artifact: str, keys: tuple[Path, ...], as_json: bool) -> int:
    """Check hashes, manifest, gate and signature of ARTIFACT; exit code 1 if one fails.

    Where --key is given, or the trust folder holds keys, a valid signature is required.
    """
    from dataclasses import asdict

    from edge_pose.model_checks import check_artifact
    from edge_pose.model_view import to_json

    with _folder_of(artifact) as folder:
        checks = check_artifact(folder, _keys(keys))
    failed = any(check.passed is False for check in checks)
    if as_json:
        values = {"passed": not failed, "checks": [asdict(check) for check in checks]}
        click.echo(to_json(values))
        return int(failed)
    words = {True: "ok", False: "FAILED", None: "-"}
    for check in checks:
        click.echo(f"{words[check.passed]:<7}{check.name}: {check.text}")
    return int(failed)


@model_group.command("pull")
@click.argument("source", metavar="FILE_OR_URL")
@terms_options
@click.option("--name", help="Keep it under this name; default: the manifest's.")
def pull_command(
    source: str,
    sha256: str,
    keys: tuple[Path, ...],
    allow_unsigned: bool,
    trust_ungated: bool,
    max_mib: int,
    name: str | None,
) -> None:
    """Take a packed artifact from a file or an http(s) URL into the local registry.

    Where --key is given, or the trust folder holds keys, a valid signature is required.
    """
    from edge_pose.model_pull import pull

    trust = _trust(keys, allow_unsigned=allow_unsigned, ungated=trust_ungated)
    with _progress(source, trust, sha256, max_mib) as request:
        pulled = pull(request, name)
    state = "pulled" if pulled.new else "was there already"
    signer = f", signed by {pulled.signer}" if pulled.signer else ""
    click.echo(f"{pulled.entry.full_name}: {state}{signer}")


@model_group.command("pack")
@click.argument("artifact")
@click.option("--out", type=FileType, help="File to write; default: <name>.edgepose here.")
@ungated_option
def pack_command(artifact: str, out: Path | None, trust_ungated: bool) -> None:
    """Check ARTIFACT and write it as one file."""
    from edge_pose.artifact import artifact_folder, read_manifest
    from edge_pose.model_store import local_name
    from edge_pose.package import SUFFIX, pack, sha256_file

    folder = artifact_folder(artifact)
    if out is None:
        out = Path(local_name(read_manifest(folder).name, folder) + SUFFIX)
    size_bytes = pack(folder, out, trust_ungated=trust_ungated)
    click.echo(f"{out}: {size_bytes / 1e6:.1f} MB, SHA-256 {sha256_file(out)}")


@model_group.command("unpack")
@click.argument("source", metavar="FILE_OR_URL")
@terms_options
@click.option("--out", type=PathType, help="Folder to make; default: the file's name here.")
def unpack_command(
    source: str,
    sha256: str,
    keys: tuple[Path, ...],
    allow_unsigned: bool,
    trust_ungated: bool,
    max_mib: int,
    out: Path | None,
) -> None:
    """Check a packed artifact and unpack it into a new folder."""
    from edge_pose.model_pull import unpack
    from edge_pose.sources.urls import public_uri

    out = out or Path(Path(public_uri(source)).stem)
    trust = _trust(keys, allow_unsigned=allow_unsigned, ungated=trust_ungated)
    with _progress(source, trust, sha256, max_mib) as request:
        unpack(request, out)
    click.echo(str(out))


@model_group.command("keygen")
@click.argument("private", type=FileType, metavar="PRIVATE.pem")
@passphrase_option
def keygen_command(private: Path, passphrase_file: Path | None) -> None:
    """Make a key pair to sign with: PRIVATE.pem, and the public PRIVATE.pub.pem beside it."""
    from edge_pose.signing_keys import make_keys, read_passphrase, trust_folder

    public, key = make_keys(private, read_passphrase(passphrase_file))
    click.echo(f"{private}: private key {key.key_id}, keep it secret")
    click.echo(f"{public}: public key, devices trust it from {trust_folder()}")


@model_group.command("sign")
@click.argument("folder", type=PathType)
@click.option("--private", type=PathType, required=True, help="Private key (PEM) of keygen.")
@passphrase_option
@ungated_option
def sign_command(
    folder: Path, private: Path, passphrase_file: Path | None, trust_ungated: bool
) -> None:
    """Check the artifact in FOLDER and sign it."""
    from edge_pose.signature import SIGNATURE, sign_artifact
    from edge_pose.signing_keys import read_passphrase

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; sign first, then pack")
    passphrase = read_passphrase(passphrase_file)
    key = sign_artifact(folder, private, passphrase, trust_ungated=trust_ungated)
    click.echo(f"{folder / SIGNATURE}: signed by {key.key_id}")


@model_group.command("remove")
@click.argument("name")
def remove_command(name: str) -> None:
    """Remove the artifact NAME from the local registry."""
    from edge_pose.model_store import remove

    entry = remove(name)
    click.echo(f"{entry.full_name}: removed")


def _folder_keys() -> tuple[PublicKey, ...]:
    """Return the keys of the trust folder."""
    from edge_pose.signing_keys import read_public_keys, trusted_key_files

    return read_public_keys(trusted_key_files())


def _keys(given: tuple[Path, ...]) -> tuple[PublicKey, ...]:
    """Return the keys given, else those of the trust folder."""
    from edge_pose.signing_keys import read_public_keys

    return read_public_keys(given) if given else _folder_keys()


def _trust(keys: tuple[Path, ...], *, allow_unsigned: bool, ungated: bool) -> Trust:
    from edge_pose.package_reader import Trust

    if keys and allow_unsigned:
        raise UsageError("--key asks for a signature, --allow-unsigned for none: give one of them")
    return Trust(() if allow_unsigned else _keys(keys), ungated)


def _is_package(artifact: str) -> bool:
    """True for a packed file; a name stays a name where a file is called the same."""
    from edge_pose.model_store import find

    return find(artifact) is None and Path(artifact).is_file()


@contextmanager
def _folder_of(artifact: str) -> Iterator[Path]:
    """Yield the folder of a name, a folder or a packed file, the latter unpacked for the time."""
    from edge_pose.artifact import artifact_folder
    from edge_pose.model_pull import Request, unpack
    from edge_pose.package_reader import Trust

    if not _is_package(artifact):
        yield artifact_folder(artifact)
        return
    try:
        with tempfile.TemporaryDirectory(prefix="edge_pose-") as scratch:
            folder = Path(scratch) / "artifact"
            unpack(Request(artifact, Trust(ungated=True)), folder)
            yield folder
    except OSError as error:
        raise ArtifactError(f"{artifact}: cannot be unpacked: {error.strerror}") from None


@contextmanager
def _progress(source: str, trust: Trust, sha256: str, max_mib: int) -> Iterator[Request]:
    """Yield the request, with a count of what has arrived where somebody watches."""
    from edge_pose.model_pull import Request

    limit_bytes = max_mib << 20
    if not sys.stderr.isatty():
        yield Request(source, trust, sha256, limit_bytes)
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("received"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield Request(
            source, trust, sha256, limit_bytes, lambda n: progress.update(task, completed=n)
        )
