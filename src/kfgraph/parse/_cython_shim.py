"""Stands in for the ``cython`` module where a hot loop runs as plain Python.

The annotations of these files are strings at run time and never looked up; what is called are the
decorators. Plain ints do not wrap, so the files mask widths themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

compiled = False

_T = TypeVar("_T")


def _unchanged(thing: _T) -> _T:
    return thing


def _decorator(*_args: Any, **_kwargs: Any) -> Callable[[_T], _T]:
    return _unchanged


def declare(_type: Any, value: _T) -> _T:
    """A C constant of a module: annotations do not make one."""
    return value


int = longlong = ulonglong = None
cfunc = ccall = cclass = final = inline = nogil = _unchanged
boundscheck = wraparound = cdivision = initializedcheck = locals = returns = exceptval = _decorator
