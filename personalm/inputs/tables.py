"""A table of the inputs: its files in the order of their names, each read as the contract asks.

Files may differ in types, in the order of their columns and in the optional ones they have.
Interactions also come from lists in the rows of profiles, after those of their own files. Lists of
rows that lost against a newer row of their user are read here, and dropped by `Superseded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personalm.errors import InputDamagedError, InputError
from personalm.inputs.columns import FileReader
from personalm.inputs.contract import HISTORY, INTERACTIONS, PROFILES
from personalm.inputs.files import SourceFile, find_sources
from personalm.inputs.mapping import add_values, check_mapping, match_columns, source_of
from personalm.inputs.nested import NestedReader, make_nested
from personalm.inputs.rawrows import RawReader
from personalm.inputs.report import Effect
from personalm.inputs.times import check_zone
from personalm.inputs.values import Conversion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from personalm.inputs.columns import Batch, Where
    from personalm.inputs.contract import Contract
    from personalm.inputs.report import Tally
    from personalm.settings import ColumnSource, Inputs

    OnRefusal: TypeAlias = Callable[[InputError], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A file, what reads it, and its columns as the rows that are read have them."""

    file: SourceFile
    shown: SourceFile
    nested: NestedReader | None = None


class InputTable:
    """One table of the inputs, its files opened and its columns matched before any is read.

    Damaged files are left out where the settings say so: every row is read for that, and dropped.
    Those of profiles never are, because a person who has opted out would be written for.
    """

    def __init__(
        self, inputs: Inputs, contract: Contract, *, on_refusal: OnRefusal | None = None
    ) -> None:
        """Open the table. Raises InputError for files and columns that do not fit.

        With `on_refusal`, which takes the error, such a file is left out, and so is the rest of a
        file from a value on that does not fit.
        """
        self._inputs = inputs
        self._contract = contract
        self._mapping = inputs.columns.get(contract.table, {})
        self._on_refusal = on_refusal
        self._skipped: list[InputDamagedError] = []
        sources = self._find_sources()
        if sources:
            check_mapping([source.shown for source in sources], contract, self._mapping)
        check_zone(inputs.zone)
        readers = [reader for source in sources if (reader := self._check(source)) is not None]
        self._readers = tuple(
            r for r in readers if not self._may_skip or r.is_nested or self._is_whole(r)
        )
        if self._skipped and not self._readers:
            raise InputError(
                f"{contract.table}: every file is damaged",
                file=self._skipped[0].file,
                remedy="Write or copy them again.",
            )

    @classmethod
    def find(
        cls, inputs: Inputs, contract: Contract, *, on_refusal: OnRefusal | None = None
    ) -> InputTable | None:
        """Open the table; None where the settings name no files for it."""
        if getattr(inputs, contract.table):
            return cls(inputs, contract, on_refusal=on_refusal)
        if contract is not INTERACTIONS or not inputs.profiles:
            return None
        table = cls(inputs, contract, on_refusal=on_refusal)
        return table if table.has_files else None

    @property
    def has_files(self) -> bool:
        """Whether there is any file to read."""
        return bool(self._readers)

    @property
    def has_lists(self) -> bool:
        """Whether rows lie in lists in the rows of profiles."""
        return any(reader.is_nested for reader in self._readers)

    def batches(self, tally: Tally, *, where: Where | None = None) -> Iterator[Batch]:
        """Read all rows, or those chosen, in the order of files and rows."""
        self.note_skipped(tally)
        for reader in self._readers:
            try:
                yield from reader.read(tally) if where is None else reader.choose(tally, where)
            except InputError as error:
                if self._on_refusal is None:
                    raise
                self._on_refusal(error)

    def note_skipped(self, tally: Tally) -> None:
        """Tell of the damaged files that are left out."""
        for error in self._skipped:
            tally.add(Effect.SKIPPED, error.message, 1, file=error.file, remedy=error.remedy)

    @property
    def _may_skip(self) -> bool:
        return self._inputs.damaged == "skip" and self._contract is not PROFILES

    def _find_sources(self) -> tuple[_Source, ...]:
        table = self._contract.table
        files: tuple[SourceFile, ...] = ()
        if getattr(self._inputs, table):
            found = find_sources(
                getattr(self._inputs, table),
                table=table,
                on_damage=self._skipped.append if self._may_skip else self._on_refusal,
            )
            files = tuple(add_values(file, self._contract, self._mapping) for file in found)
        sources = [_Source(file=file, shown=file) for file in files]
        if self._contract is INTERACTIONS and self._inputs.profiles:
            sources += self._find_nested()
        return tuple(sources)

    def _find_nested(self) -> Iterator[_Source]:
        """Find the lists of interactions in files of profiles."""
        profiles = self._inputs.columns.get(PROFILES.table, {})
        user_name = _named(self._mapping, "user_id")
        found = find_sources(
            self._inputs.profiles, table=PROFILES.table, on_damage=self._on_refusal
        )
        for file in (add_values(file, PROFILES, profiles) for file in found):
            user = _named(profiles, "user_id")
            nested = make_nested(
                file,
                user=user,
                history=_named(profiles, HISTORY),
                user_name=user_name,
                text_name=_named(self._mapping, "text"),
                max_group_bytes=self._inputs.max_row_group_bytes,
            )
            if nested is not None:
                folders = {user_name: file.folders[user]} if user in file.folders else {}
                shown = SourceFile(
                    path=file.path, schema=nested.schema, stamp=file.stamp, folders=folders
                )
                shown = add_values(shown, self._contract, self._mapping)
                yield _Source(file=file, shown=shown, nested=nested)

    def _check(self, source: _Source) -> FileReader | None:
        """Return what reads a file, None where it was refused and somebody was told."""
        try:
            reader = self._reader(source)
            reader.check()
        except InputError as error:
            if self._on_refusal is None:
                raise
            self._on_refusal(error)
            return None
        return reader

    def _reader(self, source: _Source) -> FileReader:
        inputs = self._inputs
        match = match_columns(source.shown, self._contract, self._mapping)
        needed = dict.fromkeys((*match.sources.values(), *match.extras))
        raw = source.nested or RawReader(
            file=source.file,
            columns=tuple(c for c in needed if c in source.file.schema.names),
            max_group_bytes=inputs.max_row_group_bytes,
        )
        return FileReader(
            file=source.file,
            raw=raw,
            folders=source.shown.folders,
            match=match,
            contract=self._contract,
            conversions=self._conversions(),
            zone=inputs.zone,
            max_text_chars=inputs.max_text_chars,
        )

    def _conversions(self) -> Mapping[str, Conversion]:
        mapping = self._mapping
        return {
            name: Conversion(
                name=name,
                form=form,
                unit=mapping[name].unit if name in mapping else None,
                zone=self._inputs.zone,
                max_text_chars=self._inputs.max_text_chars,
                markup=mapping[name].markup if name in mapping else None,
            )
            for name, form in self._contract.columns.items()
        }

    def _is_whole(self, reader: FileReader) -> bool:
        """Say whether every row of a file can be read, and note it where not."""
        try:
            reader.verify()
        except InputDamagedError as error:
            self._skipped.append(error)
            return False
        return True


def _named(mapping: Mapping[str, ColumnSource], name: str) -> str:
    """Return what the files call a column."""
    return source_of(name, mapping[name]) if name in mapping else name
