"""What the four command lines share: one line per error, exit codes, logs on stderr."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from edge_pose._version import __version__
from edge_pose.errors import EdgePoseError

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
TERMINATED = 143  # 128 + SIGTERM
Command = TypeVar("Command", bound=Callable[..., object])


def run_command(command: click.Command, name: str) -> NoReturn:
    """Run a click command and leave the process.

    Exit codes: 0, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C, 143 after SIGTERM.
    """
    _clean_up_on_sigterm()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without → shows ? instead
    try:
        code = command.main(prog_name=name, standalone_mode=False)
        sys.stdout.flush()  # here, where a full disk can still be told in one line
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else name
        click.echo(f"{where}: {_one_line(error.format_message())}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"{name}: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except EdgePoseError as error:
        click.echo(f"{name}: {_one_line(str(error))}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `edge-pose … | head`
        _forget_stdout()
        sys.exit(0)
    except OSError as error:  # for example a full disk under `> summary.json`
        _forget_stdout()
        click.echo(f"{name}: {_one_line(str(error))}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _clean_up_on_sigterm() -> None:
    """Let the first SIGTERM end the command as an exception does: temporary files are removed.

    A second one kills. Commands that end by themselves, see `stop_on_signals`, put their handler
    before this one. Children that are forked die at once, as ever.
    """
    owner = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), number)
        sys.exit(TERMINATED)

    if threading.current_thread() is threading.main_thread():  # others cannot set one
        with contextlib.suppress(ValueError):  # nor can a subinterpreter
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                signal.signal(signal.SIGTERM, handle)


def _forget_stdout() -> None:
    """Send what is still buffered nowhere, or the interpreter tries again at its end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _one_line(message: str) -> str:
    return " ".join(message.split())


def set_up_logging(verbose: int) -> None:
    """Log to stderr: warnings; with one -v information, with two everything."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s"
    )


def common_options(command: Command) -> Command:
    """Add --version and -v/--verbose to a group."""
    command = click.version_option(__version__, message="%(prog)s %(version)s")(command)
    return click.option("-v", "--verbose", count=True, help="Say more; twice says everything.")(
        command
    )


@contextlib.contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[list[int]]:
    """Set `stop` at the first SIGINT or SIGTERM and note it; the second one acts as usual."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)
        stop.set()
        restore()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield received
    finally:
        restore()
