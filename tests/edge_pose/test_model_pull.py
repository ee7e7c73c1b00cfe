"""Artifacts from web servers: real ones, on this machine, with all that they can do wrong."""

from __future__ import annotations

import base64
import datetime
import hashlib
import http.server
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import edge_pose
from edge_pose import model_pull
from edge_pose.artifact import load_artifact
from edge_pose.download import download
from edge_pose.errors import ArtifactError, EdgePoseError, UsageError
from edge_pose.model_pull import Pulled, Request, pull
from edge_pose.model_store import store_folder
from edge_pose.package import pack
from edge_pose.package_reader import LIMIT_BYTES

SECRET = "hunter2"  # noqa: S105 - what no message may contain
Response = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a path as the test says."""

    responses: dict[str, Response]
    seen: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        self.responses.get(self.path.partition("?")[0], lambda h: h.send_error(404))(self)

    def log_message(self, *_: object) -> None:
        """Keep the terminal clean."""

    def answer(self, body: bytes, length: int | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Web:
    """A web server on this machine."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.handler = type("Bound", (Handler,), {"responses": {}, "seen": []})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        # A client that refuses the certificate hangs up: nothing to report.
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def seen(self) -> list[tuple[str, dict[str, str]]]:
        return self.handler.seen  # type: ignore[attr-defined, no-any-return]

    def url(self, path: str, user: str = "") -> str:
        return f"{self.scheme}://{user}127.0.0.1:{self.server.server_port}{path}"

    def on(self, path: str, response: Response) -> str:
        self.handler.responses[path] = response  # type: ignore[attr-defined]
        return self.url(path)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty registry of this test's own; no proxy."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "data" / "edge_pose" / "models"


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()


@pytest.fixture
def tls(need: Callable[[str], ModuleType], tmp_path: Path) -> Iterator[Web]:
    """A server with a certificate that nobody but the test trusts."""
    need("cryptography")
    server = Web(self_signed(tmp_path / "server.pem"))
    yield server
    server.close()


def self_signed(file: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(pem.Encoding.PEM))
    return file


@pytest.fixture
def packed(tiny_artifact: Path, tmp_path: Path) -> Path:
    out = tmp_path / "blobs.edgepose"
    pack(tiny_artifact, out)
    return out


