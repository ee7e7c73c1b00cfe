from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.cli import cli


@pytest.mark.parametrize("name", sorted(cli.list_commands(None)))  # type: ignore[arg-type]
def test_every_command_has_a_help_that_can_be_read(
    name: str, bench: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = bench(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: edge-pose-bench {name} ")
    assert "\\b" not in out  # click's mark against wrapping, where it is not taken for it
    assert max(map(len, out.splitlines())) <= 80


def test_the_list_of_commands_says_what_each_is_in_full(
    bench: Callable[..., tuple[int, str, str]],
) -> None:
    code, out, _ = bench("--help")
    assert code == 0
    lines = out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == cli.list_commands(None)  # type: ignore[arg-type]
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_examples_in_a_help_keep_their_lines(bench: Callable[..., tuple[int, str, str]]) -> None:
    _, out, _ = bench("compare", "--help")
    assert "      accuracy < -0.5pp        more than half a percentage point below A\n" in out
