"""The command line `edge-pose-train`."""

from __future__ import annotations

import os

import click

from edge_pose.command_line import common_options, run_command, set_up_logging
from training.commands.data import data_group
from training.commands.evaluate import evaluate_command
from training.commands.models import info_command, shrink_command
from training.commands.pictures import pictures_command
from training.commands.stacks import stacks_command
from training.commands.table1 import table1_command
from training.commands.train import plot_command, train_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def cli(verbose: int) -> None:
    """Train light pose networks and measure them."""
    set_up_logging(verbose)
    # A spinning second thread slows everything down when another process wants the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


COMMANDS = (
    data_group,
    evaluate_command,
    info_command,
    pictures_command,
    plot_command,
    shrink_command,
    stacks_command,
    table1_command,
    train_command,
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point of the console script."""
    run_command(cli, "edge-pose-train")
