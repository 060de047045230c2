"""Laws of the budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from personalm.prompting.budget import Draft, Material, fit_draft
from personalm.records import Turn

_SENTENCES = "".join(f"Sentence number {n} is here. " for n in range(50))


def _write(material: Material) -> Draft:
    parts = [
        "HEAD",
        *material.samples,
        *material.examples,
        *(turn.text for turn in material.thread),
        material.description,
        material.subject,
        "CUE",
    ]
    text = "\n".join(parts)
    return Draft(material=material, text=text, token_ids=tuple(text.encode()))


def _fit(material: Material, room: int) -> Draft | None:
    return fit_draft(material, room=room, write=_write, num_tokens=len)


def _material() -> Material:
    return Material(
        subject=_SENTENCES,
        description="A thing. " * 20,
        examples=("e" * 50, "f" * 50),
        samples=("s" * 50, "t" * 50, "u" * 50),
        thread=(Turn(text="old" * 10, own=True), Turn(text="new" * 10, own=False)),
    )


def test_what_fits_is_left_whole() -> None:
    """Nothing is trimmed without need."""
    draft = _fit(_material(), 10_000)

    assert draft is not None
    assert draft.material == _material()


def test_the_least_relevant_history_goes_first_and_whole() -> None:
    """The first sample stays longest; the subject is untouched while there is history."""
    whole = len(_write(_material()).token_ids)
    one, most = _fit(_material(), whole - 1), _fit(_material(), whole - 200)

    assert one is not None
    assert most is not None
    assert (one.material.examples, one.material.samples) == (
        ("e" * 50, "f" * 50),
        ("s" * 50, "t" * 50),
    )
    assert (most.material.examples, most.material.samples) == ((), ("s" * 50,))
    assert (one.material.num_trimmed, most.material.num_trimmed) == (1, 4)
    assert most.material.subject == _SENTENCES


def test_turns_go_before_the_subject_is_cut_the_oldest_first() -> None:
    """The end of a conversation is worth more than its start."""
    whole = len(_write(_material()).token_ids)
    draft = _fit(_material(), whole - 5 * 51 - 20)

    assert draft is not None
    assert [turn.text for turn in draft.material.thread] == ["new" * 10]
    assert draft.material.num_trimmed == 6


def test_a_long_subject_is_cut_at_a_sentence_and_counted() -> None:
    """Head and cue survive; what was cut is recorded."""
    draft = _fit(Material(subject=_SENTENCES), 300)

    assert draft is not None
    assert draft.text.startswith("HEAD\n")
    assert draft.text.endswith(".\n\nCUE".replace("\n\n", "\n"))
    assert draft.material.num_cut_tokens == len(_SENTENCES) - len(draft.material.subject)


@given(st.integers(0, 2_500))
def test_a_draft_fits_or_there_is_none(room: int) -> None:
    """Whatever the room, and more room never shows less of the subject."""
    draft, larger = _fit(_material(), room), _fit(_material(), room + 100)

    assert draft is None or len(draft.token_ids) <= room
    assert draft is None or larger is not None
    assert draft is None or (draft.text.startswith("HEAD") and draft.text.endswith("CUE"))


def test_where_nothing_is_left_to_cut_there_is_no_draft() -> None:
    """A subject of a few letters tells the model nothing."""
    assert _fit(_material(), 20) is None
    assert _fit(Material(), 5) is None
