"""What commands declare of their command lines, as data: annotations of the parameters of ``run``.

Two parsers understand it: fastparse.py plain lines, typer (typed.py) all others. ``Which`` stands for several
options in one parameter: the filters of :class:`kfgraph.analyze.filters.Filters` that a command has.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from kfgraph.analyze import filters
from kfgraph.model.units import parse_seconds, parse_whole

NUMBERS: Mapping[Any, Callable[..., Any]] = {int: parse_whole, float: parse_seconds}
"""How the numbers of all commands are read, whoever parses the command line. A float is a number of seconds."""
_WHICH = "Which calls"


class Option(NamedTuple):
    """An option of a command: ``least`` is the least number that it takes, ``panel`` where help shows it."""

    names: tuple[str, ...]
    help: str
    panel: str | None = None
    metavar: str | None = None
    least: int | None = None


class Operand(NamedTuple):
    """One word that is no option."""

    metavar: str
    help: str


class Operands(NamedTuple):
    """All words from the first on that is no option."""

    metavar: str
    help: str


class Which(NamedTuple):
    """The filters that a command has; without names, all."""

    names: tuple[str, ...] = ()


class Parameter(NamedTuple):
    """One option or operand. ``kind`` is str, int, float, bool or a Literal; ``many``: it takes a list of them.

    ``group``: the parameter of ``run`` that takes it together with others, under ``name``.
    """

    name: str
    annotation: Any
    kind: Any
    many: bool
    default: Any
    declared: Option | Operand | Operands
    group: str = ""

    @property
    def parse(self) -> Callable[[str], Any]:
        """One value from its text; raises ValueError."""
        least = self.declared.least if isinstance(self.declared, Option) else None
        if self.kind in NUMBERS:
            return partial(NUMBERS[self.kind], **({} if least is None else {"least": least}))
        if get_origin(self.kind) is Literal:
            return partial(_one_of, get_args(self.kind))
        return str


def _one_of(words: tuple[str, ...], text: str) -> str:
    if text not in words:
        raise ValueError(f"{text!r} is none of {', '.join(words)}")
    return text


@cache
def parameters(run: Callable[..., Any]) -> tuple[Parameter, ...]:
    """What a command declares, in the order of its parameters. Those that declare nothing are no part of the line."""
    code, given = run.__code__, run.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    defaults = dict(zip(names[len(names) - len(given) :], given, strict=True))
    # Not typing.get_type_hints: before Python 3.11 that makes an optional of what has the default None.
    hints = inspect.get_annotations(run, eval_str=True)
    found: list[Parameter] = []
    for name in names:
        kind, *declared = get_args(hints[name]) if hasattr(hints[name], "__metadata__") else (hints[name],)
        if declared and isinstance(declared[0], Which):
            found += _filters(name, declared[0])
        elif declared:
            # list[str] | None, float | None, bool: what is left without None.
            base = next(k for k in (get_args(kind) if NoneType in get_args(kind) else [kind]) if k is not NoneType)
            many = get_origin(base) is list
            found.append(Parameter(name, kind, get_args(base)[0] if many else base, many, defaults[name], declared[0]))
    return tuple(found)


def _filters(group: str, which: Which) -> list[Parameter]:
    found = []
    for name, one in filters.declared().items():
        if which.names and name not in which.names:
            continue
        annotation: Any = bool if one.kind is bool else (list[one.kind] if one.many else one.kind) | None  # type: ignore[name-defined]
        default = False if one.kind is bool else None
        option = Option((one.filter.option,), one.filter.help, _WHICH, one.filter.metavar or None)
        found.append(Parameter(name, annotation, one.kind, one.many, default, option, group))
    return found


def gathered(run: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for ``run``, of the values of its options by their names: those of a group in one argument, which
    holds what is given."""
    arguments: dict[str, Any] = {one.group: {} for one in parameters(run) if one.group}
    for one in parameters(run):
        if one.name not in given:
            continue
        value = given[one.name]
        if not one.group:
            arguments[one.name] = value
        elif value != one.default and value != []:
            arguments[one.group][one.name] = value
    return arguments


def option_name(run: Callable[..., Any], name: str) -> str:
    """The long name of an option, by its parameter's."""
    (declared,) = (one.declared for one in parameters(run) if one.name == name)
    names = declared.names if isinstance(declared, Option) else (declared.metavar,)
    return next((one for one in names if one.startswith("--")), names[0]).partition("/")[0]
