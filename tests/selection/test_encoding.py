"""Laws of rows: a batch that fails is tried in parts, and leaves nothing behind meanwhile."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from personalm.errors import EngineError
from personalm.selection.embedder import ScriptedEmbedder
from personalm.selection.encoding import embed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TEXTS = [f"text number {number}" for number in range(13)]


class Narrow:
    """Runs out of memory for more than a few texts, with tensors of its own still in use."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held: list[weakref.ref[NDArray[np.float32]]] = []
        self.num_held = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Take memory, then fail or encode like the scripted one."""
        self.num_held = max(self.num_held, sum(ref() is not None for ref in self.held))
        tensor = np.zeros(9, dtype=np.float32)
        self.held.append(weakref.ref(tensor))
        if len(texts) > self.most:
            raise torch.OutOfMemoryError
        return ScriptedEmbedder().encode(texts)


@pytest.mark.parametrize("most", [1, 3, 12])
def test_what_does_not_fit_the_memory_is_embedded_in_parts(most: int) -> None:
    """Every text has the row that it would have had, and no failed try holds memory."""
    narrow = Narrow(most)
    rows = embed(narrow, TEXTS)

    assert sorted(rows) == sorted(TEXTS)
    for text, row in rows.items():
        assert np.array_equal(row, ScriptedEmbedder().encode([text])[0])
    assert len(narrow.held) > len(TEXTS) // most
    assert narrow.num_held == 0


def test_an_embedder_without_memory_for_one_text_stops_the_run() -> None:
    """It would be taken for texts that nobody can embed."""
    with pytest.raises(EngineError, match="OutOfMemoryError"):
        embed(Narrow(0), TEXTS)
