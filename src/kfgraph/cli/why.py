"""``kfgraph why``: why a command failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from kfgraph.analyze.filters import OF_WHY, Filters
from kfgraph.cli import inputs, notes, options, progressbar
from kfgraph.cli.declared import Group, Option
from kfgraph.cli.linking import links_on_terminal
from kfgraph.cli.no_effect import Idle, without_effect
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model.spelling import json_text

if TYPE_CHECKING:
    from kfgraph.analyze.why import Why

EXAMPLES = """Examples:

kfgraph why examples/insmod-foo-fail19.dat

kfgraph why examples/cat-enoent.dat --all

kfgraph why examples/insmod-foo-fail19.dat --root foo_probe --json

sudo kfgraph why -- insmod foo.ko

kfgraph why examples/insmod-foo-fail19.dat --source examples/foo

sudo kfgraph why --again -- cat /nonexistent
"""

NO_LINKS = [Idle(one, ("link",)) for one in ("json_", "all_", "text", "no_links")]
IDLE = (*options.IDLE, Idle("json_", ("text", "all_")), Idle("all_", ("text", "debuginfo", "source")), *NO_LINKS)


def run(
    filters: Annotated[Filters, Group(OF_WHY)],
    trace: options.TraceArgument = options.DEFAULT_TRACE,
    ret: Annotated[str | None, Option(("--ret",), "The last call that returned ERR (EINVAL).", metavar="ERR")] = None,
    all_: Annotated[bool, Option(("--all",), "Every failed system call, in time order, a line each.")] = False,
    guest: Annotated[bool, Option(("--guest",), "Run COMMAND in a throwaway virtual machine.")] = False,
    again: Annotated[
        bool, Option(("--again",), "Run COMMAND up to twice more, with return probes, until it is known.")
    ] = False,
    text: Annotated[bool, Option(("--text",), "Plain text for a bug report, without colours.")] = False,
    json_: options.Json = False,
    reading: options.HowRead = options.AS_DETECTED,
    debuginfo: options.DebugInfo = None,
    source: options.SourceTrees = None,
    linking: Annotated[options.Linking, Group(("link", "no_links"))] = options.AS_KNOWN,
    *,
    command: tuple[str, ...] = (),
) -> int:
    """Explain why the command failed: the failed call, and the origin and path of the error.

    kfgraph why -- COMMAND records the command first, into TRACE, and passes on its exit status.
    """
    idle = without_effect(run, locals())
    from kfgraph.kernel.errnos import error_number

    error = error_number(ret) if ret is not None else 0
    if all_ and (filters.get("root") or error):
        raise UsageError("--all lists system calls: --root and --ret ask for one call", "leave --all out")
    status = None
    if command:
        from kfgraph.cli import trace as tracing

        inputs.check_files(modules=reading.module, btf=reading.btf, debug_info=debuginfo, trees=source)
        status = tracing.run(command=list(command), output=trace, quiet=True, guest=guest)
    elif option := "--guest" if guest else "--again" if again else "":
        raise UsageError(f"{option} runs a command", f"kfgraph why {option} -- insmod foo.ko")

    def explained() -> Why:
        loaded = options.open_trace(trace, reading)
        from kfgraph.analyze.sources import with_sources
        from kfgraph.analyze.why import why

        with progressbar.shown("looking for what failed", quiet=reading.quiet):
            answer = why(loaded, error=error, **filters)
        return with_sources(answer, debug_info=debuginfo or (), trees=source or ())

    answer = explained()
    if command:
        from kfgraph.cli.again import until_known

        def with_probes(functions: Sequence[str]) -> Why:
            tracing.run(command=list(command), output=trace, quiet=True, guest=guest, returns=list(functions))
            return explained()

        answer = until_known(answer, command=command, wanted=again, run=with_probes)
    if json_:
        print(json_text(answer.to_dict()))
    else:
        from kfgraph.render.console import stdout_console
        from kfgraph.render.why import FailedView, WhyView

        console = stdout_console()
        if text:
            console.no_color, console.width = True, 160
        if all_ and not answer.failed:
            hint = "kfgraph trace --syscalls records system calls"
            raise NoMatchError(f"{trace}: no failed system call was recorded", hint)
        links = None if text else links_on_terminal(answer.trace, linking, known=answer.sources)
        console.print(FailedView(answer.failed, answer) if all_ else WhyView(answer, links), soft_wrap=not all_)
    notes.conclude(answer.trace, idle, lambda: notes.damage_in(answer.trace, filters), strict=reading.strict)
    return status if status is not None else 0 if all_ else answer.exit_code
