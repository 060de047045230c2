"""Laws of the choice: deterministic, one user at a time, and never by a broken number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalm.errors import EngineError, TemplateError
from personalm.records import Interaction, Profile, Sample
from personalm.selection.embedder import Embedder, ScriptedEmbedder
from personalm.selection.selector import Selector, Trial, Verdict
from personalm.selection.styles import MAX_TEXTS
from personalm.settings import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from numpy.typing import NDArray

    from personalm.kinds import Kind
    from tests.selection.conftest import MakeTrial

BAKER = ("rye bread again today", "the starter is bubbling", "baked two rye loaves")
CODER = ("kernel panic on boot", "the driver crashed again", "recompiled the kernel twice")
POISON = "poisoned words here"


class CountingEmbedder:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode like the scripted one."""
        self.calls.append(tuple(texts))
        return ScriptedEmbedder().encode(texts)


class FailingEmbedder:
    """Fails for every batch with a poisoned text in it."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raise, or encode like the scripted one."""
        if any(POISON in text for text in texts):
            raise RuntimeError("device-side assert")
        return ScriptedEmbedder().encode(texts)


class DeadEmbedder:
    """Fails for everything."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Raise."""
        raise RuntimeError(f"no device for {len(texts)} texts")


class BrokenEmbedder:
    """Returns NaN for every poisoned text."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode like the scripted one, but for the poisoned."""
        rows = ScriptedEmbedder().encode(texts)
        rows[[POISON in text for text in texts]] = np.nan
        return rows


@pytest.fixture
def make_selector(kinds: dict[str, Kind]) -> Callable[..., Selector]:
    """Return a maker of selectors."""

    def make(embedder: Embedder | None = None) -> Selector:
        chosen = embedder or ScriptedEmbedder()
        return Selector(embedder=chosen, kinds=kinds, selection=Selection())

    return make


@pytest.fixture
def selector(make_selector: Callable[..., Selector]) -> Selector:
    """Return a selector with the scripted embedder."""
    return make_selector()


def judge(selector: Selector, trial: Trial) -> Verdict:
    """Judge one trial alone."""
    return selector.judge([trial])[0]


def test_the_candidate_most_like_the_user_is_chosen(
    selector: Selector, make_trial: MakeTrial
) -> None:
    """The same candidates, another history, another choice."""
    texts = ["the kernel panicked on boot", "two loaves of rye in the oven"]
    for own, chosen in ((BAKER, 1), (CODER, 0)):
        verdict = judge(selector, make_trial(texts, own=own))
        assert verdict.chosen is not None
        assert verdict.chosen.number == chosen
        assert verdict.chosen is verdict.candidates[chosen]
        assert all(c.style_score is None for c in verdict.candidates)
        assert all(c.style_cosine is not None for c in verdict.candidates)


@pytest.mark.parametrize(("shown", "dropped_by"), [("rye bread.", "off_subject"), (None, None)])
def test_a_text_is_to_be_about_what_the_prompt_shows(
    kinds: dict[str, Kind], make_trial: MakeTrial, shown: str | None, dropped_by: str | None
) -> None:
    """What was cut off a long passage was never read: a text on it is made up."""
    front = kinds["post"].front.model_copy(update={"gates": ("off_subject",)})
    selector = Selector(
        embedder=ScriptedEmbedder(),
        kinds={"post": replace(kinds["post"], front=front)},
        selection=Selection(),
    )
    trial = make_trial(["beetles eat dung"], subject="rye bread. beetles and dung.")
    draw = trial.draws[0]
    told = replace(draw, prompt=replace(draw.prompt, subject=shown))

    (candidate,) = judge(selector, replace(trial, draws=(told,))).candidates

    assert candidate.dropped_by == dropped_by


def test_candidates_are_numbered_over_all_draws(selector: Selector, make_trial: MakeTrial) -> None:
    """A second draw goes on where the first one ended, and competes with it."""
    trial = make_trial(
        ["tea", "one more cup"], [], ["bread and butter", "rye bread today"], own=BAKER
    )
    verdict = judge(selector, trial)
    assert [c.number for c in verdict.candidates] == [0, 1, 2, 3]
    assert [c.dropped_by for c in verdict.candidates] == ["empty", None, None, None]
    assert verdict.chosen is verdict.candidates[3]


