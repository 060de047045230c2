"""Laws of estimates, overlaps, references and the tables of scores."""

from __future__ import annotations

import numpy as np
import pytest

from personalm.evaluation.conditions import Condition, pick_nearest, pick_random
from personalm.evaluation.estimates import estimate, ratio
from personalm.evaluation.outputs import Output
from personalm.evaluation.overlaps import Overlaps, find_leaked_runs
from personalm.evaluation.people import Person
from personalm.evaluation.pools import ABSTAINED, build_pools, match_lengths
from personalm.evaluation.references import meteor, rouge_1, rouge_l
from personalm.evaluation.subjects import find_topics
from personalm.evaluation.verdicts import Verdicts, summarise
from personalm.evaluation.verification import columns_auc, hits
from personalm.records import Interaction, Profile

NAN = float("nan")


def test_an_interval_is_that_of_a_mean_over_people() -> None:
    """Near the textbook's, the same each time; missing values do not count."""
    values = np.random.default_rng(3).normal(1.0, 2.0, 400)

    found = estimate([*values, NAN, None])

    assert found is not None
    assert found == estimate([*values, NAN, None])
    assert found.n == 400
    assert found.mean == pytest.approx(values.mean(), abs=1e-3)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.05)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05)


def test_one_person_has_no_interval_and_nobody_no_estimate() -> None:
    """Nothing is made up."""
    assert estimate([NAN, None]) is None
    alone = estimate([2.0, NAN])
    assert alone is not None
    assert (alone.mean, alone.low, alone.high, alone.n) == (2.0, None, None, 1)


def test_a_share_of_next_to_nothing_abstains() -> None:
    """Below a ceiling of 0.3 the quotient says nothing."""
    lift = [0.2, 0.3, 0.1, 0.2]

    half = ratio(lift, [0.4, 0.6, 0.2, 0.4])

    assert ratio(lift, [0.2, 0.3, 0.2, 0.2]) is None
    assert half is not None
    assert half.mean == half.low == half.high == 0.5


def make_verdicts(own: np.ndarray, other: np.ndarray, real: np.ndarray) -> Verdicts:
    """Return verdicts of one judge over matrices of z."""
    people = np.arange(len(own))
    outputs = {condition: {"judges": other} for condition in Condition}
    outputs[Condition.OWN] = {"judges": own}
    return Verdicts(
        outputs=outputs,
        real=[{"judges": real}],
        random=np.roll(people, 1),
        nearest=np.roll(people, 2),
        lengths=np.full(len(own), 50),
    )


def test_the_lift_is_of_one_person_between_two_profiles() -> None:
    """Own minus another's, each against the same history; a judge's bias falls out."""
    dice = np.random.default_rng(4)
    noise = dice.normal(0, 0.1, (40, 40))
    bias = dice.normal(0, 5, 40)[None, :]  # some histories are near to everything
    found = summarise(
        make_verdicts(noise + bias + 0.7 * np.eye(40), noise.T + bias, noise + 2 * np.eye(40))
    )
    lift = found["swap_lift"]["random"]  # type: ignore[index]  # a mapping of figures

    assert lift.mean == pytest.approx(0.7, abs=0.1)
    assert lift.low > 0.6


def test_texts_that_know_nobody_are_attributed_by_chance() -> None:
    """And those that know their writer always to him."""
    noise = np.random.default_rng(0).normal(0, 1, (200, 200))
    owners = np.arange(200)

    assert hits(noise, owners, 1).mean() == pytest.approx(1 / 200, abs=0.02)
    assert columns_auc(noise, owners).mean() == pytest.approx(0.5, abs=0.05)
    assert hits(noise + 20 * np.eye(200), owners, 1).mean() == 1.0
    assert columns_auc(noise + 20 * np.eye(200), owners).mean() == 1.0
    assert hits(noise, owners, 200).mean() == 1.0


def test_who_is_not_scored_does_not_count() -> None:
    """Neither as a hit nor as a miss."""
    z = np.eye(3)
    z[1] = NAN

    assert hits(z, np.arange(3), 1).tolist()[::2] == [1.0, 1.0]
    assert np.isnan(hits(z, np.arange(3), 1)[1])
    assert np.isnan(columns_auc(z, np.arange(3))[1])


def test_a_copy_is_measured_in_words_and_in_shares() -> None:
    """The longest run, and how many of the runs of five stand in the history."""
    history = ("the bus never came so i walked home", "slugs ate the lettuces again")
    overlaps = Overlaps()

    copied = overlaps.measure("Well, the bus never came, so I walked!", history)

    assert copied.longest_run == 7
    assert copied.gram_share == pytest.approx(3 / 4)
    assert overlaps.measure(history[0], history).gram_share == 1.0
    assert overlaps.measure("lettuces walked", history).longest_run == 1
    assert overlaps.measure("nothing here", history).longest_run == 0
    assert overlaps.measure("", history).gram_share == 0.0


