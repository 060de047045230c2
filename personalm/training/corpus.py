"""The corpus: who is learned from, and which of their texts can be targets.

Texts come cleaned from the inputs. Here users and texts drop out, each counted with its reason:
people who opted out, languages the model does not write, texts too short to show a manner,
near-duplicates. Conversations are gathered before that: what was answered is shown, be it said
before, and who is left out leaves a gap. Knows no template and no token.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from personalm.discreet import Discreet
from personalm.hashing import digest
from personalm.planning.languages import normalise_language, normalise_languages
from personalm.selection.words import count_words
from personalm.training.conversations import Attendance, Conversations
from personalm.training.duplicates import find_duplicates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from personalm.kinds import Kind
    from personalm.records import Interaction, Profile, UserInputs
    from personalm.settings import Training


_LEAST_LANGUAGE_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Text(Discreet):
    """A text that can be a target: the row of its author, its place there, its kind of example."""

    author: int
    place: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Corpus(Discreet):
    """Users without their near-duplicate texts, the texts that can be targets, and what dropped.

    `texts` are in the order of authors, and of an author oldest first. `languages` are those that
    one user in twenty or more writes, the commonest first.
    """

    authors: tuple[Profile, ...]
    texts: tuple[Text, ...]
    counts: Mapping[str, int]
    languages: tuple[str, ...]
    conversations: Conversations = field(default_factory=Conversations)

    def interaction(self, text: Text) -> Interaction:
        """Return the interaction that a text is."""
        return self.authors[text.author].interactions[text.place]


def gather_corpus(
    users: Iterable[UserInputs],
    *,
    kinds: Sequence[Kind],
    training: Training,
    languages: tuple[str, ...] | None,
    detect_language: Callable[[tuple[str, ...]], str],
    seed: int,
    spare: Callable[[Profile], Profile] | None = None,
) -> Corpus:
    """Choose users and texts; `languages` are those the model writes, `None` for all.

    `spare` takes out of a user's texts what is not to be seen.
    """
    counts: Counter[str] = Counter()
    spoken: Counter[str] = Counter()
    known = None if languages is None else normalise_languages(languages)

    def choose(profile: Profile) -> bool:
        counts["users"] += 1
        language = normalise_language(profile.language) or detect_language(profile.texts)
        reason = (
            "users opted out"
            if profile.opt_out
            else "users without a text"
            if not profile.texts
            else "users of another language"
            if known is not None and language not in known
            else None
        )
        if reason:
            counts[reason] += 1
        else:
            spoken[language] += 1
        return reason is None

    attendance = Attendance()
    has_replies = any(kind.front.subject == "given" for kind in kinds)
    whole = (user.profile for user in users)
    seen = attendance.watch(whole) if has_replies else whole
    shown = map(spare, seen) if spare else seen
    profiles = _draw(shown, choose, most=training.max_users, seed=seed)
    authors = _without_duplicates(profiles, training.max_similarity, counts)
    texts = tuple(
        text
        for author, profile in enumerate(authors)
        for text in _targets(author, profile, kinds, training, counts)
    )
    counts["users learned from"] = len({text.author for text in texts})
    counts["texts kept"] = len(texts)
    least = _LEAST_LANGUAGE_SHARE * spoken.total()
    return Corpus(
        authors=authors,
        texts=texts,
        counts=dict(counts),
        languages=tuple(language for language, number in spoken.most_common() if number >= least),
        conversations=attendance.converse(profiles),
    )


def _draw(
    users: Iterable[Profile],
    choose: Callable[[Profile], bool],
    *,
    most: int | None,
    seed: int,
) -> list[Profile]:
    """Return the users who are learned from, in the order of their digests under the seed.

    Of more than `most` those of the lowest digests; a user who comes too late for that is not
    looked at any more.
    """
    drawn: list[tuple[int, Profile]] = []
    for user in users:
        # Negative, because a heap gives its lowest entry away first. No two users share a digest.
        mark = -int(digest([seed, user.user_id]), 16)
        is_full = most is not None and len(drawn) == most
        if (is_full and mark <= drawn[0][0]) or not choose(user):
            continue
        (heapq.heapreplace if is_full else heapq.heappush)(drawn, (mark, user))
    return [profile for _, profile in sorted(drawn, key=lambda entry: -entry[0])]


def _without_duplicates(
    profiles: Sequence[Profile], max_similarity: float, counts: Counter[str]
) -> tuple[Profile, ...]:
    """Leave out what says again what an older text has said, whoever wrote it.

    It is gone from the histories as well: a target that its own prompt shows teaches copying.
    """
    rows = [
        (author, place)
        for author, profile in enumerate(profiles)
        for place, interaction in enumerate(profile.interactions)
        if interaction.text.strip()
    ]
    # A text without a time stands before all others, as it does in its history.
    rows.sort(key=lambda row: profiles[row[0]].interactions[row[1]].seconds)
    texts = [profiles[author].interactions[place].text for author, place in rows]
    twins = {rows[row] for row in find_duplicates(texts, max_similarity)}
    counts["texts"] = len(rows)
    counts["near-duplicates"] = len(twins)
    return tuple(
        replace(
            profile,
            interactions=tuple(
                interaction
                for place, interaction in enumerate(profile.interactions)
                if (author, place) not in twins
            ),
        )
        for author, profile in enumerate(profiles)
    )


def _targets(
    author: int,
    profile: Profile,
    kinds: Sequence[Kind],
    training: Training,
    counts: Counter[str],
) -> list[Text]:
    found = []
    written = {i.kind for i in profile.interactions if i.text.strip()}
    for place, interaction in enumerate(profile.interactions):
        if not interaction.text.strip():
            continue
        kind = next((kind for kind in kinds if _takes(kind, interaction, written)), None)
        if kind is None:
            counts["texts of other kinds"] += 1
        elif count_words(interaction.text) < training.min_words:
            counts["short texts"] += 1
        else:
            found.append(Text(author=author, place=place, kind=kind.name))
    newest = found[-training.max_user_texts :]
    counts["texts over the cap of a user"] += len(found) - len(newest)
    return newest


def _takes(kind: Kind, interaction: Interaction, written: set[str | None]) -> bool:
    """Say whether a template can ask for a text: of the kinds it shows, about what it needs.

    Where the author writes none of its kinds, it shows all, as the prompter does.
    """
    front = kind.front
    if not written.isdisjoint(front.voice_kinds) and interaction.kind not in front.voice_kinds:
        return False
    if front.subject == "item":
        return interaction.item_id is not None
    return front.subject != "given" or interaction.thread_id is not None
