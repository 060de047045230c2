"""The shell's door: `personalm COMMAND`.

Results go to standard output, progress and messages to standard error. `--help` loads no model
library. How a command ends is in shell.py.
"""

from __future__ import annotations

from typing import NoReturn

from cyclopts import App

from personalm import __version__
from personalm.commands.doctor import doctor
from personalm.commands.evaluate import evaluate
from personalm.commands.finetune import finetune
from personalm.commands.forget import forget
from personalm.commands.profile import profile
from personalm.commands.run import run
from personalm.commands.show import export, report
from personalm.commands.start import demo, models
from personalm.commands.store import rollback, status, vacuum, verify
from personalm.commands.write import generate, preview
from personalm.shell import run_app

_COMMANDS = (
    *(run, doctor, preview, generate, profile),
    *(status, verify, forget, rollback, vacuum),
    *(evaluate, export, report, finetune, demo, models),
)

app = App(
    name="personalm",
    help="Write texts for every user in your Parquet, in that user's own voice.",
    version=__version__,
    help_format="markdown",
    help_epilogue=(
        "Settings: --config FILE, else $PERSONALM_CONFIG, else ./personalm.toml. "
        "Try `personalm demo` first."
    ),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _command in _COMMANDS:
    app.command(_command)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    run_app(app)
