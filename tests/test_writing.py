"""Laws of the writer: every task has one outcome, and what fails costs its own row only."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from personalm.generation.engine import batches
from personalm.generation.scripted import ScriptedEngine
from personalm.kinds import load_kinds
from personalm.prompting.prompter import Prompter
from personalm.prompting.tokenizer import ByteTokenizer
from personalm.records import (
    Interaction,
    Key,
    ModelCard,
    Profile,
    Prompt,
    Reason,
    Request,
    Task,
    Unit,
)
from personalm.selection.embedder import ScriptedEmbedder
from personalm.selection.selector import Selector
from personalm.settings import Generation, Prompting, Selection
from personalm.writing import Writer, WrittenUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from personalm.generation.engine import Engine
    from personalm.records import Draw

GOOD = "The pond froze over in the night and the ducks walked home."
EMPTY = "  "


def make_task(name: str, subject: str = "the pond") -> Task:
    """Return a task of a user with two texts."""
    profile = Profile(
        user_id=name,
        interactions=tuple(
            Interaction(text=text)
            for text in ("I swept the yard before breakfast.", "The kettle is on, come in.")
        ),
    )
    request = Request(user_id=name, kind="post", subject_id="s", subject=subject)
    return Task(
        request=request,
        profile=profile,
        voice=profile,
        tier="1-4",
        language="en",
        fingerprint=f"f-{name}",
    )


def make_unit(name: str, *tasks: Task) -> Unit:
    """Return a unit of some tasks."""
    return Unit(unit_id=name, bucket=0, tasks=tasks)


def make_writer(
    scripts: Mapping[Key, Sequence[str]] | None = None,
    *,
    failing: frozenset[str] = frozenset(),
    max_draws: int = 3,
    max_positions: int = 10_000,
    seen: list[Prompt] | None = None,
    engine: Engine | None = None,
) -> Writer:
    """Return a writer of fakes; `seen` gets every prompt that its own engine pulls."""
    kinds = load_kinds()
    generation = Generation(candidates=2)

    class Watched(ScriptedEngine):
        """Note every prompt that is pulled."""

        def generate(self, prompts: Iterator[Prompt]) -> Iterator[object]:  # type: ignore[override]  # narrower on purpose
            def watch() -> Iterator[Prompt]:
                for prompt in prompts:
                    if seen is not None:
                        seen.append(prompt)
                    yield prompt

            return super().generate(watch())

    return Writer(
        prompter=Prompter(
            kinds=kinds,
            prompting=Prompting(),
            generation=generation,
            tokenizer=ByteTokenizer(),
            max_positions=max_positions,
            seed=0,
        ),
        engine=engine or Watched(scripts=scripts, fail_on=lambda p: p.key.user_id in failing),  # type: ignore[arg-type]  # see above
        selector=Selector(embedder=ScriptedEmbedder(), kinds=kinds, selection=Selection()),
        card=ModelCard(name="scripted", digest="d", max_positions=max_positions),
        max_draws=max_draws,
    )


def outcomes_of(written: WrittenUnit) -> dict[str, str]:
    """Return each user's text, or the reason of the rejection."""
    return {
        o.key.user_id: o.result.text if o.result else str(o.rejection and o.rejection.reason)
        for o in written.outcomes
    }


def key_of(name: str) -> Key:
    """Return the key of a user's only task."""
    return Key(user_id=name, kind="post", subject_id="s")


def test_a_request_that_is_in_several_units_is_written_in_each() -> None:
    """A column of user ids may hold one twice; every unit has its own outcome, drawn alike."""
    names = ("one", "two", "three")
    units = [make_unit(name, make_task("ada"), make_task("ben")) for name in names]
    scripts = {key_of("ada"): [GOOD], key_of("ben"): [EMPTY, EMPTY, EMPTY, GOOD]}

    written = list(make_writer(scripts).write(units))

    assert [w.unit.unit_id for w in written] == list(names)
    assert all(outcomes_of(w) == {"ada": GOOD, "ben": GOOD} for w in written)


def test_every_unit_comes_back_once_with_one_outcome_a_task() -> None:
    """Nothing is lost and nothing comes twice, whatever happens to each task."""
    names = ["ada", "ben", "cleo", "dan"]
    units = [
        make_unit("one", make_task("ada"), make_task("ben")),
        make_unit("two", make_task("cleo")),
        make_unit("three", make_task("dan")),
    ]
    scripts = {key_of("ada"): [GOOD], key_of("ben"): [EMPTY], key_of("dan"): [GOOD]}

    written = list(make_writer(scripts, failing=frozenset({"cleo"})).write(units))

    assert sorted(w.unit.unit_id for w in written) == ["one", "three", "two"]
    assert sorted(o.key.user_id for w in written for o in w.outcomes) == names
    found = {name: text for w in written for name, text in outcomes_of(w).items()}
    assert found == {
        "ada": GOOD,
        "ben": Reason.ALL_CANDIDATES_DROPPED,
        "cleo": Reason.GENERATION_FAILED,
        "dan": GOOD,
    }