def test_dropped_candidates_are_kept_with_the_first_gate_that_refused(
    selector: Selector, make_trial: MakeTrial
) -> None:
    """The summary counts them, the commonest first."""
    texts = ["Topic: tea", "...", "Post: hello you", "the starter is bubbling", "milk and the"]
    verdict = judge(selector, make_trial(texts, own=BAKER))
    dropped = [c.dropped_by for c in verdict.candidates]
    assert dropped == ["echo", "empty", "echo", "copy", "unfinished"]
    assert verdict.chosen is None
    assert verdict.summary == "echo 2, copy 1, empty 1, unfinished 1"
    assert all(c.style_cosine is None for c in verdict.candidates)


def test_the_text_is_trimmed(selector: Selector, make_trial: MakeTrial) -> None:
    """What is stored is what passed the gates."""
    trial = make_trial([' "Rye is rising. It is nearly '], own=BAKER, finish="length")
    verdict = judge(selector, trial)
    assert verdict.chosen is not None
    assert verdict.chosen.text == "Rye is rising."


def test_identical_candidates_compete_once(selector: Selector, make_trial: MakeTrial) -> None:
    """The first is kept, the others say what they are."""
    verdict = judge(selector, make_trial(["more tea please", " more tea please "], own=BAKER))
    assert [c.dropped_by for c in verdict.candidates] == [None, "duplicate"]
    assert verdict.chosen is verdict.candidates[0]


def test_a_loop_of_the_users_own_words_loses_to_a_text_that_is_less_alike(
    selector: Selector, make_trial: MakeTrial
) -> None:
    """What a model falls into when it is greedy; without the gate it would be chosen."""
    loop = "rye bread again, rye bread again, rye bread again, rye bread again."
    other = "A cup of tea in the garden."
    verdict = judge(selector, make_trial([loop, other], own=BAKER))
    lenient = judge(selector, make_trial([loop, other], own=BAKER, kind="reply"))

    assert [c.dropped_by for c in verdict.candidates] == ["loop", None]
    assert verdict.chosen is verdict.candidates[1]
    assert lenient.chosen is lenient.candidates[0]


def test_a_failed_sample_does_not_compete(selector: Selector, make_trial: MakeTrial) -> None:
    """An error of the engine is no text."""
    failed = Sample(text="rye bread today", num_tokens=3, finish="error")
    verdict = judge(selector, make_trial([failed, "more tea please"], own=BAKER))
    assert [c.dropped_by for c in verdict.candidates] == ["failed", None]


@pytest.mark.parametrize("own", [(), ("rye bread today",), ("😂😂", "🎉", "👍👍")])
def test_without_a_style_the_score_abstains_and_a_choice_is_made(
    own: tuple[str, ...], selector: Selector, make_trial: MakeTrial
) -> None:
    """No history, one text, emoji only: the rest of the rules decide."""
    verdict = judge(selector, make_trial(["some tea for me", "and some for you"], own=own))
    assert [c.style_cosine for c in verdict.candidates] == [None, None]
    assert verdict.chosen is not None
    assert verdict.summary == "none dropped"


def test_a_user_of_one_word_is_served(selector: Selector, make_trial: MakeTrial) -> None:
    """A history of a single word, over and over, is a style of its own."""
    verdict = judge(selector, make_trial(["yes please", "never ever again"], own=("yes", "yes")))
    assert verdict.chosen is verdict.candidates[0]
    assert verdict.chosen.style_cosine is not None


def test_without_scores_the_usual_length_decides_then_the_lowest_number(
    selector: Selector, make_trial: MakeTrial
) -> None:
    """A terse user gets the short one."""
    texts = ["a cup of tea in the garden", "tea now", "tea yes"]
    assert judge(selector, make_trial(texts, own=("👍👍",))).chosen.number == 1  # type: ignore[union-attr]  # all pass
    long = ("🎉" * 26,)
    assert judge(selector, make_trial(texts, own=long)).chosen.number == 0  # type: ignore[union-attr]  # the same
    assert judge(selector, make_trial(texts[1:])).chosen.number == 0  # type: ignore[union-attr]  # the same


