"""The command line `edge-pose-bench`."""

from __future__ import annotations

from importlib import import_module

import click

from edge_pose.command_line import common_options, run_command, set_up_logging

# Name -> module with a `command`, imported on use.
COMMANDS: dict[str, str] = {
    "run": "benchmarks.commands.run",
    "cold-start": "benchmarks.commands.cold_start",
    "fleet": "benchmarks.commands.fleet",
    "scaling": "benchmarks.commands.scaling",
    "mediapipe": "benchmarks.commands.mediapipe",
    "peers": "benchmarks.commands.peers",
    "show": "benchmarks.commands.show",
    "compare": "benchmarks.commands.compare",
    "export": "benchmarks.commands.export",
    "report": "benchmarks.commands.report",
    "reference": "benchmarks.commands.reference",
    "supported": "benchmarks.commands.supported",
}


class LazyGroup(click.Group):
    """A group whose commands are in COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None for an unknown name, which click reports."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def cli(verbose: int) -> None:
    """Time what is shipped, on the device that it is for."""
    set_up_logging(verbose)


def main() -> None:
    """Entry point of the console script."""
    run_command(cli, "edge-pose-bench")


if __name__ == "__main__":
    main()