def test_a_request_whose_candidates_are_all_dropped_is_drawn_again() -> None:
    """The second draw goes on with new candidates and can serve the request."""
    scripts = {key_of("ada"): [EMPTY, EMPTY, EMPTY, GOOD]}

    (written,) = make_writer(scripts).write([make_unit("one", make_task("ada"))])

    result = written.outcomes[0].result
    assert result is not None
    assert (result.text, result.chosen, result.num_candidates) == (GOOD, 3, 4)
    assert [d.prompt.draw for d in written.draws[key_of("ada")]] == [0, 1]


@pytest.mark.parametrize("max_draws", [1, 2, 3])
def test_draws_end_and_the_rejection_says_which_gates_dropped(max_draws: int) -> None:
    """A rejection has every candidate of every draw, and the reasons in words."""
    scripts = {key_of("ada"): [EMPTY]}

    (written,) = make_writer(scripts, max_draws=max_draws).write(
        [make_unit("one", make_task("ada"))]
    )

    outcome = written.outcomes[0]
    assert outcome.rejection is not None
    assert f"{max_draws} draws" in outcome.rejection.message
    assert "empty" in outcome.rejection.message
    assert len(outcome.candidates) == 2 * max_draws


def test_only_the_undecided_are_drawn_again() -> None:
    """What is decided stays as it is; a further draw is a batch of its own."""
    seen: list[Prompt] = []
    scripts = {key_of("ada"): [GOOD], key_of("ben"): [EMPTY]}

    list(
        make_writer(scripts, seen=seen).write([make_unit("u", make_task("ada"), make_task("ben"))])
    )

    assert [(p.key.user_id, p.batch) for p in seen] == [
        ("ada", "u/0"),
        ("ben", "u/0"),
        ("ben", "u/1"),
        ("ben", "u/2"),
    ]


def test_a_unit_of_which_nothing_can_be_prompted_is_finished_all_the_same() -> None:
    """A model without room rejects every task, and the unit still comes back."""
    (written,) = make_writer(max_positions=70).write([make_unit("one", make_task("ada"))])

    assert outcomes_of(written) == {"ada": Reason.NO_ROOM}


def test_units_are_pulled_as_they_are_needed() -> None:
    """A million units are never held at once."""
    pulled = []

    def units() -> Iterator[Unit]:
        for number in range(1_000):
            pulled.append(number)
            yield make_unit(str(number), make_task(str(number)))

    first = list(islice(make_writer().write(units()), 3))

    assert len(first) == 3
    assert len(pulled) < 10


def test_a_task_has_the_same_outcome_alone_and_in_company() -> None:
    """Who shares the unit changes nobody's text."""
    alone = next(make_writer().write([make_unit("one", make_task("ada"))]))
    company = next(make_writer().write([make_unit("one", make_task("ben"), make_task("ada"))]))

    assert outcomes_of(company)["ada"] == outcomes_of(alone)["ada"]


def test_a_result_says_how_many_texts_its_prompt_left_out() -> None:
    """A small model shows less of a history: whoever reads the row can see it."""

    def write(max_positions: int) -> tuple[int, int, Prompt]:
        scripts = {key_of("ada"): [GOOD]}
        (written,) = make_writer(scripts, max_positions=max_positions).write(
            [make_unit("one", make_task("ada"))]
        )
        result, prompt = written.outcomes[0].result, written.draws[key_of("ada")][0].prompt
        assert result is not None
        return result.num_trimmed, len(prompt.shown), prompt

    none_trimmed, num_shown, prompt = write(10_000)
    room = len(prompt.token_ids) + prompt.sampling.max_new_tokens

    assert (none_trimmed, num_shown) == (0, 2)
    assert write(room)[:2] == (0, 2)
    assert write(room - 1)[:2] == (1, 1)


class Careless(ScriptedEngine):
    """Breaks the contract of engines: `change` is what it makes of the draws of a batch."""

    def __init__(self, change: Callable[[list[Draw]], list[Draw]], **given: Any) -> None:
        super().__init__(**given)
        self.change = change

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Draw]:
        """Yield the draws of a batch in another way."""
        for batch in batches(prompts):
            yield from self.change(list(super().generate(batch)))


def test_texts_find_their_users_by_key_and_never_by_their_place() -> None:
    """An engine that answers in another order gives nobody another user's text."""
    names = [f"user{n}" for n in range(6)]
    scripts = {key_of(name): [f"The pond of {name} froze over in the night."] for name in names}
    units = [
        make_unit("one", *map(make_task, names[:4])),
        make_unit("two", *map(make_task, names[4:])),
    ]
    writer = make_writer(engine=Careless(lambda draws: draws[::-1], scripts=scripts))

    found = {name: text for w in writer.write(units) for name, text in outcomes_of(w).items()}

    assert found == {name: scripts[key_of(name)][0] for name in names}


def test_an_engine_that_answers_twice_ends_the_run() -> None:
    """The second answer would be taken for that of the next user."""
    units = [
        make_unit("one", make_task("ada"), make_task("ben")),
        make_unit("two", make_task("cleo")),
    ]
    writer = make_writer(engine=Careless(lambda draws: [draws[0], *draws]))

    with pytest.raises(KeyError):
        list(writer.write(units))
