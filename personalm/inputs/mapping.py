"""Which column of a file gives each column of the contract: by name, through the settings.

All files of a table are matched before any is read, so that a wrong name stops nothing half done.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from personalm.errors import InputError, SettingsError
from personalm.inputs.contract import Form
from personalm.inputs.facts import is_fact_type
from personalm.inputs.nested import is_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from personalm.inputs.contract import Contract
    from personalm.inputs.files import SourceFile
    from personalm.settings import ColumnSource

_PANDAS_INDEX = "__index_level_"
_TEXTS = (Form.TEXT, Form.TEXTS)
_VALUES = (Form.TEXT, Form.ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The columns of one file: the source of each column of the contract, and the extra ones."""

    sources: Mapping[str, str]
    extras: tuple[str, ...]
    unused: tuple[str, ...] = ()
    """Columns that nothing asks for, or whose type no template could show."""


def match_columns(
    file: SourceFile, contract: Contract, mapping: Mapping[str, ColumnSource]
) -> Match:
    """Return where a file's columns go; an optional one that is not there has no source.

    Raises InputError for a required column that is missing, and for one that is there twice.
    """
    present = _columns_of(file)
    named = {c: source_of(c, mapping[c]) if c in mapping else c for c in contract.columns}
    sources = {name: column for name, column in named.items() if column in present}
    for group in contract.required:
        if not any(name in sources for name in group):
            raise _missing(file, contract, {name: named[name] for name in group})
    for column in sources.values():
        if file.schema.names.count(column) > 1:
            raise InputError("the file has this column twice", file=str(file.path), column=column)
    used = set(sources.values()) | _nested_in(file, contract, mapping)
    extras = tuple(
        c for c in present if contract.has_facts and c not in used and _is_extra(file, c)
    )
    unused = tuple(c for c in present if c not in used and c not in extras)
    return Match(sources=sources, extras=extras, unused=unused)


def check_mapping(
    files: Sequence[SourceFile], contract: Contract, mapping: Mapping[str, ColumnSource]
) -> None:
    """Refuse a mapping of what is not there. Raises SettingsError, or InputError naming a file."""
    section = f"inputs.columns.{contract.table}"
    for name, source in mapping.items():
        if name not in (*contract.columns, *contract.nested):
            raise SettingsError(
                f"{section}: {name!r} is no column of the data contract"
                + _hint(name, contract.columns),
                remedy=f"Its columns are {', '.join(contract.columns)}.",
            )
        if source.unit is not None and contract.columns.get(name) is not Form.TIME:
            raise SettingsError(f"{section}.{name}: only a time has a unit")
        if source.markup is not None and contract.columns.get(name) not in _TEXTS:
            raise SettingsError(f"{section}.{name}: only a text has markup")
        if source.value is not None and contract.columns.get(name) not in _VALUES:
            raise SettingsError(f"{section}.{name}: only a text or an id can be one value")
        present = tuple(dict.fromkeys(column for file in files for column in _columns_of(file)))
        if source.column is not None and source.column not in present:
            raise InputError(
                f"the settings map this column to {name}, and no file of {contract.table} has it"
                + _hint(source.column, present),
                file=str(files[0].path),
                column=source.column,
                remedy=f"The columns are {', '.join(present) or 'none'}.",
            )


def add_values(
    file: SourceFile, contract: Contract, mapping: Mapping[str, ColumnSource]
) -> SourceFile:
    """Return the file with the values that the settings give, as columns of its folder are.

    Of the folders that the location names itself, those count whose column the contract asks for
    and the file lacks: others would be facts that change with the place.
    """
    values = {source_of(name, s): s.value for name, s in mapping.items() if s.value is not None}
    asked = {source_of(c, mapping[c]) if c in mapping else c for c in contract.columns}
    above = {c: v for c, v in file.above.items() if c in asked and c not in file.schema.names}
    return replace(file, folders={**above, **file.folders, **values})


def source_of(name: str, source: ColumnSource) -> str:
    """Return the column of a file that the settings map to a column of the contract."""
    return source.column or f"{name}, a value of the settings"


def _columns_of(file: SourceFile) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*file.schema.names, *file.folders)))


def _nested_in(
    file: SourceFile, contract: Contract, mapping: Mapping[str, ColumnSource]
) -> set[str]:
    """Return the columns of a file that hold lists of rows of another table."""
    columns = {
        source_of(name, mapping[name]) if name in mapping else name for name in contract.nested
    }
    return {
        c for c in columns if file.schema.names.count(c) == 1 and is_list(file.schema.field(c).type)
    }


def _is_extra(file: SourceFile, column: str) -> bool:
    if column not in file.schema.names:
        return True
    is_single = file.schema.names.count(column) == 1
    is_index = column.startswith(_PANDAS_INDEX)
    return is_single and not is_index and is_fact_type(file.schema.field(column).type)


def _missing(file: SourceFile, contract: Contract, group: Mapping[str, str]) -> InputError:
    """Return the error for a group of columns of which the file has none."""
    present = _columns_of(file)
    name, column = next(iter(group.items()))
    near = _nearest(column, present)
    return InputError(
        f"{contract.table} need a column {' or '.join(group.values())}; "
        f"the columns are {', '.join(present) or 'none'}" + _hint(column, present),
        file=str(file.path),
        column=column,
        remedy="Map a column in the settings:\n"
        f"    [inputs.columns.{contract.table}]\n"
        f'    {name} = "{near or "YOUR COLUMN"}"',
    )


def _hint(name: str, known: Iterable[str]) -> str:
    near = _nearest(name, known)
    return f". Did you mean {near}?" if near else ""


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like another, whatever its case and underscores."""
    bare = {each.lower().replace("_", ""): each for each in known}
    near = difflib.get_close_matches(name.lower().replace("_", ""), bare, n=1)
    return bare[near[0]] if near else None
