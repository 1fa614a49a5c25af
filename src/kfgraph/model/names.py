"""Function names as a user writes them: ``name``, a glob, ``name [module]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", str, int)

SIGNS = "-+|!#*@;:{}/=\"',%&"
"""No function's name begins with one of these."""
_WITH_MODULE = re.compile(r"(.*\S)\s+\[([^\[\]]+)\]")


def listed(values: T | Iterable[T] | None) -> tuple[T, ...]:
    """The values, where one is as good as a list of one, and None as none: a string is one name, not its letters."""
    if values is None:
        return ()
    if isinstance(values, str) or not isinstance(values, Iterable):
        return (values,)
    return tuple(values)


def split_label(label: str) -> tuple[str, str]:
    """``name [module]`` -> (name, module); the module is "" where there is none."""
    if not label.endswith("]"):
        return label, ""
    match = _WITH_MODULE.fullmatch(label)
    return (match[1], match[2]) if match else (label, "")


def matching(patterns: Iterable[str], labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which labels (as :meth:`SymbolTable.label` makes them) match any of the patterns.

    A pattern is a name or a shell glob for the name alone; with `` [module]`` behind it both must
    match. A plain name that no label has also finds the copies that the compiler made of it
    (``name.isra.0``, ``name.constprop.0``).
    """
    found = np.zeros(len(labels), np.bool_)
    parts = [split_label(label) for label in labels]
    for pattern in patterns:
        name, module = split_label(pattern)
        found |= _found(translate(name), module, parts)
        if not found.any() and not set(name) & set("*?["):
            found |= _found(re.escape(name) + r"\.(?:isra|constprop|part|cold)\b.*", module, parts)
    return found


def _found(name_regex: str, module: str, parts: Sequence[tuple[str, str]]) -> npt.NDArray[np.bool_]:
    is_name = re.compile(name_regex).fullmatch
    is_module = re.compile(translate(module)).fullmatch if module else None
    return np.fromiter(
        (bool(is_name(name)) and (is_module is None or bool(is_module(mod))) for name, mod in parts),
        np.bool_,
        count=len(parts),
    )
