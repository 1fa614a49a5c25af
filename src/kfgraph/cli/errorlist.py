"""``kfgraph errors``: every call that returned an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from kfgraph.analyze.filters import OF_ERRORS, Filters
from kfgraph.cli import notes, options
from kfgraph.cli.declared import Group, Option
from kfgraph.cli.linking import links_on_terminal
from kfgraph.cli.no_effect import Idle, without_effect
from kfgraph.errors import NoMatchError
from kfgraph.model.spelling import json_text

EXAMPLES = """Examples:

kfgraph errors examples/cat-enoent.dat

kfgraph errors examples/insmod-foo-fail19.dat --module foo

kfgraph errors examples/cat-enoent.dat --ret ENOENT --json
"""
ROWS = 20
IDLE = (*options.NO_LINKS, Idle("json_", ("limit", *options.LINKED)))
MODULE = Option(
    ("--module",),
    "A module's name: as --of. Or its file (.ko, .xz, .zst, .gz, a directory): it names functions of a module "
    "that was gone when the trace was written; repeatable.",
    metavar="NAME|FILE",
)


def run(
    filters: Annotated[Filters, Group(OF_ERRORS)],
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    ret: Annotated[
        list[str] | None, Option(("--ret",), "Only this error (EINVAL, -22); repeatable.", metavar="ERR")
    ] = None,
    of: Annotated[
        list[str] | None, Option(("--of",), "Only functions of this module; repeatable.", metavar="MODULE")
    ] = None,
    unsure: Annotated[
        bool, Option(("--unsure",), "Also values that may be numbers: the function's type is not known.")
    ] = False,
    limit: Annotated[
        int | None, Option(("--limit",), f"Rows to show; 0: all. Default: {ROWS}.", metavar="N", least=0)
    ] = None,
    json_: options.Json = False,
    linking: options.HowLinked = options.AS_KNOWN,
    reading: Annotated[options.Reading, Group(instead={"module": MODULE})] = options.AS_DETECTED,
) -> None:
    """List every call that returned an error, how far the error propagated, and who handled it."""
    idle = without_effect(run, locals())
    from kfgraph.kernel.errnos import error_number

    numbers = [error_number(word) for word in ret or ()]
    words = reading.module or ()
    names = [word for word in words if _is_name(word)]
    files = [word for word in words if word not in names]
    loaded = options.open_trace(trace, reading._replace(module=files))
    from kfgraph.analyze.errorlist import errors

    rows = errors(loaded, ret=numbers, module=[*(of or ()), *names], unsure=unsure, **filters)
    if not rows:
        raise NoMatchError(f"{trace}: no call returned an error", "" if unsure else "--unsure shows what may be one")
    if json_:
        for row in rows:
            print(json_text(row.to_dict(loaded.meta.arch)))
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.errorlist import ErrorsView

        shown = ROWS if limit is None else limit or None
        stdout_console().print(ErrorsView(loaded, rows, shown, links_on_terminal(loaded, linking)))
    notes.conclude(loaded, idle, lambda: notes.damage_in(loaded, filters), strict=reading.strict)


def _is_name(word: str) -> bool:
    """Whether --module names a module, not a file of one."""
    return re.fullmatch(r"[\w-]+", word) is not None and not Path(word).exists()