def take(source: object, name: str | None = None, **options: Any) -> Pulled:
    return pull(Request(str(source), **options), name)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def refusal(call: Callable[[], object], error: type[EdgePoseError] = ArtifactError) -> str:
    """Return the one line of the refusal; nothing is left in the registry."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert message.isprintable()
    assert SECRET not in message
    assert contents() == []
    return message


def contents() -> list[str]:
    store = store_folder()
    assert store is not None
    return sorted(p.name for p in store.iterdir() if p.name != ".lock") if store.exists() else []


def test_from_a_web_server(web: Web, packed: Path) -> None:
    body = packed.read_bytes()
    url = web.on("/m.edgepose", lambda h: h.answer(body))
    received: list[int] = []
    pulled = take(url, sha256=sha256(packed), on_bytes=received.append)
    assert received[-1] == len(body)
    load_artifact(pulled.entry.full_name)
    _, headers = web.seen[0]
    assert headers["User-Agent"] == f"edge_pose/{edge_pose.__version__}"
    assert "Authorization" not in headers


def test_plain_http_needs_something_that_protects(web: Web) -> None:
    message = refusal(lambda: take(web.url("/m")), UsageError)
    assert "can be altered on its way: use https, or give --sha256 or --key" in message
    assert web.seen == []


def test_redirects_are_followed_a_few_times(web: Web, packed: Path) -> None:
    body = packed.read_bytes()
    for number in range(4):
        web.on(f"/{number}", lambda h, n=number: h.redirect(f"/{n + 1}"))  # type: ignore[misc]
    web.on("/4", lambda h: h.answer(body))
    take(web.url("/0"), sha256=sha256(packed))
    assert [path for path, _ in web.seen] == ["/0", "/1", "/2", "/3", "/4"]


@pytest.mark.parametrize("to", ["/loop", "file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_that_lead_nowhere(web: Web, to: str) -> None:
    url = web.on("/loop", lambda h: h.redirect(to))
    message = refusal(lambda: take(url, sha256="ab" * 32))
    assert message.startswith(url)


def with_body(body: bytes, length: int | None = None) -> Response:
    return lambda h: h.answer(body, length)


def chunked_and_cut(h: Handler) -> None:
    h.protocol_version = "HTTP/1.1"
    h.send_response(200)
    h.send_header("Transfer-Encoding", "chunked")
    h.end_headers()
    h.wfile.write(b"100\r\n" + bytes(17))
    h.close_connection = True


def without_length(h: Handler) -> None:
    h.send_response(200)
    h.end_headers()
    for _ in range(100):
        h.wfile.write(bytes(100))


def no_http(h: Handler) -> None:
    h.wfile.write(b"\x1b[31mSSH-2.0-hello\r\n")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (lambda h: h.send_error(404), "the server says 404 Not Found"),
        (lambda h: h.send_error(503, "\x1b[31mfunny"), "the server says 503 Service Unavailable"),
        (lambda h: h.answer(b"", status=206), "the server says 206, expected 200 OK"),
        (with_body(b"half", 100), "cut off after 4 of 100 bytes"),
        (chunked_and_cut, "cut off before its end"),
        (with_body(b"", 10_000), "larger than "),
        (without_length, "larger than "),
        (with_body(b"<html>"), "SHA-256 is "),
        (no_http, "no valid answer: BadStatusLine"),
        (lambda _: None, "not reachable: RemoteDisconnected"),
    ],
)
def test_answers_that_do_not_do(web: Web, response: Response, expected: str) -> None:
    url = web.on("/m", response)
    message = refusal(lambda: take(f"{url}?token={SECRET}", sha256="ab" * 32, limit_bytes=5000))
    assert message.startswith(f"{url}: {expected}")


def test_a_server_that_says_nothing(web: Web) -> None:
    release = threading.Event()
    url = web.on("/m", lambda _: release.wait(20) and None)
    try:
        message = refusal(lambda: list(download(url, LIMIT_BYTES, timeout_s=0.2)))
    finally:
        release.set()
    assert message == f"{url}: no answer in time"


def test_a_server_that_drips(web: Web) -> None:
    def drip(h: Handler) -> None:
        h.send_response(200)
        h.end_headers()
        for _ in range(500):
            h.wfile.write(b".")
            time.sleep(0.02)

    url = web.on("/m", drip)
    message = refusal(lambda: list(download(url, LIMIT_BYTES, deadline_s=0.2)))
    assert message == f"{url}: not finished within 0.2 s"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://127.0.0.1/x", "neither a path nor an http:// or https:// address"),
        ("file:///etc/passwd", "neither a path nor an http:// or https:// address"),
        ("https://", "neither a path nor an http:// or https:// address"),
        ("https://127.0.0.1:port/x", "not a valid address"),
        ("https://127.0.0.1:1/x y\n", "https://127.0.0.1:1/x y: no valid answer: InvalidURL"),
        (f"http://user:{SECRET}@127.0.0.1:1/x", "a password is sent over https only"),
        (f"https://user:{SECRET}@127.0.0.1:1/x", "not reachable: Connection refused"),
    ],
)
def test_addresses(url: str, expected: str) -> None:
    assert expected in refusal(lambda: take(url, sha256="ab" * 32))


# --- encrypted ---


def test_a_certificate_that_nobody_vouches_for(tls: Web) -> None:
    url = tls.on("/m", lambda h: h.answer(b""))
    message = refusal(lambda: take(url))
    assert message.startswith(f"{url}: its certificate is not trusted: self-signed certificate")
    assert tls.seen == []


def test_a_certificate_of_another_host(tls: Web, tmp_path: Path, trusting: None) -> None:
    message = refusal(lambda: take(tls.url("/m").replace("127.0.0.1", "localhost")))
    assert "its certificate is not trusted: Hostname mismatch" in message


@pytest.fixture
def trusting(tls: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the server's certificate as an administrator would."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))


def test_https_with_a_password(tls: Web, trusting: None, packed: Path) -> None:
    body = packed.read_bytes()
    tls.on("/m", lambda h: h.answer(body))
    pulled = take(tls.url(f"/m?token={SECRET}#part", user=f"me:{SECRET}%21@"))
    load_artifact(pulled.entry.full_name)
    path, headers = tls.seen[0]
    assert path == f"/m?token={SECRET}"
    expected = base64.b64encode(f"me:{SECRET}!".encode()).decode()
    assert headers["Authorization"] == f"Basic {expected}"


def test_a_redirect_takes_no_password_along(tls: Web, trusting: None, packed: Path) -> None:
    body = packed.read_bytes()
    tls.on("/from", lambda h: h.redirect(tls.url("/to")))
    tls.on("/to", lambda h: h.answer(body))
    take(tls.url("/from", user=f"me:{SECRET}@"))
    assert ["Authorization" in headers for _, headers in tls.seen] == [True, False]


def test_a_redirect_that_gives_up_encryption(
    tls: Web, trusting: None, web: Web, packed: Path
) -> None:
    body = packed.read_bytes()
    plain = web.on("/m", lambda h: h.answer(body))
    url = tls.on("/m", lambda h: h.redirect(f"{plain}?token={SECRET}"))
    message = refusal(lambda: take(url, sha256=sha256(packed)))
    assert message == f"{url}: leads on to {plain}, which is not https"
    assert web.seen == []


def test_plain_http_may_lead_to_https(tls: Web, trusting: None, web: Web, packed: Path) -> None:
    body = packed.read_bytes()
    tls.on("/m", lambda h: h.answer(body))
    take(web.on("/m", lambda h: h.redirect(tls.url("/m"))), sha256=sha256(packed))


def test_an_interrupted_download_leaves_nothing(
    web: Web, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Iterator[bytes]:
        yield b"PK"
        raise KeyboardInterrupt

    monkeypatch.setattr(model_pull, "download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        take(web.url("/m"), sha256="ab" * 32)
    assert contents() == []
