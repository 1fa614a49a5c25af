"""Plain command lines, understood without typer: importing that and building its commands takes half of a start.

A recording is to cost no more than trace-cmd typed by hand, and on a slow machine its start is most of the
difference; docs/design.md has the figures. typer is handed the same declarations (see typed.py) and stays the one
who helps, completes and complains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kfgraph.cli.declared import Operands, Option, Parameter, gathered, parameters


class _Meaning(NamedTuple):
    parameter: Parameter
    constant: bool | None = None


def parse(run: Callable[..., Any], words: Sequence[str]) -> dict[str, Any] | None:
    """The arguments for ``run`` that these words mean; None: they are not plain, which need not be an error.

    Not plain are help, several letters behind one dash, and everything that ``run`` has no option for.
    """
    meanings, places = _meanings(run), [p for p in parameters(run) if not isinstance(p.declared, Option)]
    rest_is_one = any(isinstance(place.declared, Operands) for place in places)
    found: dict[str, Any] = {}
    operands: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--" or (rest_is_one and (word == "-" or not word.startswith("-"))):
            operands += rest if word == "--" else [word, *rest]
            break
        if word == "-" or not word.startswith("-"):
            operands.append(word)
        elif not _take(meanings, word, rest, found):
            return None
    if rest_is_one:
        return gathered(run, {**found, places[0].name: operands} if operands else found)
    if len(operands) > len(places):
        return None
    return gathered(run, {**found, **{place.name: word for place, word in zip(places, operands, strict=False)}})


def _take(meanings: dict[str, _Meaning], word: str, rest: list[str], found: dict[str, Any]) -> bool:
    """Put the option ``word``, with its value from ``rest`` if it is there, into ``found``; False: it is not plain."""
    name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
    meaning = meanings.get(name)
    if meaning is None:
        return False
    parameter = meaning.parameter
    if meaning.constant is not None:
        found[parameter.name] = meaning.constant
        return not equals
    if not equals and not rest:
        return False
    try:
        converted = parameter.parse(value if equals else rest.pop(0))
    except ValueError:
        return False
    if parameter.many:
        found.setdefault(parameter.name, []).append(converted)
    else:
        found[parameter.name] = converted
    return True


def takes_value(run: Callable[..., Any], name: str) -> bool:
    """Whether the command has an option of this name whose next word is its value."""
    meaning = _meanings(run).get(name)
    return meaning is not None and meaning.constant is None


def _meanings(run: Callable[..., Any]) -> dict[str, _Meaning]:
    meanings: dict[str, _Meaning] = {}
    for parameter in parameters(run):
        if not isinstance(parameter.declared, Option):
            continue
        for names in parameter.declared.names:
            for name, constant in zip(names.split("/"), (True, False), strict=False):
                meanings[name] = _Meaning(parameter, constant if parameter.kind is bool else None)
    return meanings
