"""Parts of a document that a program writes, from `<!-- begin NAME -->` to `<!-- end NAME -->`."""

from __future__ import annotations

import re

from edge_pose.errors import UsageError


def with_part(text: str, name: str, content: str, where: str) -> str:
    """Return a document with one part replaced.

    Args:
        text: the document.
        name: of the part.
        content: without the markers.
        where: the document's name, for errors.

    Raises:
        UsageError: there is no such part, or more than one.
    """
    pattern = rf"(<!-- begin {re.escape(name)} -->\n).*?(<!-- end {re.escape(name)} -->)"
    new, count = re.subn(
        pattern, lambda found: f"{found[1]}{content}\n{found[2]}", text, flags=re.DOTALL
    )
    if count != 1:
        raise UsageError(f"{where}: found {count} parts named {name}, expected one")
    return new
