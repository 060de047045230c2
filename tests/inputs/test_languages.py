"""Laws of telling a language."""

from __future__ import annotations

import subprocess
import sys

import pytest

from personalm.inputs.languages import detect_language

_ENGLISH = (
    "I went down to the harbour before work and the light was better than it has any right to be."
)
_GERMAN = (
    "Ich war heute Morgen vor der Arbeit am Hafen, und das Licht war schöner, als es sein dürfte."
)
_JAPANESE = (
    "今朝は仕事の前に港まで歩いて行きました。光がとてもきれいで、しばらく立ち止まって海を見ていました。"
    * 2
)


@pytest.mark.parametrize(
    ("text", "language"), [(_ENGLISH, "en"), (_GERMAN, "de"), (_JAPANESE, "ja")]
)
def test_a_few_sentences_tell_the_language(text: str, language: str) -> None:
    """Whatever the default is."""
    assert detect_language([text], default="xx") == language


def test_too_little_text_abstains() -> None:
    """Under sixty characters the default stands, however clear they look."""
    assert detect_language([], default="en") == "en"
    assert detect_language([_GERMAN[:59]], default="en") == "en"
    assert detect_language(["lol", ":)", "ok"], default="en") == "en"


def test_texts_count_together() -> None:
    """A dozen short messages tell what one cannot."""
    words = _GERMAN.split()
    assert (
        detect_language([" ".join(words[i : i + 3]) for i in range(0, 18, 3)], default="en") == "de"
    )


@pytest.mark.parametrize(
    "text", ["12345 67890 " * 20, "?!… --- ### " * 20, "x" * 400, "0x7f3b 4f2d1c9e " * 20]
)
def test_what_is_no_language_abstains(text: str) -> None:
    """Only a code of two letters, told with some certainty, comes out."""
    assert detect_language([text], default="en") == "en"


def test_long_histories_cost_no_more_than_short_ones() -> None:
    """What follows the first few thousand characters changes nothing."""
    assert detect_language([_GERMAN] * 60 + [_ENGLISH] * 100_000, default="xx") == "de"


def test_the_model_is_loaded_when_it_is_asked() -> None:
    """Importing the module loads no language model."""
    code = "import sys, personalm.inputs.languages; sys.exit('py3langid' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
