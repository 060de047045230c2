"""Voices: what is known of how somebody writes, learnt from the own texts and kept for later.

What is learnt depends on the texts, the language, the pool of impostors and the settings alone.
Notes spare the work of another night: rows of texts that were embedded before, and what was
learnt from them. What cannot be read of them is worked out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import numpy as np

from personalm.discreet import Discreet
from personalm.hashing import digest
from personalm.selection.calibration import Calibration
from personalm.selection.embedder import Embedder
from personalm.selection.encoding import embed, is_sound, round_row, stack, with_shape
from personalm.selection.lengths import measure_length
from personalm.selection.scorers import scorer_named
from personalm.selection.styles import StyleCache, StyleReference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from personalm.selection.impostors import Impostors
    from personalm.settings import Selection

    Rows = Mapping[str, NDArray[np.float32]]

_VERSION = 1
"""Of what is learnt; another one learns anew."""

_SEAL_BYTES = 8


class Notes(Protocol):
    """Bytes that were kept about people, by names that nobody else gives."""

    def of(self, owner: str) -> Mapping[str, bytes]:
        """Return what was kept about somebody."""

    def keep(self, owner: str, entries: Mapping[str, bytes]) -> None:
        """Keep this about somebody, and nothing of what an earlier run kept."""


class NoNotes:
    """Keeps nothing."""

    def of(self, owner: str) -> Mapping[str, bytes]:
        """Return nothing."""
        del owner
        return {}

    def keep(self, owner: str, entries: Mapping[str, bytes]) -> None:
        """Keep nothing."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Voice(Discreet):
    """Whose style is meant: the digest of the user's id, the language, and the texts to learn from.

    `name` is equal exactly where all of it is.
    """

    owner: str
    language: str
    texts: tuple[str, ...]

    @cached_property
    def name(self) -> str:
        """Digest of the voice."""
        return digest([self.owner, self.language, self.texts])


class Voices:
    """Learns voices, and scores texts by them."""

    def __init__(
        self,
        *,
        embedder: Embedder | Callable[[], Embedder],
        selection: Selection,
        impostors: Impostors | None = None,
        embedder_name: str = "",
    ) -> None:
        """Take what is the same for all voices; `embedder_name` tells its rows from another's."""
        self.notes: Notes = NoNotes()
        self._embedder = embedder
        self._embedder_name = embedder_name
        self._selection = selection
        self._impostors = impostors
        self._scorer = scorer_named(selection.scorer)
        self._styles = StyleCache()
        self._learnt_with = digest(
            [
                _VERSION,
                embedder_name,
                selection.model_dump(),
                impostors.digest if impostors is not None else None,
            ]
        )

    def learn(
        self, voices: Iterable[Voice], texts: Iterable[str]
    ) -> tuple[dict[str, StyleReference], Rows]:
        """Return the style of each voice by its name, and the embeddings of further texts.

        All that is not known yet is embedded in one call. A text that cannot be embedded has no
        row. Raises EngineError where the embedder fails for every text.
        """
        styles: dict[str, StyleReference] = {}
        new: dict[str, Voice] = {}
        for voice in voices:
            found = self._styles.get(voice.name) or self._recall(voice)
            if found is None:
                new[voice.name] = voice
            else:
                styles[voice.name] = found
        kept = {name: self._recall_rows(voice) for name, voice in new.items()}
        wanted = {
            text
            for name, voice in new.items()
            for text in voice.texts
            if self._is_read(voice) and text not in kept[name]
        }
        wanted.update(texts)
        rows = embed(self._open(), wanted) if wanted else {}
        for name, voice in new.items():
            styles[name] = self._learn(voice, {**rows, **kept[name]})
        for name, style in styles.items():
            self._styles.put(name, style)
        return styles, rows

    def score(
        self, style: StyleReference, text: str, row: NDArray[np.float32] | None
    ) -> tuple[float | None, float | None]:
        """Return cosine and z of a text; `row` is its embedding, if it has one."""
        if row is None:
            return None, None
        cosine = style.style_cosine(row)
        if style.calibration is None or not is_sound(row):
            return cosine, None
        whole = with_shape([text], row[None, :])[0]
        z = style.calibration.style_score(whole, measure_length(text), self._selection)
        return cosine, z

    def _learn(self, voice: Voice, rows: Rows) -> StyleReference:
        """Learn a voice from the rows of its texts, and note it."""
        rounded = {text: round_row(rows[text]) for text in voice.texts if text in rows}
        known = [rounded[text] for text in voice.texts if text in rounded]
        style = StyleReference.of(
            voice.texts,
            np.stack(known) if known else np.zeros((0, 1), dtype=np.float32),
            min_texts=self._selection.min_style_texts,
            calibration=self._calibrate(voice, rounded),
        )
        entries = {
            self._name_row(text): _seal(row.astype("<f2").tobytes())
            for text, row in rounded.items()
            if is_sound(row) and row.size
        }
        if entries:
            self.notes.keep(
                voice.owner, {**entries, self._name_style(voice): _seal(style.to_bytes())}
            )
        return style

    def _calibrate(self, voice: Voice, rows: Rows) -> Calibration | None:
        if self._impostors is None:
            return None
        texts, embeddings = stack(rows, tuple(dict.fromkeys(voice.texts)))
        return Calibration.of(
            with_shape(texts, embeddings),
            [measure_length(text) for text in texts],
            self._impostors.strangers_to(voice.owner, voice.language),
            scorer=self._scorer,
            selection=self._selection,
        )

    def _recall(self, voice: Voice) -> StyleReference | None:
        kept = _unseal(self.notes.of(voice.owner).get(self._name_style(voice)))
        return None if kept is None else StyleReference.from_bytes(kept)

    def _recall_rows(self, voice: Voice) -> dict[str, NDArray[np.float32]]:
        notes = self.notes.of(voice.owner)
        if not notes:
            return {}
        kept = {text: _unseal(notes.get(self._name_row(text))) for text in voice.texts}
        return {
            text: np.frombuffer(row, "<f2").astype(np.float32)
            for text, row in kept.items()
            if row is not None
        }

    def _is_read(self, voice: Voice) -> bool:
        """Tell whether there are texts enough to learn anything from."""
        return len(voice.texts) >= self._selection.min_style_texts

    def _name_row(self, text: str) -> str:
        return digest([_VERSION, self._embedder_name, text])

    def _name_style(self, voice: Voice) -> str:
        return digest([self._learnt_with, voice.name])

    def _open(self) -> Embedder:
        """Return the embedder, making it first where a way to make it was given."""
        given = self._embedder
        # A class of embedders has an `encode` too.
        if isinstance(given, type) or not isinstance(given, Embedder):
            given = self._embedder = given()
        return given


def _seal(data: bytes) -> bytes:
    """Return bytes that can be told from damaged ones."""
    return sha256(data).digest()[:_SEAL_BYTES] + data


def _unseal(kept: bytes | None) -> bytes | None:
    """Return what was sealed, `None` where it is damaged or was never kept."""
    data = (kept or b"")[_SEAL_BYTES:]
    return data if kept is not None and _seal(data) == kept else None
