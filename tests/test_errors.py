"""One tree of exceptions with one manner of naming."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import rbmscape
from rbmscape import errors


def exceptions():
    """Every public exception class that a module of the package defines."""
    for found in pkgutil.walk_packages(rbmscape.__path__, "rbmscape."):
        if found.name == "rbmscape.__main__":
            continue
        try:
            module = importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if error.name.startswith("rbmscape"):
                raise
            continue  # an extra that is not installed, such as Triton
        for name, one in inspect.getmembers(module, inspect.isclass):
            if issubclass(one, BaseException) and one.__module__ == found.name and not name.startswith("_"):
                yield name, one


def test_errors_end_in_error_and_warnings_in_warning_and_all_errors_are_of_one_tree():
    found = dict(exceptions())
    assert len(found) > 15
    for name, one in found.items():
        if issubclass(one, Warning):
            assert name.endswith("Warning")
        else:
            assert name.endswith("Error")
            assert issubclass(one, errors.RbmscapeError), name


def test_all_errors_are_listed():
    own = {name for name, one in inspect.getmembers(errors, inspect.isclass) if one.__module__ == errors.__name__}
    assert sorted(errors.__all__) == sorted(own)
