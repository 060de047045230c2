"""The model card: what a model was made of, what was measured, and how it is made again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_HISTORIES = {
    "own": "the user's own",
    "other_random": "another user's, at random",
    "other_nearest": "another user's, the nearest",
    "none": "none",
}

_MIXES = {"own": "the user's own texts", "other_random": "another user's"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card tells; none of it is anybody's text or id."""

    name: str
    base: str
    method: str
    languages: tuple[str, ...]
    metrics: Mapping[str, Any]
    leaks: Mapping[str, Any]
    provenance: Mapping[str, Any]


def write_card(facts: CardFacts) -> bytes:
    """Return the README.md of a model's folder, with its metadata on top."""
    head = {
        "language": list(facts.languages),
        "base_model": facts.base,
        "library_name": "peft" if facts.method == "lora" else "transformers",
        "tags": ["personalm", facts.method],
    }
    # Values of JSON are values of YAML.
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
    parts = [
        f"---\n{front}\n---",
        f"# {facts.name}",
        _describe(facts),
        "## Data\n\n" + _table(("what", "number"), facts.provenance["counts"].items()),
        "## Held-out perplexity\n\n" + _measures(facts.metrics),
        "## Leaks\n\n" + _leaks(facts.leaks),
        "## Made by\n\n" + _origin(facts.provenance),
    ]
    return ("\n\n".join(parts) + "\n").encode()


def _describe(facts: CardFacts) -> str:
    what = {
        "lora": f"A LoRA adapter for `{facts.base}`",
        "full": f"All weights of `{facts.base}`, trained on",
        "scratch": "A GPT-2 trained from random weights, with a tokenizer of its own",
    }[facts.method]
    return (
        f"{what}. It has learned from texts of people to write the next text of a user, given "
        "earlier ones, in the prompts of personalm. It writes with `personalm run --model FOLDER`"
        ".\n\nIt holds what it has learned from these people: treat the folder as personal data. "
        "`training_users.json` says who they are to those who know the id; `personalm forget OUT "
        "USER --model FOLDER` asks it."
    )


def _measures(metrics: Mapping[str, Any]) -> str:
    after, before = metrics["after"], metrics["before"]
    rows = [
        (
            words,
            describe_interval(before["perplexity"][name]),
            describe_interval(after["perplexity"][name]),
        )
        for name, words in _HISTORIES.items()
    ]
    mixes = metrics["ngram_mix"]
    rows += [
        (
            f"none, mixed with n-grams of {whose}",
            describe_interval(mixes["before"]["perplexity"][name]),
            describe_interval(mixes["after"]["perplexity"][name]),
        )
        for name, whose in _MIXES.items()
    ]
    paired = [
        (
            name.replace("_", " "),
            describe_interval(before["paired"][name]),
            describe_interval(after["paired"][name]),
        )
        for name in after["paired"]
    ]
    return (
        f"{after['num_texts']} texts of {after['num_users']} users, {after['num_tokens']} tokens; "
        "the newest texts of each user, none of which was learned. 95 % intervals by bootstrap "
        "over users.\n\n"
        + _table(("history in the prompt", "before", "after"), rows)
        + "\n\nDifference of the log-likelihood of the same text, nats a token; above 0 the own "
        "history helps more:\n\n" + _table(("difference", "before", "after"), paired)
    )


def _leaks(leaks: Mapping[str, Any]) -> str:
    if not leaks["measured"]:
        return "**Not measured**: no canaries were planted (`training.canaries = 0`)."
    rows = [
        (
            "not planted" if level == "0" else level,
            figures["num_canaries"],
            f"{leaks['before'][level]['exposure']:.1f}",
            f"{figures['exposure']:.1f}",
            f"{figures['extracted']:.0%}",
        )
        for level, figures in leaks["after"].items()
    ]
    return (
        "Made-up secrets of six digits, planted among the texts. Exposure in bits, of at most "
        f"{leaks['most_bits']:.1f}; 1.4 is that of a secret that was not learned. Limits for "
        f"those planted once: {leaks['max_exposure']:.1f} bits, {leaks['max_extracted']:.0%} "
        "completed.\n\n"
        + _table(("planted", "canaries", "exposure before", "exposure after", "completed"), rows)
    )


def _origin(provenance: Mapping[str, Any]) -> str:
    return f"    {provenance['command']}\n\n```json\n{json.dumps(dict(provenance), indent=1)}\n```"


def describe_interval(interval: Mapping[str, float]) -> str:
    """Return an interval in words: mean, low and high."""
    return f"{interval['mean']:.3g} ({interval['low']:.3g} to {interval['high']:.3g})"


def _table(head: tuple[str, ...], rows: Any) -> str:  # noqa: ANN401 - rows of words and numbers
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
