"""The views of the explorer that are lists: each a function width -> lines, with the call that each is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from kfgraph.analyze.errorlist import ErrorRow
from kfgraph.analyze.errorlist import errors as error_rows
from kfgraph.analyze.filters import OF_ERRORS, OF_SYSTEM_CALLS, OF_WHY, Filters
from kfgraph.analyze.syscalls import chosen_calls
from kfgraph.analyze.top import top
from kfgraph.analyze.why import Why, why
from kfgraph.errors import NoMatchError
from kfgraph.model.spelling import spelt_out
from kfgraph.model.trace import Trace
from kfgraph.render.errorlist import ErrorsView
from kfgraph.render.syscalls import SystemCallsView
from kfgraph.render.top import TopView
from kfgraph.render.why import WhyView

if TYPE_CHECKING:
    from typing import Any

Target = int | str
"""The row of a call; -1: none; or the label of a function, of which the slowest call is meant."""
Lines = Callable[[int], Sequence[tuple[Text, Target]]]
MOST = 20_000
"""So many system calls at most are in the list; what is left out is counted in its last line."""


def some(filters: Filters, names: Sequence[str]) -> Any:
    """Those of the filters that a view has."""
    return {name: value for name, value in filters.items() if name in names}


def functions(trace: Trace, filters: Filters) -> Lines:
    """As ``kfgraph top --limit 0``."""
    result = top(trace, limit=None, **filters)

    def lines(width: int) -> list[tuple[Text, Target]]:
        view = TopView(result)
        # A summary, the titles, then a line for each function.
        first = len(view.summary(width)) + 1
        made = enumerate(view.lines(width), -first)
        return [(text, result.labels[at] if 0 <= at < len(result) else -1) for at, text in made]

    return lines


def system_calls(trace: Trace, filters: Filters) -> Lines:
    """As ``kfgraph syscalls``."""
    calls = chosen_calls(trace, **some(filters, OF_SYSTEM_CALLS))

    def lines(width: int) -> list[tuple[Text, Target]]:
        made = list(SystemCallsView(trace, calls, MOST).lines(width))
        shown = calls[:MOST]
        return [(text, shown[at - 1].row if 1 <= at <= len(shown) else -1) for at, text in enumerate(made)]

    return lines


def failures(trace: Trace, filters: Filters) -> Lines:
    """As ``kfgraph errors --unsure --limit 0``."""
    rows: Sequence[ErrorRow]
    try:
        rows = error_rows(trace, unsure=True, **some(filters, OF_ERRORS))
    except NoMatchError as problem:
        return said(problem.message)

    def lines(width: int) -> list[tuple[Text, Target]]:
        made: list[tuple[Text, Target]] = [(text, -1) for text in list(ErrorsView(trace, rows).lines(width))[:2]]
        for row in rows:
            made += [(text, row.row) for text in list(ErrorsView(trace, [row]).lines(width))[2:]]
        return made

    return lines


def explained(trace: Trace, filters: Filters) -> Why:
    """Why's answer."""
    return why(trace, **some(filters, OF_WHY))


def answered(answer: Why) -> Lines:
    """As ``kfgraph why``; all lines are about where the error was born."""
    born = answer.birth.step.row if answer.birth is not None else answer.row

    def lines(width: int) -> list[tuple[Text, Target]]:
        made = WhyView(answer).lines(width)
        # A command longer than a line is not cut either.
        return [(part, born) for text in made for part in text.divide(range(width, len(text), width))]

    return lines


def said(text: str) -> Lines:
    """One sentence."""
    return lambda width: [(Text(spelt_out(text), "dim"), -1)]
