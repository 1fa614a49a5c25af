"""Plain command lines, understood without typer: importing that and building its commands takes half of a start.

A recording is to cost no more than trace-cmd typed by hand, and on a slow machine its start is most of the
difference. So the options of ``kfgraph trace`` are declared here as data; typer is handed the same (see typed.py)
and stays the one who helps, completes and complains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from kfgraph.model.units import parse_seconds, parse_whole

NUMBERS: Mapping[Any, Callable[..., Any]] = {int: parse_whole, float: parse_seconds}
"""How the numbers of all commands are read, whoever parses the command line. A float is a number of seconds."""


class Option(NamedTuple):
    """An option of a command, as an annotation of its parameter."""

    names: tuple[str, ...]
    help: str
    panel: str
    metavar: str | None = None


class Operands(NamedTuple):
    """All words from the first on that is no option."""

    metavar: str
    help: str


class _Meaning(NamedTuple):
    parameter: str
    convert: Callable[[str], Any]
    many: bool
    constant: bool | None = None


def parse(run: Callable[..., Any], words: Sequence[str]) -> dict[str, Any] | None:
    """The arguments for ``run`` that these words mean; None: they are not plain, which need not be an error.

    Not plain are help, several letters behind one dash, and everything that ``run`` has no option for.
    """
    operands, meanings = _declared(run)
    found: dict[str, Any] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        meaning = meanings.get(name)
        if meaning is None or (meaning.constant is not None and equals):
            return None
        if meaning.constant is not None:
            found[meaning.parameter] = meaning.constant
            continue
        if not equals and not rest:
            return None
        try:
            converted = meaning.convert(value if equals else rest.pop(0))
        except ValueError:
            return None
        if meaning.many:
            found.setdefault(meaning.parameter, []).append(converted)
        else:
            found[meaning.parameter] = converted
    if rest:
        found[operands] = rest
    return found


def takes_value(run: Callable[..., Any], name: str) -> bool:
    """Whether the command has an option of this name whose next word is its value."""
    meaning = _declared(run)[1].get(name)
    return meaning is not None and meaning.constant is None


def _declared(run: Callable[..., Any]) -> tuple[str, dict[str, _Meaning]]:
    operands, meanings = "", dict[str, _Meaning]()
    for parameter, hint in get_type_hints(run, include_extras=True).items():
        if parameter == "return":
            continue
        kind, declared = get_args(hint)
        if isinstance(declared, Operands):
            operands = parameter
            continue
        # list[str] | None, float | None, bool: what is left without None.
        base = next(k for k in (get_args(kind) if NoneType in get_args(kind) else [kind]) if k is not NoneType)
        many = get_origin(base) is list
        convert = get_args(base)[0] if many else base
        convert = NUMBERS.get(convert, convert)
        for names in declared.names:
            for name, constant in zip(names.split("/"), (True, False), strict=False):
                meanings[name] = _Meaning(parameter, convert, many, constant if convert is bool else None)
    return operands, meanings
