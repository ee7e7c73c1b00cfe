"""The documents: nothing left to fill in, no dead link, the commands that the project promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(\s*<?([^)>\s]+)")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def listed(*options: str) -> list[str]:
    """Return the files of the working tree as git sees it; skip outside of one, but not in CI."""
    if not (ROOT / ".git").exists() and os.environ.get("CI") != "true":
        pytest.skip("not a git working tree")
    command = ["git", "ls-files", "-z", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def documents() -> dict[Path, str]:
    names = listed("--", "*.md")
    assert "README.md" in names
    return {ROOT / name: (ROOT / name).read_text("utf-8") for name in names}


def test_nothing_is_left_to_fill_in() -> None:
    left = [
        f"{file.relative_to(ROOT)}:{number}: {line}"
        for file, text in documents().items()
        for number, line in enumerate(text.splitlines(), 1)
        if "@@" in line
    ]
    assert left == []


def relative_links(text: str) -> list[str]:
    targets = [match[1] for match in LINK.finditer(FENCED.sub("", text))]
    return [t.partition("#")[0] for t in targets if not SCHEME.match(t) and not t.startswith("#")]


def test_what_counts_as_a_link() -> None:
    text = '[a](b/c.md#d) ![e](f.png) [g](https://h) [i](#j) [k](<l> "m")\n```\n[n](o)\n```\n'
    assert relative_links(text) == ["b/c.md", "f.png", "l"]


def test_relative_links_lead_somewhere() -> None:
    # What git ignores is there today and in no clone.
    files = {ROOT / name for name in listed("--cached", "--others", "--exclude-standard")}
    known = {path for path in files if path.exists()}
    known |= {folder for path in known for folder in path.parents}
    links = [(file, link) for file, text in documents().items() for link in relative_links(text)]
    assert len(links) > 10
    dead = [
        f"{file.relative_to(ROOT)}: {link}"
        for file, link in links
        if Path(os.path.normpath(file.parent / link)) not in known
    ]
    assert dead == []


def test_the_readme_names_the_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for command in ("make demo", "make test", *project["scripts"]):
        assert re.search(rf"(?<![\w-]){command}(?![\w-])", readme), command
