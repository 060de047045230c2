"""Laws of the error tree."""

from __future__ import annotations

import inspect
import pickle

import pytest

from personalm import errors

CLASSES = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if issubclass(member, errors.PersonalmError)
]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_crosses_process_borders(error: type[errors.PersonalmError]) -> None:
    """An error that is pickled and read back says the same."""
    before = error("something is wrong", remedy="Mend it.")

    after = pickle.loads(pickle.dumps(before))  # noqa: S301 - our own bytes

    assert type(after) is error
    assert str(after) == str(before) == "something is wrong\n  Mend it."


def test_every_error_is_in_the_tree_of_the_module_docstring() -> None:
    """The docstring names each class, so that a reader sees the tree before the code."""
    assert errors.__doc__ is not None
    assert [c.__name__ for c in CLASSES if c.__name__ not in errors.__doc__] == []


def test_an_input_error_names_its_place_first() -> None:
    """File, column and row stand before what is wrong."""
    error = errors.InputError("no number", file="a.parquet", column="rating", row=3)

    assert str(error) == "file a.parquet, column rating, row 3: no number"


def test_a_stop_ends_the_process_as_its_signal_does() -> None:
    """Ctrl-C gives 130, SIGTERM gives 143."""
    assert [errors.Stopped(2).exit_code, errors.Stopped(15).exit_code] == [130, 143]
