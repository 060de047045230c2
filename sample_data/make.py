"""Make the sample Parquet files from the TOML sources beside this module.

Contract: ``source/`` holds one file a user in ``voices/``, and ``items.toml`` and
``requests.toml``. The same sources give the same bytes under the same pyarrow: nothing is drawn
at random, and what looks random (ids, dates, the order of the interactions) comes from hashes.
A source that contradicts itself is refused with a ``ValueError`` that names the file and the
entry. Within a thread the customer speaks first and the turns alternate; a user's dates follow
the order of the user's texts, and every turn of a thread comes after the turn it answers.

Run as ``python -m sample_data.make``.
"""

import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
SOURCE = HERE / "source"
START = datetime(2026, 1, 5, tzinfo=UTC)
END = datetime(2026, 10, 20, tzinfo=UTC)
STAMP: pa.DataType = pa.timestamp("us", tz="UTC")
REAL: pa.DataType = pa.float64()

PROFILES = pa.schema(
    {
        "user_id": pa.string(),
        "name": pa.string(),
        "language": pa.string(),
        "traits": pa.list_(pa.string()),
        "opt_out": pa.bool_(),
        "updated_at": STAMP,
    }
)
INTERACTIONS = pa.schema(
    {
        "user_id": pa.string(),
        "text": pa.string(),
        "kind": pa.string(),
        "item_id": pa.string(),
        "rating": REAL,
        "created_at": STAMP,
        "text_id": pa.string(),
        "thread_id": pa.string(),
    }
)
ITEMS = pa.schema(
    {
        "item_id": pa.string(),
        "title": pa.string(),
        "description": pa.string(),
        "category": pa.string(),
        "maker": pa.string(),
        "price": REAL,
        "year": pa.int32(),
    }
)
REQUESTS = pa.schema(
    {
        "request_id": pa.string(),
        "user_id": pa.string(),
        "kind": pa.string(),
        "subject_id": pa.string(),
        "subject": pa.string(),
        "instructions": pa.string(),
        "thread_id": pa.string(),
        "voice_id": pa.string(),
    }
)

VOICE_KEYS = {"user_id", "name", "language", "traits", "opt_out", "profile", "texts"}
TEXT_KEYS = {"text", "kind", "item_id", "rating", "thread_id"}
TURNS = ("customer", "agent_reply")
NEEDED = {
    "blurb": {"subject_id"},
    "post": {"subject"},
    "note": {"subject"},
    "reply": {"subject", "instructions", "thread_id", "voice_id"},
}

Entry = dict[str, Any]
Node = tuple[str, int]


@dataclass(frozen=True)
class Sources:
    """Hold what the TOML files say, in the order of the files."""

    voices: list[Entry]
    items: list[Entry]
    requests: list[Entry]


def read(source: Path = SOURCE) -> Sources:
    """Read and check the TOML files of a folder."""
    files = sorted((source / "voices").glob("*.toml"))
    sources = Sources(
        voices=[_voice(file) for file in files],
        items=_load(source / "items.toml").get("items", []),
        requests=_load(source / "requests.toml").get("requests", []),
    )
    _check_items(sources)
    _check_voices(sources)
    _check_threads(sources)
    _check_requests(sources)
    return sources


def tables(sources: Sources) -> dict[str, pa.Table]:
    """Turn sources into the four tables, each under the stem of its file."""
    rows = {
        "profiles": (list(_profiles(sources)), PROFILES),
        "interactions": (_interactions(sources), INTERACTIONS),
        "items": (sources.items, ITEMS),
        "requests": (sources.requests, REQUESTS),
    }
    return {
        name: pa.Table.from_pylist(some, schema=schema) for name, (some, schema) in rows.items()
    }


def write(target: Path = HERE, source: Path = SOURCE) -> list[Path]:
    """Write the four Parquet files into a folder and return their paths."""
    paths = []
    for name, table in tables(read(source)).items():
        path = target / f"{name}.parquet"
        pq.write_table(
            table,
            path,
            version="2.6",
            data_page_version="1.0",
            compression="zstd",
            compression_level=9,
            use_dictionary=True,
            write_statistics=True,
            row_group_size=65536,
        )
        paths.append(path)
    return paths


