"""Prompts and loaded models for the tests of generation."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from personalm.generation.loading import LoadedModel, load_model
from personalm.records import Key, Prompt, Sampling

if TYPE_CHECKING:
    from pathlib import Path


class MakePrompt(Protocol):
    """Builds a prompt; `sampling` holds settings that differ from the usual ones."""

    def __call__(
        self,
        text: str = "Went down to the",
        *,
        user: str = "u1",
        num_candidates: int = 2,
        batch: str = "b",
        model: LoadedModel | None = None,
        token_ids: tuple[int, ...] | None = None,
        draw: int = 0,
        **sampling: Any,
    ) -> Prompt:
        """Return the prompt."""
        ...


@pytest.fixture(scope="session")
def make_prompt() -> MakePrompt:
    """Return a function that builds prompts, encoded for a model where one is given."""

    def make(
        text: str = "Went down to the",
        *,
        user: str = "u1",
        num_candidates: int = 2,
        batch: str = "b",
        model: LoadedModel | None = None,
        token_ids: tuple[int, ...] | None = None,
        draw: int = 0,
        **sampling: Any,
    ) -> Prompt:
        if token_ids is None and model is not None:
            token_ids = (*model.tokenizer.prefix_ids, *model.tokenizer.encode(text))
        return Prompt(
            key=Key(user_id=user, kind="post", subject_id="s"),
            text=text,
            token_ids=token_ids or (),
            sampling=Sampling(**{"max_new_tokens": 12, "temperature": 1.0, **sampling}),
            num_candidates=num_candidates,
            seed=3,
            draw=draw,
            batch=batch,
        )

    return make


@pytest.fixture(scope="session")
def gpt2(tiny_gpt2: Path) -> LoadedModel:
    """Load the tiny GPT-2 in float32."""
    return load_model(str(tiny_gpt2), dtype="float32", device="cpu", threads=1)


@pytest.fixture(scope="session")
def llama(tiny_llama: Path) -> LoadedModel:
    """Load the tiny Llama in float32."""
    return load_model(str(tiny_llama), dtype="float32", device="cpu", threads=1)


@pytest.fixture(params=["gpt2", "llama"])
def model(request: pytest.FixtureRequest) -> LoadedModel:
    """Return each of the tiny models."""
    loaded: LoadedModel = request.getfixturevalue(request.param)
    return loaded


@pytest.fixture
def folder(tiny_gpt2: Path, tmp_path: Path) -> Path:
    """Copy the tiny GPT-2."""
    return shutil.copytree(tiny_gpt2, tmp_path / "model")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Name a file that only hostile code would create."""
    return tmp_path / "canary"
