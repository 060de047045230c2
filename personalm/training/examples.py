"""Examples: the prompt that a run would write, and the text that the user really wrote.

The prompter of a run makes them, from what the user had written before; the target begins where
the prompt ends. What a template folds or stops at, a target does too. Nothing of another user is
in an example, and an example is a row of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from personalm.discreet import Discreet
from personalm.errors import TrainingError
from personalm.hashing import subject_id_of
from personalm.planning.tiers import tier_of
from personalm.prompting.cutting import fold_spaces
from personalm.prompting.headline import headline_of
from personalm.records import Prompt, Request, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from personalm.kinds import Kind
    from personalm.planning.catalogue import Catalogue
    from personalm.prompting.tokenizer import Tokenizer
    from personalm.records import Profile, Rejection, Turn
    from personalm.training.corpus import Corpus, Text

TokenIds: TypeAlias = tuple[int, ...]

_BATCH = "training"


class Prompts(Protocol):
    """What turns a task into a prompt; the prompter of a run."""

    def prompt(self, task: Task, *, batch: str) -> Prompt | Rejection:
        """Return the prompt, or say why there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Example(Discreet):
    """Token ids of a prompt and of the text that follows it, its end of text included.

    `author` is the row of the writer, `tier` that of the writer's history at that time.
    """

    author: int
    tier: str
    prompt_ids: TokenIds
    target_ids: TokenIds

    @property
    def num_tokens(self) -> int:
        """Number of tokens, of the prompt and of the text."""
        return len(self.prompt_ids) + len(self.target_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a target ends: by `end_id`, or after so many tokens without one, as a run would."""

    end_id: int
    max_tokens: int


class ExampleMaker:
    """Makes examples of a corpus for one model."""

    def __init__(
        self,
        *,
        corpus: Corpus,
        kinds: Mapping[str, Kind],
        catalogue: Catalogue,
        prompts: Prompts,
        tokenizer: Tokenizer,
        endings: Mapping[str, Ending],
        instructions: str | None,
    ) -> None:
        """Take what is the same for all examples; `endings` are those of each kind.

        `instructions` stand in for those that no history holds.
        """
        self._corpus = corpus
        self._kinds = kinds
        self._catalogue = catalogue
        self._prompts = prompts
        self._tokenizer = tokenizer
        self._endings = endings
        self._instructions = instructions
        self.counts: Counter[str] = Counter()

    def make(self, texts: Iterable[Text]) -> tuple[Example, ...]:
        """Return an example for each text that there can be one for; others are counted."""
        made = []
        for text in texts:
            task = self.task_of(text)
            example = None if task is None else self.example_of(text, task)
            if example is not None:
                made.append(example)
        return tuple(made)

    def task_of(self, text: Text) -> Task | None:
        """Return the request that a text answers, with its author's history until then.

        None where nothing tells what the text is about.
        """
        author = self._corpus.authors[text.author]
        voice = replace(author, interactions=author.interactions[: text.place])
        request = self._request_of(text, author)
        if request is None:
            self.counts["texts without a subject"] += 1
            return None
        asking = author
        thread: tuple[Turn, ...] = ()
        if self._kinds[text.kind].front.subject == "given":
            found = self._corpus.conversations.before(text.author, author.interactions[text.place])
            asking = voice if found is None else found.asking
            thread = () if found is None else found.thread
        return Task(
            request=request,
            profile=voice if asking is author else asking,
            voice=voice,
            thread=thread,
            tier=tier_of(len(voice.texts)),
            language=author.language or "",
            fingerprint="",
        )

    def example_of(self, text: Text, task: Task) -> Example | None:
        """Return the example of a text; None where its prompt cannot be made or has no room."""
        prompt = self._prompts.prompt(task, batch=_BATCH)
        if not isinstance(prompt, Prompt):
            self.counts[f"prompts rejected: {prompt.reason}"] += 1
            return None
        target = self.target_of(self._corpus.interaction(text).text, text.kind, prompt)
        if not target:
            self.counts["texts without a token"] += 1
            return None
        return Example(
            author=text.author,
            tier=task.tier,
            prompt_ids=prompt.token_ids,
            target_ids=target,
        )

    def past_of(self, task: Task) -> tuple[TokenIds, ...]:
        """Return the tokens of all texts of a task's voice, as if they were its targets."""
        prompt = self._prompts.prompt(task, batch=_BATCH)
        if not isinstance(prompt, Prompt):
            return ()
        targets = (self.target_of(text, task.request.kind, prompt) for text in task.voice.texts)
        return tuple(target for target in targets if target)

    def target_of(self, text: str, kind: str, prompt: Prompt) -> TokenIds:
        """Return the tokens of a text as the template would stop it, its end included.

        A text that a run has no room for is learned as far as a run may write: without an end,
        which is never drawn there.
        """
        ending = self._endings[kind]
        written = _as_drawn(text, self._kinds[kind].front.stop)
        if not written:
            return ()
        gap = "" if prompt.text[-1:].isspace() or not prompt.text else " "
        ids = self._tokenizer.encode(gap + written)
        if len(ids) > ending.max_tokens:
            self.counts["texts cut, longer than a run may write"] += 1
        # Where a text is as long as a run may write, its end would be one token too many.
        return (*ids, ending.end_id)[: ending.max_tokens]

    def _request_of(self, text: Text, author: Profile) -> Request | None:
        interaction = author.interactions[text.place]
        front = self._kinds[text.kind].front
        item = self._catalogue.get(interaction.item_id or "")
        instructions = self._instructions if "instructions" in front.needs else None
        if front.subject == "given":
            found = self._corpus.conversations.before(text.author, interaction)
            subject = found.message if found else ""
        else:
            subject = item.title if item else headline_of(interaction.text)
        if not subject or (front.subject == "item" and item is None):
            return None
        return Request(
            user_id=author.user_id,
            kind=text.kind,
            subject_id=subject_id_of(subject, instructions),
            subject=subject,
            item=item,
            instructions=instructions,
            thread_id=interaction.thread_id,
        )


def check_kinds(kinds: Sequence[Kind], instructions: str | None) -> None:
    """Raise TrainingError for a kind whose prompts need what no history holds."""
    for kind in kinds:
        if "instructions" in kind.front.needs and not instructions:
            raise TrainingError(
                f"training.kinds: {kind.name} needs instructions, and no history has any",
                remedy="Say in inputs.replies.instructions what its texts were asked to do, "
                "or leave the kind out.",
            )


def _as_drawn(text: str, stops: Sequence[str]) -> str:
    """Return a text up to where a run would stop drawing it."""
    # A template that stops at the end of a line shows texts of one line.
    folded = fold_spaces(text) if any("\n" in stop for stop in stops) else text.strip()
    ends = [end for stop in stops if (end := folded.find(stop)) >= 0]
    return folded[: min(ends, default=len(folded))].rstrip()
