"""The law of the wheel: what is installed elsewhere finds its templates and renders from them."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent

RENDER = """
from pathlib import Path

import personalm
from personalm.kinds import find_templates, load_kinds
from personalm.prompting.prompter import Prompter
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.records import Profile, Prompt, Request, Task
from personalm.settings import Generation, Prompting

package = Path(personalm.__file__).parent
assert find_templates() == (package / "_templates",), find_templates()
kinds = load_kinds()
assert {"blurb", "note", "post", "reply"} <= set(kinds), kinds
profile = Profile(user_id="u")
request = Request(user_id="u", kind="post", subject_id="s", subject="the pond")
prompter = Prompter(
    kinds=kinds, prompting=Prompting(), generation=Generation(),
    tokenizer=ByteTokenizer(), max_positions=10_000, seed=0,
)
task = Task(
    request=request, profile=profile, voice=profile, tier="0", language="en", fingerprint=""
)
prompt = prompter.prompt(task, batch="b")
assert isinstance(prompt, Prompt), prompt
print(package)
print(prompt.text)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project's wheel, built with the installed tools: no network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_and_the_templates_and_nothing_else(wheel: Path) -> None:
    """Flows, tests, examples and sample data stay in the clone."""
    names = ZipFile(wheel).namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} == {"personalm"}
    assert "personalm/_templates/post.j2" in names
    assert "personalm/report/page.html" in names
    assert "personalm/py.typed" in names


def test_a_new_environment_renders_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """The wheel is installed elsewhere, away from the clone, and finds its own templates."""
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    # What the wheel needs is on this machine already: it is lent, so that no network is needed.
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--force-reinstall", str(wheel)], check=True, capture_output=True)

    done = subprocess.run(
        [python, "-c", RENDER], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(folder))
    assert "the pond" in done.stdout
