"""`edge-pose-convert`: from a checkpoint to what a device runs."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from converters.commands.calibration_cache import calibration_cache_command
from converters.commands.convert import Request, convert
from converters.commands.edgetpu import edgetpu_command
from converters.commands.matrix import matrix_command
from converters.commands.options import (
    FORMATS,
    PATH,
    PRECISIONS,
    data_options,
    gate_options,
    graph_options,
)
from converters.commands.select import select_command
from edge_pose.command_line import common_options, run_command


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    invoke_without_command=True,
    no_args_is_help=False,
    subcommand_metavar="[COMMAND [ARGS]…]",
    help="Convert a checkpoint to artifacts, each measured against the checkpoint."
    "\n\nWhat a device should run is known by its --profile. Nothing is written where the accuracy"
    " falls too far: int8 then tries other ways and falls back to fp16. With one --precision,"
    " --out is the artifact's folder; with several, each goes to a folder below it.",
)
@common_options
@click.option("--checkpoint", type=PATH, help="A .safetensors file.")
@click.option("--out", type=PATH, help="Folder to write; a file with --graph-only.")
@click.option("--profile", help="Device, `edge-pose devices` lists them; auto is this machine.")
@click.option(
    "--format", type=click.Choice(FORMATS), help="  [default: as --profile says, or onnx]"
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(PRECISIONS),
    multiple=True,
    help="May be given several times.  [default: as --profile says, or int8]",
)
@graph_options
@data_options
@gate_options
@click.option("--no-ladder", "ladder", flag_value=False, default=True, help="One try only.")
@click.option("--force", is_flag=True, help="Write what failed, marked as such.")
@click.option(
    "--graph-only", is_flag=True, help="Write --out as a plain float ONNX file, without gate."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(context: click.Context, /, verbose: int, **options: Any) -> None:  # noqa: ANN401
    """Convert, where no subcommand is asked for."""
    given = [p for p in context.command.params if _is_given(context, p)]
    if context.invoked_subcommand is not None:
        if given:
            name, sub = given[0].opts[0], context.invoked_subcommand
            raise click.UsageError(f"{name} stands before '{sub}', options of '{sub}' go after it")
        return
    for parameter in context.command.params:
        if parameter.name in ("checkpoint", "out") and parameter not in given:
            raise click.MissingParameter(ctx=context, param=parameter)
    convert(Request(**options), verbose)


def _is_given(context: click.Context, parameter: click.Parameter) -> bool:
    return context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE


# More commands, each of a module in converters.commands.
COMMANDS: tuple[click.Command, ...] = (
    matrix_command,
    select_command,
    calibration_cache_command,
    edgetpu_command,
)
for _subcommand in COMMANDS:
    command.add_command(_subcommand)


def main() -> None:
    """Entry point of the console script."""
    run_command(command, "edge-pose-convert")


if __name__ == "__main__":
    main()
