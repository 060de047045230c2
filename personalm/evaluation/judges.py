"""Judges: scorers that have no say in what is chosen, so that their verdict is evidence.

Best of eight by one scorer looks personal to that scorer even where all eight are a stranger's.
Cosine Delta and character n-grams hardly agree with sentence embeddings on single texts, and
nothing but evaluation may import them.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from personalm.evaluation.scorers import MIN_SPREAD
from personalm.selection.words import is_unspaced, split_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.evaluation.scorers import Pool, Rows

NUM_FREQUENT = 150
_MAX_FEATURES = 20_000


class CosineDelta:
    """How often somebody uses each of the 150 most frequent words, against what is usual.

    Frequencies are standardised word by word over the background, and compared by the cosine:
    Smith and Aldridge 2011; Evert et al. 2017, who found it the best of the Deltas.
    """

    name = "cosine_delta"

    def __init__(self, num_words: int = NUM_FREQUENT) -> None:
        self._num_words = num_words
        self._words: dict[str, int] = {}
        self._mean = np.zeros(1)
        self._spread = np.ones(1)

    def fit(self, background: Sequence[Pool]) -> None:
        """Learn the frequent words, and how often people use them."""
        counts = Counter(word for text in chain(*background) for word in split_words(text))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))[: self._num_words]
        self._words = {word: number for number, word in enumerate(ranked)}
        found = self._frequencies(background)
        self._mean = found.mean(axis=0)
        spread = found.std(axis=0)
        self._spread = np.where(spread > MIN_SPREAD, spread, 1.0)

    def rows_of(self, pools: Sequence[Pool]) -> Rows:
        """Return the standardised frequencies of each pool."""
        return normalize((self._frequencies(pools) - self._mean) / self._spread)

    def _frequencies(self, pools: Sequence[Pool]) -> np.ndarray:
        # One column at the least: where nobody writes a word, all are alike.
        found = np.zeros((len(pools), max(len(self._words), 1)))
        for row, pool in enumerate(pools):
            words = [word for text in pool for word in split_words(text)]
            for word in words:
                if word in self._words:
                    found[row, self._words[word]] += 1.0
            found[row] /= max(len(words), 1)
        return found


class CharacterGrams:
    """Three characters in a row, two in scripts without spaces; case and punctuation count."""

    name = "character_grams"

    def __init__(self) -> None:
        self._vectorizer = TfidfVectorizer()

    def fit(self, background: Sequence[Pool]) -> None:
        """Learn how rare each n-gram is."""
        pages = ["\n".join(pool) for pool in background]
        size = 2 if is_unspaced(split_words("\n".join(pages)[:100_000])) else 3
        self._vectorizer = TfidfVectorizer(
            analyzer="char",
            ngram_range=(size, size),
            lowercase=False,
            sublinear_tf=True,
            min_df=2 if len(pages) > 2 else 1,  # noqa: PLR2004 - an n-gram of one person says nothing
            max_features=_MAX_FEATURES,
            dtype=np.float64,
        )
        try:
            self._vectorizer.fit(pages)
        except ValueError:  # no two of them share an n-gram: then each counts
            self._vectorizer.set_params(min_df=1).fit(pages)

    def rows_of(self, pools: Sequence[Pool]) -> Rows:
        """Return the weighted n-grams of each pool."""
        return self._vectorizer.transform(["\n".join(pool) for pool in pools])