def make_output(text: str | None, prompt: str = "") -> Output:
    """Return an output of somebody called `me`."""
    return Output(
        user_id="me",
        condition=Condition.OWN,
        kind="post",
        subject_id="s",
        subject="a subject",
        text=text,
        prompt=prompt,
        passed=(),
    )


def test_a_leak_is_eight_words_of_one_other_user() -> None:
    """Not of the prompt, an item, the user, or of many."""
    flower = "the key lies under the third blue flower pot"
    said = f"I know that {flower} over there."

    def profile(name: str, text: str = flower) -> Profile:
        return Profile(user_id=name, interactions=(Interaction(text=text),))

    assert find_leaked_runs([make_output(said)], [profile("you")]).num_grams == 2
    assert find_leaked_runs([make_output(said)], [profile("you"), profile("her")]).num_outputs == 1
    assert not find_leaked_runs([make_output(said)], map(profile, "abc")).num_grams
    assert not find_leaked_runs([make_output(said)], [profile("me"), profile("you")]).num_grams
    assert not find_leaked_runs([make_output(said, prompt=flower)], [profile("you")]).num_grams
    assert not find_leaked_runs([make_output(said)], [profile("you")], catalogue=[flower]).num_grams
    assert not find_leaked_runs([make_output(said)], [profile("you", flower[:30])]).num_grams
    assert not find_leaked_runs([make_output(None)], [profile("you")]).num_grams


def test_overlap_with_a_reference_is_that_of_the_papers() -> None:
    """Hand-counted values."""
    text, reference = "the cat sat on the mat", "the cat was on the mat"

    assert rouge_1(text, reference) == pytest.approx(10 / 12)
    assert rouge_l(text, reference) == pytest.approx(10 / 12)
    assert rouge_1("mat the on", "on the mat") == 1.0
    assert rouge_l("mat the on", "on the mat") == pytest.approx(1 / 3)
    assert meteor(text, reference) == pytest.approx((5 / 6) * (1 - 0.5 * (2 / 5) ** 3))
    assert meteor(text, text) == pytest.approx(1 - 0.5 / 6**3)
    for measure in (rouge_1, rouge_l, meteor):
        assert measure("a b", "c d") == measure("", "") == 0.0


def make_person(*held_out: str) -> Person:
    """Return somebody with these held-out texts."""
    return Person(profile=Profile(user_id="me"), held_out=held_out)


def test_all_pools_of_a_person_have_one_length() -> None:
    """That of the shortest of them, real texts included."""
    words = "word " * 40
    outputs = {
        Condition.OWN: [words, words],
        Condition.RANDOM: [words, words[: 5 * 15]],
        Condition.NONE: [words, words],
    }

    pools = build_pools(make_person(words, words, "other " * 30), outputs, num_asked=2)

    assert pools.length == 50
    for pool in (*pools.outputs.values(), *pools.real):
        assert sum(len(text.split()) for text in pool) == 50


def test_too_few_texts_or_words_abstain() -> None:
    """A condition that is missing most of its texts costs the person, not the others."""
    words = "word " * 40
    person = make_person(words, words, words, words, words)
    whole = [words] * 5

    def build(other: list[str]) -> object:
        outputs = {Condition.OWN: whole, Condition.NONE: other}
        return build_pools(person, outputs, num_asked=5)

    assert build(whole[:3]) is not ABSTAINED
    assert build(whole[:2]) is ABSTAINED
    assert build(["word", "two words", "word"]) is ABSTAINED


def test_real_texts_of_like_length_are_chosen() -> None:
    """The nearest first, none of them twice."""
    texts = ["one", "one two three", "1 2 3 4 5 6", "a b c d e f g", "x y z"]

    pools = match_lengths(texts, [6.0, 3.0])

    assert pools == [("one two three", "1 2 3 4 5 6"), ("a b c d e f g", "x y z")]


def test_nobody_stands_in_for_himself() -> None:
    """Neither the random other nor the nearest one; the random one follows from the id alone."""
    people = [Person(profile=Profile(user_id=f"u{n}"), held_out=()) for n in range(9)]
    rows = np.eye(9)
    rows[3] = rows[7]

    random, nearest = pick_random(people), pick_nearest(rows)

    assert all(other != place for place, other in enumerate(random))
    assert random == pick_random(people)
    assert len(set(random)) > 3
    assert all(other != place for place, other in enumerate(nearest))
    assert (nearest[3], nearest[7]) == (7, 3)


def test_topics_are_those_that_most_others_write_about() -> None:
    """A word of one person's own is the last to be asked for."""
    others = [
        *([f"The garden was wet on day {n}.", "I like the garden."] for n in range(6)),
        ["My theremin is out of tune.", "The theremin sings.", "A garden."],
    ]

    assert find_topics(others, 2) == ("garden", "theremin")
    assert find_topics(others, 1) == ("garden",)


def test_one_topic_spelt_twice_is_asked_for_once() -> None:
    """In the spelling that more of them use."""
    others = [["I broke the Kettle.", "A Kettle, again."]] + [
        ["the kettle sings", "my kettle is old"] for _ in range(2)
    ]

    assert find_topics(others, 3) == ("kettle",)