def main() -> None:
    """Write the files beside this module and say how many rows each has."""
    for path in write():
        print(f"{path.name}: {pq.read_metadata(path).num_rows} rows")


def _load(file: Path) -> Entry:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file.name}: not valid TOML: {error}") from error


def _voice(file: Path) -> Entry:
    voice = _load(file)
    if voice.get("user_id") != file.stem:
        raise ValueError(
            f"voices/{file.name}: user_id must be {file.stem!r}, not {voice.get('user_id')!r}"
        )
    return {**voice, "texts": voice.get("texts", [])}


def _require(entry: Entry, keys: Iterable[str], where: str) -> None:
    missing = [key for key in sorted(keys) if entry.get(key) in (None, "")]
    if missing:
        raise ValueError(f"{where}: without {', '.join(missing)}")


def _allow(entry: Entry, keys: set[str], where: str) -> None:
    unknown = sorted(set(entry) - keys)
    if unknown:
        raise ValueError(f"{where}: unknown field {', '.join(unknown)}")


def _known(value: str | None, those: set[str], what: str, where: str) -> None:
    if value is not None and value not in those:
        raise ValueError(f"{where}: unknown {what} {value!r}")


def _unique(keys: Iterable[tuple[Any, str]]) -> None:
    seen = set()
    for key, where in keys:
        if key in seen:
            raise ValueError(f"{where}: duplicate {key!r}")
        seen.add(key)


def _check_items(sources: Sources) -> None:
    for number, item in enumerate(sources.items, 1):
        where = f"items.toml: item {item.get('item_id', number)}"
        _allow(item, set(ITEMS.names), where)
        _require(item, set(ITEMS.names) - {"price", "year"}, where)
    _unique((item["item_id"], "items.toml") for item in sources.items)


def _check_voices(sources: Sources) -> None:
    items = {item["item_id"] for item in sources.items}
    for voice in sources.voices:
        file = f"voices/{voice['user_id']}.toml"
        _allow(voice, VOICE_KEYS, file)
        for number, text in enumerate(voice["texts"], 1):
            _check_text(text, items, f"{file}: text {number}")
        _unique((text["text"], file) for text in voice["texts"])


def _check_text(text: Entry, items: set[str], where: str) -> None:
    _allow(text, TEXT_KEYS, where)
    _require(text, {"text"}, where)
    _known(text.get("item_id"), items, "item_id", where)
    if not 1 <= text.get("rating", 1) <= 5:  # noqa: PLR2004  # the scale has five steps
        raise ValueError(f"{where}: rating {text['rating']} is not within 1 to 5")
    if ("thread_id" in text) != (text.get("kind") in TURNS):
        raise ValueError(f"{where}: a thread_id belongs to the kinds {' and '.join(TURNS)}")


def _check_threads(sources: Sources) -> None:
    for thread, sides in _sides(sources).items():
        asked, answered = (sides[kind] for kind in TURNS)
        if any(len({user for user, _ in side}) > 1 for side in (asked, answered)):
            raise ValueError(f"voices: thread {thread}: more than one customer or agent")
        if len(asked) - len(answered) not in (0, 1):
            raise ValueError(f"voices: thread {thread}: customer and agent do not alternate")


def _check_requests(sources: Sources) -> None:
    users = {voice["user_id"] for voice in sources.voices}
    items = {item["item_id"] for item in sources.items}
    threads = set(_sides(sources))
    for number, request in enumerate(sources.requests, 1):
        where = _place(request, number)
        _allow(request, set(REQUESTS.names), where)
        _require(request, {"request_id", "user_id", "kind"}, where)
        _known(request["kind"], set(NEEDED), "kind", where)
        _require(request, NEEDED[request["kind"]], where)
        _known(request["user_id"], users, "user_id", where)
        _known(request.get("subject_id"), items, "subject_id", where)
        _known(request.get("voice_id"), users, "voice_id", where)
        _known(request.get("thread_id"), threads, "thread_id", where)
    _unique((request["request_id"], "requests.toml") for request in sources.requests)
    _unique((_key(request), _place(request)) for request in sources.requests)