def test_all_texts_of_a_call_are_embedded_together_and_voices_once(
    make_selector: Callable[..., Selector], make_trial: MakeTrial
) -> None:
    """Two users, two calls of judge: one encode call each, the profiles only in the first."""
    embedder = CountingEmbedder()
    selector = make_selector(embedder)
    trials = [
        make_trial(["more tea please", "no"], user="ada", own=BAKER),
        make_trial(["more tea please", "fix it now"], user="bob", own=CODER),
    ]
    first = selector.judge(trials)
    assert selector.judge(trials) == first
    assert [set(call) for call in embedder.calls] == [
        {"more tea please", "fix it now", *BAKER, *CODER},
        {"more tea please", "fix it now"},
    ]


def test_nothing_is_loaded_where_nothing_passes(
    kinds: dict[str, Kind], make_trial: MakeTrial
) -> None:
    """The embedder is made when a text needs it, and once."""
    made: list[Embedder] = []

    def make() -> Embedder:
        made.append(ScriptedEmbedder())
        return made[-1]

    selector = Selector(embedder=make, kinds=kinds, selection=Selection())
    assert selector.judge([]) == ()
    judge(selector, make_trial(["..."], own=BAKER))
    assert not made
    judge(selector, make_trial(["more tea please"], own=BAKER))
    judge(selector, make_trial(["more bread please"], own=BAKER))
    assert len(made) == 1


def test_a_class_of_embedders_will_do(kinds: dict[str, Kind], make_trial: MakeTrial) -> None:
    """A class is a way to make one, though it has the method too."""
    selector = Selector(embedder=ScriptedEmbedder, kinds=kinds, selection=Selection())
    verdict = judge(selector, make_trial(["more tea please"], own=BAKER))
    assert verdict.candidates[0].style_cosine is not None


@pytest.mark.parametrize("embedder", [FailingEmbedder(), BrokenEmbedder()])
def test_a_poisoned_user_changes_nobody_else(
    embedder: Embedder, make_selector: Callable[..., Selector], make_trial: MakeTrial
) -> None:
    """A text that cannot be embedded costs its own score, wherever it stands."""
    good = [
        make_trial(["more rye please", "boot the kernel"], user="ada", own=BAKER),
        make_trial(["more rye please", "boot the kernel"], user="bob", own=CODER),
    ]
    bad = [
        make_trial([POISON, "more rye please"], user="eve", own=BAKER),
        make_trial(["more rye please"], user="mal", own=(POISON, POISON + "!")),
    ]
    alone = [judge(make_selector(embedder), trial) for trial in good]
    together = make_selector(embedder).judge([bad[0], good[0], bad[1], good[1]])
    assert [together[1], together[3]] == alone
    assert [c.style_cosine is None for c in together[0].candidates] == [True, False]
    assert together[0].chosen is together[0].candidates[1]
    assert together[2].chosen is not None
    assert together[2].chosen.style_cosine is None


WORDS = st.lists(
    st.sampled_from(["tea", "rye", "bread", "kernel", "boot", "the", "of", "😂", "no."]), max_size=8
)
TEXTS = st.lists(WORDS.map(" ".join), max_size=4)


@given(
    cases=st.lists(st.tuples(TEXTS, TEXTS), max_size=4),
    random=st.randoms(use_true_random=False),
)
def test_verdicts_do_not_depend_on_the_order_of_the_trials(
    kinds: dict[str, Kind],
    make_trial: MakeTrial,
    cases: list[tuple[list[str], list[str]]],
    random: Random,
) -> None:
    """Alone, together, shuffled and again: the same verdicts."""
    trials = [
        make_trial(texts, user=f"user {number}", own=own)
        for number, (texts, own) in enumerate(cases)
    ]
    selector = Selector(embedder=ScriptedEmbedder(), kinds=kinds, selection=Selection())
    verdicts = selector.judge(trials)
    shuffled = list(enumerate(trials))
    random.shuffle(shuffled)
    fresh = Selector(embedder=ScriptedEmbedder(), kinds=kinds, selection=Selection())
    for (number, _), verdict in zip(
        shuffled, fresh.judge([trial for _, trial in shuffled]), strict=True
    ):
        assert verdict == verdicts[number]
    for trial, verdict in zip(trials, verdicts, strict=True):
        assert judge(selector, trial) == verdict
        _check(trial, verdict)


