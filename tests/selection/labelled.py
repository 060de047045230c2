"""The labelled set: texts that each gate must drop and texts that it must pass.

    python -m tests.selection.labelled

prints precision and recall of each gate. A file of `labelled/` is named after its gate; a case is
a circumstance with its texts. They were labelled by what a reader would say, before the gates were
asked; where a gate is wrong, its figure says so.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from personalm.records import Item
from personalm.selection.case import Case
from personalm.selection.gates import Gate, build_gates
from personalm.selection.leak_building import LeakIndexBuilder
from personalm.selection.leak_index import LeakIndex
from personalm.settings import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent / "labelled"
GATES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))

_OF_SETTINGS = {"banned": "banned_words", "required": "required_words"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a gate did on its texts."""

    num_drop: int
    num_pass: int
    missed: tuple[str, ...]
    wrongly_dropped: tuple[str, ...]

    @property
    def recall(self) -> float:
        """Share of the texts to drop that were dropped."""
        return 1 - len(self.missed) / self.num_drop

    @property
    def precision(self) -> float:
        """Share of the dropped texts that were to be dropped."""
        num_right = self.num_drop - len(self.missed)
        return num_right / (num_right + len(self.wrongly_dropped))


def score(name: str) -> Score:
    """Ask a gate about all its labelled texts."""
    missed: list[str] = []
    wrong: list[str] = []
    num_drop = num_pass = 0
    for gate, case, to_drop, to_pass in _cases(name):
        missed += [text for text in to_drop if not gate.refuses(text, case)]
        wrong += [text for text in to_pass if gate.refuses(text, case)]
        num_drop += len(to_drop)
        num_pass += len(to_pass)
    return Score(
        num_drop=num_drop,
        num_pass=num_pass,
        missed=tuple(missed),
        wrongly_dropped=tuple(wrong),
    )


def _cases(name: str) -> Iterator[tuple[Gate, Case, list[str], list[str]]]:
    for values in tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["cases"]:
        to_drop, to_pass = values.pop("drop"), values.pop("pass")
        setting = values.pop("setting", None)
        chosen: dict[str, Any] = {} if setting is None else {_OF_SETTINGS[name]: setting}
        leaks = _index(values.pop("others", {}) | {values.get("user", ""): values.get("history")})
        (gate,) = build_gates([name], Selection(**chosen), leaks)
        yield gate, _case(values), to_drop, to_pass


def _case(values: dict[str, Any]) -> Case:
    given = {name: _frozen(value) for name, value in values.items()}
    item = given.pop("item", None)
    if item:
        facts = {name: _frozen(value) for name, value in item.pop("facts", {}).items()}
        given["item"] = Item(item_id="i", facts=facts, **item)
    return Case(writers=(given.pop("user", ""),), **given)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _index(people: dict[str, list[str] | None]) -> LeakIndex:
    with TemporaryDirectory() as folder:
        builder = LeakIndexBuilder(Path(folder) / "scratch", num_words=8)
        for user_id, texts in people.items():
            builder.add(user_id, texts or ())
        path = Path(folder) / "index"
        path.write_bytes(b"".join(builder.finish()()))
        return LeakIndex(path)


def main() -> None:
    """Print the figures of every gate, and the texts it was wrong about."""
    print(f"{'gate':<14} drop pass precision recall")
    for name in GATES:
        found = score(name)
        print(
            f"{name:<14} {found.num_drop:4d} {found.num_pass:4d} "
            f"{found.precision:9.2f} {found.recall:6.2f}"
        )
        for text in found.missed:
            print(f"    missed:          {text!r}")
        for text in found.wrongly_dropped:
            print(f"    wrongly dropped: {text!r}")


if __name__ == "__main__":
    main()
