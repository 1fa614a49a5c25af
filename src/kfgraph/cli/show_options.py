"""The options of ``kfgraph show`` alone, and what they ask of the folding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from kfgraph.cli.declared import Option
from kfgraph.cli.no_effect import Idle
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model.units import parse_ns

if TYPE_CHECKING:
    from kfgraph.analyze.calltree import CallTree
    from kfgraph.analyze.visibility import FoldOptions

_MATCHES = "Several matches of --root"
_ROWS = "Which rows"

Nth = Annotated[int | None, Option(("--nth",), "The Nth match, in time order.", _MATCHES, "N")]
Slowest = Annotated[int | None, Option(("--slowest",), "The N slowest matches.", _MATCHES, "N")]
Merge = Annotated[
    bool,
    Option(("--merge",), "Combine all matches into one tree: calls, total, self, average per path.", _MATCHES),
]
Calls = Annotated[
    bool,
    Option(("--calls",), "Without --root: single calls in the order of time, not one row for each path.", _MATCHES),
]
Callers = Annotated[
    list[str] | None,
    Option(
        ("--callers",), "Who calls FUNC: its calls by their callers, upside down to the roots; repeatable.", _MATCHES,
        "FUNC",
    ),
]  # fmt: skip
FollowTree = Annotated[
    bool, Option(("--follow-tree",), "Each task below the call that made it; its time is in no total above.", _ROWS)
]
All = Annotated[bool, Option(("--all", "-a"), "Show every call, without folding.", _ROWS)]
Depth = Annotated[
    int | None,
    Option(("--depth",), "Levels below the root; 0: only the root.", _ROWS, "N", least=0),
]
Min = Annotated[
    str | None,
    Option(("--min",), "Calls of at least this time (100us) or share of the root (1%).", _ROWS, "TIME"),
]  # fmt: skip
MaxRows = Annotated[
    int | None,
    Option(("--max-rows",), "The slowest calls that fit; 0: no limit. Default: two screens.", _ROWS, "N", least=0),
]  # fmt: skip
Expand = Annotated[
    list[str] | None,
    Option(("--expand",), "Show all callees of these; repeatable.", _ROWS, "GLOB"),
]
Collapse = Annotated[
    list[str] | None,
    Option(("--collapse",), "Show no callees of these; repeatable.", _ROWS, "GLOB"),
]
OpenIrq = Annotated[
    bool,
    Option(("--open-irq",), "Show also what interrupts are made of; else each is one row.", _ROWS),
]  # fmt: skip
Hide = Annotated[
    list[str] | None,
    Option(("--hide",), "Remove these; their callees and time move to the caller; repeatable.", _ROWS, "GLOB"),
]  # fmt: skip
CallsTo = Annotated[
    list[str] | None,
    Option(("--calls-to",), "Only calls that lead to FUNC; repeatable.", _ROWS, "FUNC"),
]
Errors = Annotated[
    bool,
    Option(("--errors",), "Only calls that returned an error, and the calls that lead to them.", _ROWS),
]
Events = Annotated[
    list[str] | None,
    Option(("--event", "-e"), "Also these events (sched_switch, 'sys_*', '*'); repeatable.", _ROWS, "EVENT"),
]  # fmt: skip
With = Annotated[
    list[str] | None,
    Option(
        ("--with",),
        "Values of each call: args, returns, cpu, caller, site (its line in the caller: --debuginfo), oncpu, asleep, "
        "preempted, irq; by commas.",
        metavar="WHAT",
    ),
]  # fmt: skip
Interactive = Annotated[
    bool, Option(("--interactive", "-i"), "Explore the calls on the terminal, as kfgraph ui does.")
]
Start = Annotated[bool, Option(("--start",), "Show start times, in seconds from the start of the trace.")]

OVERVIEW_ROWS = 50
"""The overview of a trace has no more rows, whatever the trace."""
_OF_CALLS = ("root", "failing", "returning", "arg")
_OF_SINGLE_CALLS = ("calls", "all_", "calls_to", "errors", "event", "start", "with_", "json_")

IDLE = (
    Idle(
        "callers",
        ("nth", "slowest", "merge", "calls", "follow_tree", "hide", "event", "start", "with_", "calls_to", "errors"),
    ),
    # The explorer has keys for what these ask for.
    Idle(
        "interactive",
        (
            "nth", "slowest", "merge", "calls", "all_", "depth", "min_", "max_rows", "expand", "collapse", "open_irq",
            "hide", "calls_to", "errors", "event", "start", "with_", "compensate", "follow_tree",
            "json_", "strict",
        ),
    ),
    Idle(
        "json_",
        (
            "all_", "depth", "min_", "max_rows", "expand", "collapse", "open_irq", "hide", "calls_to", "errors",
            "event", "start", "with_",
        ),
    ),
    Idle("json_", ("follow_tree",), unless=("merge",)),
    # These ask for single calls themselves.
    *(Idle(one, ("calls",)) for one in (*_OF_CALLS, *_OF_SINGLE_CALLS[1:])),
    *(Idle(one, ("open_irq",)) for one in ("all_", "callers", "irq", "no_irq")),
    # Nothing is folded then; but below a depth or a least time there is something to expand.
    Idle("all_", ("expand",), unless=("depth", "min_")),
)


def is_overview(given: Mapping[str, Any]) -> bool:
    """Whether ``show`` gives the overview of each task, in which calls of one path are one row: no function was named,
    and nothing was asked for that only single calls have. ``given`` are its parameters.

    Raises:
        UsageError: both ways were asked for.
    """
    if given["merge"] and given["calls"]:
        raise UsageError("--merge and --calls contradict each other", "give one of them")
    filters = given["filters"]
    if given["merge"] or given["callers"] or any(filters.get(name) for name in _OF_CALLS):
        return False
    return not any(given[name] for name in _OF_SINGLE_CALLS) and given["nth"] is None and given["slowest"] is None


def fold_options(
    *,
    several: bool,
    overview: bool = False,
    screen_rows: int | None,
    all_: bool,
    depth: int | None,
    least: Least | None,
    max_rows: int | None,
    expand: Sequence[str],
    collapse: Sequence[str],
    calls_to: Sequence[str],
    errors: bool = False,
    open_irq: bool = False,
) -> FoldOptions:
    """What to show. Asked for neither all, nor a depth, nor a least time: two screens of the slowest."""
    from kfgraph.analyze.visibility import ROWS, FoldOptions, roots_for

    limited = not (all_ or depth is not None or least is not None)
    default = (max(2 * screen_rows - 10, 20) if screen_rows else ROWS) if limited else None
    if overview and default:
        default = min(default, OVERVIEW_ROWS)
    return FoldOptions(
        max_rows=default if max_rows is None else max_rows or None,
        limit_asked=bool(max_rows),
        no_more=overview and limited and max_rows is None and not expand and not open_irq,
        max_roots=None if all_ or max_rows == 0 else roots_for(max_rows),
        min_ns=least.ns if least else None,
        min_share=least.share if least else None,
        depth=depth,
        expand=expand,
        collapse=collapse,
        calls_to=calls_to,
        errors=errors,
        repeats=not all_,
        open_irq=open_irq,
        open_roots="one" if several and not all_ else "all",
    )


class Least(NamedTuple):
    """The least time that is shown: in ns, or as a share of the tree's."""

    ns: int | None
    share: float | None

    def as_arguments(self) -> dict[str, Any]:
        """As ``min_ns`` and ``min_share``."""
        return {"min_ns": self.ns, "min_share": self.share}


