"""Refusals: all that is wrong with the tables, where a run would stop at the first of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personalm.errors import InputError, PersonalmError
from personalm.inputs.contract import INTERACTIONS, ITEMS, PROFILES, REQUESTS
from personalm.inputs.report import InputReport, Tally, make_report
from personalm.inputs.requests import RequestRows
from personalm.inputs.tables import InputTable

if TYPE_CHECKING:
    from personalm.inputs.contract import Contract
    from personalm.settings import Inputs


def find_refusals(inputs: Inputs) -> tuple[tuple[PersonalmError, ...], InputReport]:
    """Read every file of every table by itself; return what is refused, and a report of the rest.

    Of each file the first column or value that does not fit is told. What only shows between
    rows, such as an id that is there twice, is not looked for.
    """
    refused: dict[str, PersonalmError] = {}
    tallies = []
    for contract in (PROFILES, INTERACTIONS, ITEMS, REQUESTS):
        tally = Tally(contract.table)
        tallies.append(tally)
        for error in _read(inputs, contract, tally):
            # A file of profiles that holds interactions is read for both.
            refused.setdefault(str(error), error)
    return tuple(refused.values()), make_report(t for t in tallies if t.num_rows or t.findings)


def _read(inputs: Inputs, contract: Contract, tally: Tally) -> list[PersonalmError]:
    refused: list[PersonalmError] = []
    requests = RequestRows()
    try:
        table = InputTable.find(inputs, contract, on_refusal=refused.append)
        for batch in table.batches(tally) if table else ():
            if contract is REQUESTS:
                try:
                    requests.complete(batch)
                except InputError as error:
                    refused.append(error)
    except PersonalmError as error:
        refused.append(error)
    return refused