def _place(request: Entry, number: int = 0) -> str:
    return f"requests.toml: request {request.get('request_id', number)}"


def _key(request: Entry) -> tuple[str, str, str]:
    subject = request.get("subject_id") or request["subject"]
    return request["user_id"], request["kind"], subject


def _nodes(sources: Sources) -> Iterator[tuple[Node, Entry]]:
    for voice in sources.voices:
        for number, text in enumerate(voice["texts"]):
            yield (voice["user_id"], number), text


def _sides(sources: Sources) -> dict[str, dict[str, list[Node]]]:
    """Group the turns of every thread by who speaks, in the order of each file."""
    threads: dict[str, dict[str, list[Node]]] = {}
    for node, text in _nodes(sources):
        if "thread_id" in text:
            sides = threads.setdefault(text["thread_id"], {kind: [] for kind in TURNS})
            sides[text["kind"]].append(node)
    return threads


def _turns(sides: Mapping[str, list[Node]]) -> list[Node]:
    asked, answered = (sides[kind] for kind in TURNS)
    pairs = zip(asked, [*answered, None], strict=False)
    return [node for pair in pairs for node in pair if node is not None]


def _share(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _dates(sources: Sources) -> dict[Node, datetime]:
    """Date every text: evenly over the year, later where an order asks for it."""
    before, answers = _orders(sources)
    counts = {voice["user_id"]: len(voice["texts"]) for voice in sources.voices}
    dates: dict[Node, datetime] = {}
    for node in _sorted(before):
        own = START if node in answers else _even(node, counts[node[0]])
        after = [dates[other] + _pause(node, other) for other in before[node]]
        dates[node] = _minute(max([own, *after]))
    return dates


def _orders(sources: Sources) -> tuple[dict[Node, list[Node]], set[Node]]:
    """Return what comes before each text, and the texts that answer another."""
    before: defaultdict[Node, list[Node]] = defaultdict(list)
    for (user, number), _ in _nodes(sources):
        before[user, number] += [(user, number - 1)] if number else []
    answers = set()
    for sides in _sides(sources).values():
        for first, second in pairwise(_turns(sides)):
            before[second].append(first)
            answers.add(second)
    return before, answers


def _sorted(before: Mapping[Node, list[Node]]) -> list[Node]:
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        files = sorted({f"voices/{user}.toml" for user, _ in error.args[1]})
        raise ValueError(f"{', '.join(files)}: the texts of threads are out of order") from error


def _even(node: Node, count: int) -> datetime:
    return START + (END - START) * ((node[1] + 0.2 + 0.6 * _share(*node)) / count)


def _pause(node: Node, other: Node) -> timedelta:
    least = timedelta(minutes=20)
    return least if node[0] == other[0] else least + timedelta(hours=18) * _share(*node, *other)


def _profiles(sources: Sources) -> Iterator[Entry]:
    for voice in sources.voices:
        if voice.get("profile", True):
            when = START + (END - START) * _share("profile", voice["user_id"])
            yield {"opt_out": False, **voice, "updated_at": _minute(when)}


def _interactions(sources: Sources) -> list[Entry]:
    dates = _dates(sources)
    rows = [_interaction(node[0], text, dates[node]) for node, text in _nodes(sources)]
    _unique((row["text_id"], f"voices/{row['user_id']}.toml") for row in rows)
    return sorted(rows, key=lambda row: _share(row["text_id"]))


def _interaction(user: str, text: Entry, when: datetime) -> Entry:
    digest = hashlib.sha256(f"{user}\0{text['text']}".encode()).hexdigest()
    return {"kind": "post", **text, "user_id": user, "text_id": digest[:16], "created_at": when}


if __name__ == "__main__":
    main()
