"""Bytes from a file or a web server, as they come, with limits on size and time."""

from __future__ import annotations

import base64
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from edge_pose._version import __version__
from edge_pose.errors import ArtifactError
from edge_pose.package_reader import too_large
from edge_pose.sources.urls import public_uri

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30.0
"""Without a byte for so long a server counts as gone."""
DEADLINE_S = 3600.0
"""For the whole download: a server that drips bytes holds nobody up for ever."""
MAX_REDIRECTS = 5


def read_file(file: Path, limit_bytes: int) -> Iterator[bytes]:
    """Yield the content of a file.

    Raises:
        ArtifactError: it is missing, no plain file, or too large.
    """
    if file.is_dir():
        raise ArtifactError(f"{file}: is a folder, expected a packed artifact")
    if file.exists() and not file.is_file():
        raise ArtifactError(f"{file}: is no plain file, expected a packed artifact")
    received = 0
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                received += len(chunk)
                if received > limit_bytes:
                    raise too_large(str(file), limit_bytes)
                yield chunk
    except OSError as error:
        raise ArtifactError(f"{file}: cannot be read: {error.strerror}") from None


def download(
    url: str, limit_bytes: int, timeout_s: float = TIMEOUT_S, deadline_s: float = DEADLINE_S
) -> Iterator[bytes]:
    """Yield the body that a web server answers with.

    Certificates are verified. Redirects lead to the same scheme or to https. A user and password in
    the URL are sent to its own host alone, over https alone, and appear in no message; neither
    does the query, which may hold a token.

    Args:
        url: http:// or https://.
        limit_bytes: longest body.
        timeout_s: longest silence.
        deadline_s: for the whole body.

    Raises:
        ArtifactError: no answer, another one than 200, a body that is cut off or too large.
    """
    shown = public_uri(url)
    end_s = time.monotonic() + deadline_s
    with _open(_request(url, shown), shown, timeout_s) as response:
        length = _length(response)
        if length is not None and length > limit_bytes:
            raise too_large(shown, limit_bytes)
        received = 0
        while chunk := _read(response, shown):
            received += len(chunk)
            if received > limit_bytes:
                raise too_large(shown, limit_bytes)
            if time.monotonic() > end_s:
                raise ArtifactError(f"{shown}: not finished within {deadline_s:g} s")
            yield chunk
        if length is not None and received != length:
            raise ArtifactError(f"{shown}: cut off after {received} of {length} bytes, try again")


def _request(url: str, shown: str) -> urllib.request.Request:
    """Return the request, its credentials moved from the URL into a header of this host only."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ArtifactError(f"{shown}: neither a path nor an http:// or https:// address")
        _ = parts.port
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
        request = urllib.request.Request(bare)  # noqa: S310 - the scheme was checked
    except ValueError:
        raise ArtifactError(f"{shown}: not a valid address") from None
    request.add_header("User-Agent", f"edge_pose/{__version__}")
    if parts.username is not None:
        if parts.scheme != "https":
            raise ArtifactError(f"{shown}: a password is sent over https only")
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = base64.b64encode(pair.encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and none that gives up encryption."""

    max_redirections = MAX_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Refuse https → http; urllib itself refuses what is no web address."""
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            fp.close()
            raise ArtifactError(
                f"{public_uri(req.full_url)}: leads on to {public_uri(newurl)}, which is not https"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that speaks http and https; urllib's own also opens files and FTP."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler(),  # as the environment says, with its exceptions
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _open(
    request: urllib.request.Request, shown: str, timeout_s: float
) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if 300 <= error.code < 400:
            message = f"{shown}: redirects in a circle, too often, or to no web address"
            raise ArtifactError(message) from None
        phrase = http.client.responses.get(error.code, "")
        raise ArtifactError(f"{shown}: the server says {error.code} {phrase}") from None
    except urllib.error.URLError as error:
        raise ArtifactError(f"{shown}: {_reason(error.reason)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ArtifactError(f"{shown}: {_reason(error)}") from None
    if response.status != http.client.OK:
        response.close()
        raise ArtifactError(f"{shown}: the server says {response.status}, expected 200 OK")
    return response


def _reason(error: object) -> str:
    """Return why there is no answer, without anything that a server could have put in."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection: {error.reason}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return f"not reachable: {error.strerror or type(error).__name__}"
    return f"no valid answer: {type(error).__name__}"


def _length(response: http.client.HTTPResponse) -> int | None:
    """Return the announced length in bytes, None where the server announces none."""
    value = response.headers.get("Content-Length", "")
    if "chunked" in response.headers.get("Transfer-Encoding", "").lower():
        return None
    return int(value) if value.isascii() and value.isdigit() else None


def _read(response: http.client.HTTPResponse, shown: str) -> bytes:
    """Return what has arrived, at least one byte, or nothing at the end."""
    try:
        return response.read1(CHUNK_BYTES)
    except http.client.IncompleteRead:
        raise ArtifactError(f"{shown}: cut off before its end, try again") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ArtifactError(f"{shown}: {_reason(error)}") from None
