"""Addresses of streams as they may be shown: without what is secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(uri: str) -> bool:
    """Return True for scheme://…; a scheme has two letters or more, so `C://x` is a path."""
    return _URL.match(uri) is not None


def public_uri(uri: str) -> str:
    """Return a URL without user, password, query and fragment; anything else as it is.

    Of a URL that cannot be taken apart only the scheme is left, as in `rtsp://…`.
    """
    if not is_url(uri):
        return uri
    try:
        parts = urlsplit(uri)
        _ = parts.port  # a password with a bare "/" or "#" would end up as host and port
    except ValueError:
        return uri.partition("://")[0] + "://…"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()
