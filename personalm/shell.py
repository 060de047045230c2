"""How a command ends: exit codes, signals, and errors in one message.

Exit codes: 0 all requests served or unchanged; 3 this run rejected some; 1 the run failed;
2 the command line is wrong; 130 and 143 stopped by Ctrl-C and SIGTERM. It knows no command.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import NoReturn

from cyclopts import App, CycloptsError

from personalm.errors import PersonalmError, Stopped, fault_of
from personalm.visible import LineFormatter, visible

REJECTED_SOME = 3
FAILED = 1
USAGE = 2


def run_app(door: App) -> NoReturn:
    """Run a command-line app; errors become one message, signals the exit codes of a shell."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("personalm").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, stop)
    sys.exit(run_command(door, sys.argv[1:]))


def run_command(door: App, arguments: list[str]) -> int:
    """Run one command and return its exit code; what goes wrong is said in one message."""
    try:
        code = door(arguments, exit_on_error=False, print_error=True)
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt as error:
        stopped = error if isinstance(error, Stopped) else Stopped()
        print("\npersonalm: stopped; the same command goes on from here", file=sys.stderr)
        return stopped.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`personalm ... | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - a traceback could show what a user wrote
        print(f"personalm: {_explain(error)}", file=sys.stderr)
        return FAILED
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> str:
    if isinstance(error, PersonalmError):
        return visible(str(error))
    if isinstance(error, MemoryError):
        return "out of memory; the same command goes on from here"
    return str(fault_of(error))


def stop(signal_number: int, _frame: object) -> NoReturn:
    """Handle a signal that asks to stop: raise Stopped."""
    raise Stopped(signal_number)
