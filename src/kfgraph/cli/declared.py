"""What commands declare of their command lines, as data: annotations of the parameters of ``run``.

Two parsers understand it: fastparse.py plain lines, typer (typed.py) all others. ``Group`` stands for several
options in one parameter: the filters of :class:`kfgraph.analyze.filters.Filters`, or how a trace is read
(:class:`kfgraph.cli.options.Reading`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType, NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from kfgraph.analyze import filters
from kfgraph.model.units import parse_seconds, parse_whole

NUMBERS: Mapping[Any, Callable[..., Any]] = {int: parse_whole, float: parse_seconds}
"""How the numbers of all commands are read, whoever parses the command line. A float is a number of seconds."""
_WHICH = "Which calls"


class Option(NamedTuple):
    """An option of a command: ``least`` is the least number that it takes, ``panel`` where help shows it, ``alone`` its
    value where none follows it: at the end of the line, before another option or before a file."""

    names: tuple[str, ...]
    help: str
    panel: str | None = None
    metavar: str | None = None
    least: int | None = None
    alone: str | None = None


class Operand(NamedTuple):
    """One word that is no option."""

    metavar: str
    help: str


class Operands(NamedTuple):
    """All words from the first on that is no option."""

    metavar: str
    help: str


class Group(NamedTuple):
    """The options of a class in one parameter, which takes an instance: those called ``names``, or all.

    ``instead``: options that the command declares in another way.
    """

    names: tuple[str, ...] = ()
    instead: Mapping[str, Option] = MappingProxyType({})


class Parameter(NamedTuple):
    """One option or operand. ``kind`` is str, int, float, bool or a Literal; ``many``: it takes a list of them.

    ``group``: the parameter of ``run`` that takes it together with others, under ``name``; ``made`` makes its value.
    """

    name: str
    annotation: Any
    kind: Any
    many: bool
    default: Any
    declared: Option | Operand | Operands
    group: str = ""
    made: Callable[..., Any] = dict

    def value(self, given: Mapping[str, Any]) -> Any:
        """Its value among the arguments of ``run``."""
        if not self.group:
            return given[self.name]
        group = given[self.group]
        return group.get(self.name, self.default) if isinstance(group, dict) else getattr(group, self.name)

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
        if declared and isinstance(declared[0], Group):
            found += _group(name, kind, declared[0])
        elif declared:
            found.append(_parameter(name, kind, defaults[name], declared[0]))
    return tuple(found)


def _parameter(name: str, annotation: Any, default: Any, declared: Option | Operand | Operands) -> Parameter:
    # list[str] | None, float | None, bool: what is left without None.
    kinds = get_args(annotation) if NoneType in get_args(annotation) else [annotation]
    base = next(kind for kind in kinds if kind is not NoneType)
    many = get_origin(base) is list
    return Parameter(name, annotation, get_args(base)[0] if many else base, many, default, declared)


def _group(group: str, made: Any, wanted: Group) -> list[Parameter]:
    found = _filters() if made is filters.Filters else _fields(made)
    return [
        one._replace(group=group, made=made, declared=wanted.instead.get(one.name, one.declared))
        for one in found
        if not wanted.names or one.name in wanted.names
    ]


def _fields(made: Any) -> list[Parameter]:
    found = []
    for name, hint in get_type_hints(made, include_extras=True).items():
        annotation, declared = get_args(hint)
        found.append(_parameter(name, annotation, made._field_defaults[name], declared))
    return found


def _filters() -> list[Parameter]:
    found = []
    for name, one in filters.declared().items():
        annotation: Any = bool if one.kind is bool else (list[one.kind] if one.many else one.kind) | None  # type: ignore[name-defined]
        default = False if one.kind is bool else None
        option = Option((one.filter.option,), one.filter.help, _WHICH, one.filter.metavar or None)
        found.append(Parameter(name, annotation, one.kind, one.many, default, option))
    return found


def gathered(run: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for ``run``, of the values of its options by their names: those of a group in one argument, made
    of what is given."""
    arguments: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {one.group: {} for one in parameters(run) if one.group}
    for one in parameters(run):
        if one.name not in given:
            continue
        value = given[one.name]
        if not one.group:
            arguments[one.name] = value
        elif value != one.default and value != []:
            groups[one.group][one.name] = value
    made = {one.group: one.made for one in parameters(run) if one.group}
    return {**arguments, **{group: made[group](**values) for group, values in groups.items()}}


def option_name(run: Callable[..., Any], name: str) -> str:
    """The long name of an option, by its parameter's."""
    (declared,) = (one.declared for one in parameters(run) if one.name == name)
    names = declared.names if isinstance(declared, Option) else (declared.metavar,)
    return next((one for one in names if one.startswith("--")), names[0]).partition("/")[0]


def with_values(run: Callable[..., Any], words: Sequence[str]) -> list[str]:
    """The words of a command line with the values of options that stand alone."""
    declared = [one.declared for one in parameters(run) if isinstance(one.declared, Option)]
    alone = {name: one.alone for one in declared if one.alone is not None for name in one.names}
    found: list[str] = []
    for word, behind in zip(words, [*words[1:], "--"], strict=False):
        value = alone[word] if word in alone and (behind.startswith("-") or _is_file(behind)) else None
        found += [word] if value is None else [word, value]
    return found


def _is_file(word: str) -> bool:
    """Whether it is the path of a file, which no function is called."""
    from pathlib import Path

    return ("/" in word or "." in word) and Path(word).is_file()
