"""Which calls of a trace: the filters of every view, declared once for the API and the command line. No numpy here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Annotated, Any, NamedTuple, TypedDict, get_args, get_origin, get_type_hints


class Filter(NamedTuple):
    """A filter on a command line: its option, what help says of it, and its value's name ("" for a switch)."""

    option: str
    help: str
    metavar: str = ""


class Filters(TypedDict, total=False):
    """The filters, each with its option. A new one is a line here and its use in :func:`kfgraph.analyze.select.select`.

    What takes one value or several is a repeatable option.
    """

    root: Annotated[
        str | Sequence[str],
        Filter(
            "--root", "The calls of FUNC and their callees: a name, a glob, 'name \\[module]'; repeatable.", "FUNC"
        ),
    ]
    task: Annotated[str | Sequence[str], Filter("--task", "Only tasks of this name or glob; repeatable.", "COMM")]
    pid: Annotated[int | Sequence[int], Filter("--pid", "Only the task with this pid; repeatable.", "PID")]
    cpu: Annotated[int | Sequence[int], Filter("--cpu", "Only calls entered on this CPU; repeatable.", "CPU")]
    from_s: Annotated[float | None, Filter("--from", "Only calls that end after this time.", "SECONDS")]
    to_s: Annotated[
        float | None,
        Filter(
            "--to", "Only calls that begin before this time (both from the start of the trace).", "SECONDS"
        ),
    ]
    irq: Annotated[bool, Filter("--irq", "Only interrupts.")]
    no_irq: Annotated[bool, Filter("--no-irq", "Leave out interrupts and their time.")]
    failing: Annotated[bool, Filter("--failed", "Only calls that returned an error.")]
    returning: Annotated[
        str | Sequence[str], Filter("--ret", "Only calls that returned this: '<0', EINVAL, 0; repeatable.", "VALUE")
    ]
    arg: Annotated[
        str | Sequence[str],
        Filter("--arg", "Only calls with such an argument: 'flags & 0x40', fd=3; repeatable.", "TEST"),
    ]
    all_tasks: Annotated[bool, Filter("--all-tasks", "Also calls of tasks other than the command's.")]
    pre_exec: Annotated[bool, Filter("--pre-exec", "Also calls of kfgraph's launcher, before the exec.")]


class Declared(NamedTuple):
    """A filter as a parser needs it: ``kind`` is str, int, float or bool; ``many``: one value or several."""

    kind: type
    many: bool
    filter: Filter

    @property
    def default(self) -> Any:
        """What filters nothing."""
        return () if self.many else False if self.kind is bool else None


@cache
def declared() -> Mapping[str, Declared]:
    """Every filter by its name, in the order of :class:`Filters`."""
    found = {}
    for name, hint in get_type_hints(Filters, include_extras=True).items():
        annotation, filter_ = get_args(hint)
        kinds = get_args(annotation) or (annotation,)
        many = any(get_origin(kind) is not None for kind in kinds)
        (kind,) = (kind for kind in kinds if get_origin(kind) is None and kind is not NoneType)
        found[name] = Declared(kind, many, filter_)
    return found


OF_SYSTEM_CALLS = ("task", "pid", "all_tasks")
OF_WHY = ("root", "task", "pid", "all_tasks")
OF_ERRORS = ("root", "task", "pid", "cpu", "from_s", "to_s", "irq", "no_irq", "arg", "all_tasks", "pre_exec")
"""Those that a view has which does not have all."""


def completed(filters: Mapping[str, Any], names: Sequence[str] = ()) -> dict[str, Any]:
    """All filters, or those called ``names``: as given, the others with what filters nothing.

    Raises:
        TypeError: one is given that is none of them.
    """
    names = names or tuple(declared())
    for name in filters:
        if name not in names:
            raise TypeError(f"no filter {name!r} here: there are {', '.join(names)}")
    return {name: filters.get(name, declared()[name].default) for name in names}


def as_typed(filters: Mapping[str, Any]) -> list[str]:
    """The words of a command line that give these filters."""
    words: list[str] = []
    for name, one in declared().items():
        value = filters.get(name, one.default)
        if one.kind is bool:
            words += [one.filter.option] if value else []
        elif value not in (None, ()):
            several = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
            words += [word for each in several for word in (one.filter.option, str(each))]
    return words