def beside(words: Sequence[str]) -> tuple[str, ...]:
    """``--with args,cpu`` as words.

    Raises:
        UsageError: one of them is none.
    """
    if not words:
        return ()
    from kfgraph.render.rowvalues import WORDS

    asked = [word for given in words for word in given.split(",") if word]
    for word in asked:
        if word not in WORDS:
            raise UsageError(f"--with {word}: not one of {', '.join(WORDS)}", f"--with {','.join(WORDS)}")
    return tuple(word for word in WORDS if word in asked)


def least(text: str | None, *, all_: bool = False, max_rows: int | None = None) -> Least | None:
    """``--min``: ``100us`` -> 100000 ns, ``1%`` -> a share of 0.01; None where it was not given.

    Raises:
        UsageError: it is no time, or the options beside it contradict one another. To be called before
            the trace is read.
    """
    if all_ and max_rows:
        raise UsageError("--all and --max-rows contradict each other", "give one of them")
    if text is None:
        return None
    try:
        if text.strip().endswith("%"):
            share = float(text.strip()[:-1]) / 100
            if not 0 <= share <= 1:
                raise ValueError(f"{text!r} is not a share of 0% to 100%")
            return Least(None, share)
        return Least(parse_ns(text, default_unit="ns" if text.strip() == "0" else ""), None)
    except ValueError as problem:
        raise UsageError(f"--min: {problem}", "--min 100us, --min 1.5ms or --min 1%") from None


def check_hidden(tree: CallTree, hide: Sequence[str]) -> None:
    """Refuse names that took nothing out of the tree.

    Raises:
        NoMatchError: none of ``hide`` names a callee.
    """
    if hide and not tree.n_hidden:
        raise NoMatchError(f"--hide: no callee of {' or '.join(map(repr, hide))} in this tree", "leave it out")
