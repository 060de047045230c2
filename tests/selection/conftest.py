"""Trials made of plain texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from personalm.kinds import FrontMatter, Kind
from personalm.records import (
    Draw,
    FinishReason,
    Interaction,
    Item,
    Key,
    Profile,
    Prompt,
    Request,
    Sample,
    Sampling,
    Task,
    Turn,
)
from personalm.selection.selector import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

GATES = ("empty", "unfinished", "echo", "copy", "loop")


class MakeTrial(Protocol):
    """Build a trial of one user."""

    def __call__(
        self,
        *draws: Sequence[str | Sample],
        user: str = "ada",
        own: Sequence[str] = (),
        kind: str = "post",
        subject: str | None = None,
        item: Item | None = None,
        prompt: str = "Topic: tea\nPost:",
        thread: Sequence[str] = (),
        voice: Profile | None = None,
        finish: FinishReason = "stop",
    ) -> Trial:
        """Return the trial; each draw is a list of texts or samples."""


@pytest.fixture(scope="session")
def kinds() -> dict[str, Kind]:
    """Two kinds with the gates that need no subject; one has a voice of certain texts."""
    post = FrontMatter(subject="topic", max_new_tokens=48, gates=GATES, min_words=2)
    reply = post.model_copy(update={"voice_kinds": ("agent_reply",), "gates": ("empty",)})
    return {
        name: Kind(name=name, front=front, source="", digest="", path=Path(f"{name}.j2"))
        for name, front in (("post", post), ("reply", reply))
    }


@pytest.fixture(scope="session")
def make_trial() -> MakeTrial:
    """Return the builder of trials."""
    return _make_trial


def _make_trial(
    *draws: Sequence[str | Sample],
    user: str = "ada",
    own: Sequence[str] = (),
    kind: str = "post",
    subject: str | None = None,
    item: Item | None = None,
    prompt: str = "Topic: tea\nPost:",
    thread: Sequence[str] = (),
    voice: Profile | None = None,
    finish: FinishReason = "stop",
) -> Trial:
    profile = Profile(user_id=user, interactions=tuple(Interaction(text=text) for text in own))
    request = Request(user_id=user, kind=kind, subject_id="s", subject=subject, item=item)
    task = Task(
        request=request,
        profile=profile,
        voice=voice or profile,
        thread=tuple(Turn(text=text, own=False) for text in thread),
        tier="20+",
        language="en",
        fingerprint=f"fingerprint of {user}",
    )
    made = []
    for number, texts in enumerate(draws):
        samples = tuple(
            text
            if isinstance(text, Sample)
            else Sample(text=text, num_tokens=len(text.split()), finish=finish)
            for text in texts
        )
        asked = Prompt(
            key=Key(user_id=user, kind=kind, subject_id="s"),
            text=prompt,
            token_ids=(1,),
            sampling=Sampling(max_new_tokens=48),
            num_candidates=max(1, len(samples)),
            seed=0,
            draw=number,
            shown=tuple(own[-2:]),
        )
        made.append(Draw(prompt=asked, samples=samples))
    return Trial(task=task, draws=tuple(made))