def _check(trial: Trial, verdict: Verdict) -> None:
    """Check what every verdict promises."""
    assert verdict.key == trial.task.request.key
    assert len(verdict.candidates) == sum(len(draw.samples) for draw in trial.draws)
    passed = [c for c in verdict.candidates if c.dropped_by is None]
    assert (verdict.chosen is None) == (not passed)
    assert verdict.chosen is None or verdict.chosen in passed
    best = max((c.style_cosine for c in passed if c.style_cosine is not None), default=None)
    assert verdict.chosen is None or verdict.chosen.style_cosine == best


def test_the_style_is_that_of_the_voice(selector: Selector, make_trial: MakeTrial) -> None:
    """An agent answers for the brand: its texts of the named kinds set the style."""
    voice = Profile(
        user_id="brand",
        interactions=(
            *(Interaction(text=text, kind="agent_reply") for text in BAKER),
            *(Interaction(text=text, kind="internal") for text in CODER),
        ),
    )
    texts = ["the kernel panicked on boot", "two loaves of rye in the oven"]
    reply = make_trial(texts, own=CODER, kind="reply", voice=voice)
    assert judge(selector, reply).chosen.number == 1  # type: ignore[union-attr]  # all pass
    only_internal = replace(voice, interactions=voice.interactions[len(BAKER) :])
    other = make_trial(texts, own=BAKER, kind="reply", voice=only_internal)
    assert judge(selector, other).chosen.number == 0  # type: ignore[union-attr]  # the same


def test_neither_the_voice_nor_the_user_is_copied(
    selector: Selector, make_trial: MakeTrial
) -> None:
    """Both histories are searched."""
    voice = Profile(user_id="brand", interactions=(Interaction(text="we bake rye every morning"),))
    texts = ["we bake rye every morning", "the driver crashed again", "a new text"]
    verdict = judge(selector, make_trial(texts, own=CODER, voice=voice))
    assert [c.dropped_by for c in verdict.candidates] == ["copy", "copy", None]


def test_only_the_newest_texts_are_embedded(
    make_selector: Callable[..., Selector], make_trial: MakeTrial
) -> None:
    """A user of many years costs no more than one of many days."""
    own = [f"text number {number}" for number in range(MAX_TEXTS + 50)]
    embedder = CountingEmbedder()
    judge(make_selector(embedder), make_trial(["more tea please"], own=own))
    assert set(embedder.calls[0]) == {"more tea please", *own[50:]}


def test_a_dead_embedder_stops_the_run(
    make_selector: Callable[..., Selector], make_trial: MakeTrial
) -> None:
    """A run without any score would choose by length alone and look like a good one."""
    trial = make_trial(["more tea please"], own=BAKER)
    with pytest.raises(EngineError, match="RuntimeError"):
        judge(make_selector(DeadEmbedder()), trial)
    poisoned = make_trial([POISON], own=(POISON, POISON + "!"))
    assert judge(make_selector(FailingEmbedder()), poisoned).chosen is not None


def test_an_unknown_gate_is_refused_before_anything_is_judged(kinds: dict[str, Kind]) -> None:
    """A template with a gate that does not exist stops the run at its start."""
    front = kinds["post"].front.model_copy(update={"gates": ("charm",)})
    wrong = {"post": replace(kinds["post"], front=front)}
    with pytest.raises(TemplateError, match="charm"):
        Selector(embedder=ScriptedEmbedder(), kinds=wrong, selection=Selection())


def test_the_likelier_share_of_what_passes_competes(
    kinds: Mapping[str, Kind], make_trial: MakeTrial
) -> None:
    """The others are dropped as unlikely; one always stays, and gated ones do not count."""
    front = kinds["post"].front.model_copy(update={"likeliest_share": 0.5})
    halved = {"post": replace(kinds["post"], front=front)}
    samples = [
        Sample(text=text, num_tokens=4, finish="stop", mean_logprob=logprob)
        for text, logprob in (
            ("tea is good today", -3.0),
            ("tea is bad today", -1.0),
            ("  ", -0.1),
            ("tea was cold today", -2.0),
        )
    ]
    selector = Selector(embedder=ScriptedEmbedder(), kinds=halved, selection=Selection())

    (verdict,) = selector.judge([make_trial(samples)])
    (single,) = selector.judge([make_trial(samples[:1])])

    assert [c.dropped_by for c in verdict.candidates] == ["unlikely", None, "empty", None]
    assert single.chosen is not None
