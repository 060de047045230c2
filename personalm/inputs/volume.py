"""How much the inputs hold, told by the files' footers alone, before any row is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.errors import InputError
from personalm.inputs.contract import INTERACTIONS, PROFILES, REQUESTS
from personalm.inputs.files import find_sources

if TYPE_CHECKING:
    from personalm.errors import InputDamagedError
    from personalm.settings import Inputs

_ROWS_A_BUCKET = 16_384
_BYTES_A_BUCKET = 8 << 20
# Fewer make larger units of small inputs, which a model writes faster; a bucket can grow a lot.
_MIN_BUCKETS = 4
_MAX_BUCKETS = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Rows and bytes of the tables that are read into buckets; bytes as they are once unpacked."""

    num_rows: int = 0
    num_bytes: int = 0

    @property
    def num_buckets(self) -> int:
        """Buckets among which so much is shared out: one is read and written at a time.

        A bucket's size decides what a run needs of memory. From 67 million rows on, and from 32
        GiB, there are as many buckets as there can be, and they grow.
        """
        wanted = max(-(-self.num_rows // _ROWS_A_BUCKET), -(-self.num_bytes // _BYTES_A_BUCKET))
        return min(_MAX_BUCKETS, max(_MIN_BUCKETS, wanted))


def measure_volume(inputs: Inputs) -> Volume:
    """Return how much the tables of users hold.

    What cannot be opened counts for nothing here: to read it will say what is wrong with it.
    """
    num_rows = num_bytes = 0
    for contract in (PROFILES, INTERACTIONS, REQUESTS):
        locations = getattr(inputs, contract.table)
        try:
            for source in find_sources(locations, table=contract.table, on_damage=_pass_over):
                with source.open() as file:
                    footer = file.metadata
                    num_rows += footer.num_rows
                    groups = (footer.row_group(group) for group in range(footer.num_row_groups))
                    num_bytes += sum(group.total_byte_size for group in groups)
        except InputError:
            continue
    return Volume(num_rows=num_rows, num_bytes=num_bytes)


def _pass_over(_: InputDamagedError) -> None:
    """Count the other files, though one is damaged."""
