"""A group keeps what its device has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from personalm.generation.room import count_bytes, room_in, room_of

if TYPE_CHECKING:
    from personalm.generation.loading import LoadedModel


def test_a_position_takes_the_keys_and_values_of_all_layers(model: LoadedModel) -> None:
    """Two numbers of the model's format for each layer, head of keys and width."""
    config = model.network.config
    num_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = config.hidden_size // config.num_attention_heads

    assert count_bytes(model) == 2 * config.num_hidden_layers * num_heads * width * 4


def test_the_room_follows_the_memory_between_two_bounds(model: LoadedModel) -> None:
    """Less than a sixth of it; a processor has a room of its own."""
    each = count_bytes(model)

    assert room_in(0, model) == 256
    assert room_in(10_000 * each, model) == 1_500
    assert room_in(10**15, model) == 262_144
    assert room_of(model) == 16_384


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_more_memory_is_more_room(model: LoadedModel, share: float) -> None:
    """In proportion."""
    each = count_bytes(model)

    assert room_in(int(40_000 * share) * each, model) == pytest.approx(6_000 * share, abs=1)
