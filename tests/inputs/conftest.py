"""Small Parquet tables on disk, and what a spill makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personalm.inputs.spill import spill

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.records import UserInputs
    from personalm.settings import Inputs

Write: TypeAlias = Callable[..., str]
SpillAll: TypeAlias = "Callable[[Inputs], dict[str, UserInputs]]"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write columns as a Parquet file below a fresh folder, and return its path."""

    def write_file(name: str, columns: Mapping[str, Any] | pa.Table, **options: Any) -> str:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
        pq.write_table(table, path, **options)
        return str(path)

    return write_file


@pytest.fixture
def spill_all(tmp_path: Path) -> SpillAll:
    """Spill inputs into three buckets, and return every user by id, in the order of reading."""

    def spill_inputs(inputs: Inputs) -> dict[str, UserInputs]:
        with spill(inputs, tmp_path / "spill", num_buckets=3) as spilled:
            users = [user for bucket in range(3) for user in spilled.read(bucket)]
        by_id = {user.profile.user_id: user for user in users}
        assert len(users) == len(by_id)
        return by_id

    return spill_inputs
