"""False drops: what the gates say of the newest texts that real people wrote.

    python -m tests.selection.real_texts FOLDER [NUMBER]

FOLDER holds `irc/interactions.parquet`. The newest text of each of the first people is taken for a
candidate, their other texts for the history; the leak index is made of everybody's history. A
text that stands in its writer's history already is no new text, and is left out.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from personalm.hashing import user_digest
from personalm.kinds import load_kinds
from personalm.selection.case import Case
from personalm.selection.gates import build_gates
from personalm.selection.leak_building import LeakIndexBuilder
from personalm.selection.leak_index import LeakIndex
from personalm.selection.words import count_words
from personalm.settings import Selection

KIND = "post"
OF_A_SUBJECT = frozenset({"off_subject"})
"""Gates that ask about a subject, which a text that was only found does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """How many texts there were, how many were dropped at all, and by which gate."""

    num_texts: int
    num_dropped: int
    by_gate: Counter[str] = field(default_factory=Counter)


def count_drops(path: Path, *, num_users: int = 200) -> Drops:
    """Ask the gates of a post about the newest text of each of some people."""
    writings = _read(path)
    selection = Selection()
    names = [g for g in load_kinds()[KIND].front.gates if g not in OF_A_SUBJECT]
    by_gate: Counter[str] = Counter()
    num_texts = num_dropped = 0
    with TemporaryDirectory() as folder:
        gates = build_gates(names, selection, _index(Path(folder), writings))
        for user_id in sorted(writings, key=user_digest):
            *history, text = writings[user_id]
            is_new = text not in history and count_words(text) >= 1
            if not is_new or not history:
                continue
            case = Case(writers=(user_id,), history=tuple(history), prompt="Post:")
            found = [gate.name for gate in gates if gate.refuses(text, case)]
            by_gate.update(found)
            num_texts += 1
            num_dropped += bool(found)
            if num_texts == num_users:
                break
    return Drops(num_texts=num_texts, num_dropped=num_dropped, by_gate=by_gate)


def _read(path: Path) -> dict[str, list[str]]:
    """Return the texts of each person, oldest first."""
    table = pq.read_table(path, columns=["user_id", "text", "created_at"])
    writings: dict[str, list[tuple[str, str]]] = {}
    columns = (table[name].to_pylist() for name in ("user_id", "created_at", "text"))
    for user_id, time, text in zip(*columns, strict=True):
        if text and text.strip():
            writings.setdefault(str(user_id), []).append((str(time), text.strip()))
    return {
        user_id: [text for _, text in sorted(texts, key=lambda each: each[0])]
        for user_id, texts in writings.items()
    }


def _index(folder: Path, writings: dict[str, list[str]]) -> LeakIndex:
    builder = LeakIndexBuilder(folder / "scratch", num_words=Selection().max_leaked_words + 1)
    for user_id, (*history, _) in writings.items():
        builder.add(user_id, history)
    path = folder / "index"
    path.write_bytes(b"".join(builder.finish()()))
    return LeakIndex(path)


def main() -> None:
    """Print the share of texts that each gate would drop."""
    folder = Path(sys.argv[1])
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    drops = count_drops(folder / "irc" / "interactions.parquet", num_users=number)
    for gate, count in drops.by_gate.most_common():
        print(f"{gate:<14} {count:4d} of {drops.num_texts}, {count / drops.num_texts:.1%}")
    print(f"{'any':<14} {drops.num_dropped:4d}, {drops.num_dropped / drops.num_texts:.1%}")


if __name__ == "__main__":
    main()
