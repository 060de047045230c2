"""A table of the inputs: its files in the order of their names, each read as the contract asks.

Files may differ in types, in the order of their columns and in the optional ones they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.inputs.columns import FileReader
from personalm.inputs.files import find_sources
from personalm.inputs.mapping import check_mapping, match_columns
from personalm.inputs.times import check_zone
from personalm.inputs.values import Conversion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personalm.inputs.columns import Batch, Where
    from personalm.inputs.contract import Contract
    from personalm.inputs.report import Tally
    from personalm.settings import Inputs


class InputTable:
    """One table of the inputs, its files opened and its columns matched before any is read."""

    def __init__(self, inputs: Inputs, contract: Contract) -> None:
        """Open the table. Raises InputError for files and columns that do not fit."""
        mapping = inputs.columns.get(contract.table, {})
        files = find_sources(getattr(inputs, contract.table), table=contract.table)
        check_mapping(files, contract, mapping)
        check_zone(inputs.zone)
        conversions = {
            name: Conversion(
                name=name,
                form=form,
                unit=mapping[name].unit if name in mapping else None,
                zone=inputs.zone,
                max_text_chars=inputs.max_text_chars,
            )
            for name, form in contract.columns.items()
        }
        self._readers = tuple(
            FileReader(
                file=file,
                match=match_columns(file, contract, mapping),
                contract=contract,
                conversions=conversions,
                zone=inputs.zone,
                max_text_chars=inputs.max_text_chars,
            )
            for file in files
        )
        for reader in self._readers:
            reader.check()

    @classmethod
    def find(cls, inputs: Inputs, contract: Contract) -> InputTable | None:
        """Open the table; None where the settings name no files for it."""
        return cls(inputs, contract) if getattr(inputs, contract.table) else None

    def batches(self, tally: Tally, *, where: Where | None = None) -> Iterator[Batch]:
        """Read all rows, or those chosen, in the order of files and rows."""
        for reader in self._readers:
            yield from reader.read(tally) if where is None else reader.choose(tally, where)
