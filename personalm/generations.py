"""Generations: what a notebook gets of a request, and how it shows it.

They know outcomes, and nothing of how these came about.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import pandas as pd

    from personalm.records import Candidate, Outcome


_TOLD = ("tier", "language", "chosen", "model", "adapter", "prompt_hash", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A text for one user, how it was chosen, and where it comes from.

    `text` is `None` where the request was rejected; `reason` then says why. `style_score` is 0
    for a stranger and `own_mark` for the user's own texts; both are `None` where they abstain.
    """

    text: str | None
    style_score: float | None
    style_cosine: float | None
    own_mark: float | None
    candidates: tuple[Candidate, ...]
    prompt: str | None
    provenance: Mapping[str, object]
    reason: str | None = None

    @classmethod
    def of(cls, outcome: Outcome, *, prompt: str | None) -> Self:
        """Describe what became of a request; `prompt` is the one of its first draw."""
        result, rejection = outcome.result, outcome.rejection
        row = result or rejection
        assert row is not None  # noqa: S101 - an outcome is one of the two
        provenance: dict[str, object] = {
            "user_id": row.key.user_id,
            "kind": row.key.kind,
            "subject_id": row.key.subject_id,
            "fingerprint": row.fingerprint,
        }
        if result:
            provenance |= {name: getattr(result, name) for name in _TOLD}
        return cls(
            text=result.text if result else None,
            style_score=result.style_score if result else None,
            style_cosine=result.style_cosine if result else None,
            own_mark=result.own_mark if result else None,
            candidates=outcome.candidates,
            prompt=prompt,
            provenance=provenance,
            reason=f"{rejection.reason}: {rejection.message}" if rejection else None,
        )

    def __str__(self) -> str:
        return self.text if self.text is not None else f"(no text: {self.reason})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{'<b>chosen</b>' if c.number == self.provenance.get('chosen') else c.number}"
            f"</td><td>{html.escape(c.text)}</td><td>{_number(c.style_score)}</td>"
            f"<td>{_number(c.style_cosine)}</td>"
            f"<td>{html.escape(c.dropped_by or '')}</td></tr>"
            for c in self.candidates
        )
        return (
            f"<p>{html.escape(str(self))}</p><table><tr><th></th><th>candidate</th>"
            f"<th>style score</th><th>style cosine</th><th>dropped by</th></tr>{rows}</table>"
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the candidates as a table, one row each."""
        import pandas as pd  # noqa: PLC0415 - heavy, and wanted by few

        columns = ("number", "text", "style_cosine", "style_score", "dropped_by", "finish")
        rows = [{name: getattr(c, name) for name in columns} for c in self.candidates]
        return pd.DataFrame(rows, columns=list(columns))


@dataclass(frozen=True, slots=True)
class Generations(Sequence[Generation]):
    """Texts for several users, in the order in which they were asked for."""

    items: tuple[Generation, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - an index or a slice
        return self.items[index]

    def __iter__(self) -> Iterator[Generation]:
        return iter(self.items)

    def _repr_html_(self) -> str:
        return "".join(generation._repr_html_() for generation in self.items)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a text."""
        import pandas as pd  # noqa: PLC0415 - heavy, and wanted by few

        return pd.DataFrame(
            [
                {
                    **g.provenance,
                    "text": g.text,
                    "style_cosine": g.style_cosine,
                    "style_score": g.style_score,
                    "own_mark": g.own_mark,
                    "reason": g.reason,
                }
                for g in self.items
            ]
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
