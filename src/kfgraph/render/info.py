"""``kfgraph info`` on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.analyze.failed_command import why_it_failed
from kfgraph.analyze.info import Info, TaskInfo
from kfgraph.analyze.owncost import OwnCost, own_cost
from kfgraph.analyze.wakers import who
from kfgraph.model.companion import Companion
from kfgraph.model.spelling import shell_line, spelt_out
from kfgraph.model.tasks import history_of
from kfgraph.model.units import format_count, format_ns, format_share, plural
from kfgraph.render.wrapping import wrapped

if TYPE_CHECKING:
    from kfgraph.analyze.why import Why

_LABEL_WIDTH = 10
_SHORT = 8
"""So many tasks and events unless all are asked for."""


@dataclass(frozen=True)
class InfoView:
    """What there is to say about a trace, a line or a few per subject.

    ``verbose``: every task and event, and ``loops``: name of a hot loop -> does it run compiled. ``answer``: why the
    command failed, where that is known already.
    """

    info: Info
    verbose: bool = False
    loops: Mapping[str, bool] | None = None
    answer: Why | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, subject = max(options.max_width - _LABEL_WIDTH, 20), ""
        for label, text, style in self.facts():
            subject = label or subject
            lines = wrapped(spelt_out(text), width, commands=subject in ("why", "notices"))
            for i, line in enumerate(lines):
                yield Text.assemble(((label if i == 0 else "").ljust(_LABEL_WIDTH), "bold"), (line, style))

    def facts(self) -> Iterator[tuple[str, str, str]]:
        """(label, text, style); the label is "" where a text goes on with the subject before."""
        info, trace, meta = self.info, self.info.trace, self.info.trace.meta
        style = "bold red" if trace.companion is not None and trace.companion.exit_status else "bold"
        for i, line in enumerate(why_it_failed(trace, self.answer)):
            yield "" if i else "why", line, "" if i else style
        yield "trace", f"{meta.path} (read as {meta.reader})", ""
        origin = [meta.kernel, meta.arch, meta.host and f"host {meta.host}"]
        yield "kernel", ", ".join(filter(None, origin)) or "not told", ""
        if meta.recorder:
            yield "made by", meta.recorder, ""
        unit = "" if meta.clock_unit == "ns" else f", in {meta.clock_unit} of unknown length: no times"
        span = f", {format_ns(meta.last_ns - meta.first_ns)} long" if 0 <= meta.first_ns <= meta.last_ns else ""
        yield "clock", f"{meta.clock or 'not told'}{unit}{span}", ""
        n_cpus = max(meta.n_cpus, len(info.cpus))
        yield "CPUs", f"{n_cpus or 'not told'}{self._cpus_seen(n_cpus)}", ""
        yield "calls", self._calls(), ""
        yield "recorded", self._recorded(), ""
        yield self._losses()
        if info.tracing is not None:
            taken, error = (ns / info.tracing.work_ns for ns in (info.tracing.ns, info.tracing.error_ns))
            said = f"≈ {format_share(taken)} ± {format_share(error)} of the time at work went into tracing: "
            yield "tracing", f"{said}≈ {info.tracing.cost} (--compensate)", ""
        yield from self._tasks()
        yield from self._waits()
        yield from self._events()
        if trace.companion is not None:
            yield from _recording(trace.companion, own_cost(trace))
        elif trace.probed:
            cost = own_cost(trace)
            took = f": setting them took {cost.at_most}, in no time above" if len(cost) else ""
            yield "probes", f"return probes in a module that was loaded{took}", ""
        for i, notice in enumerate(trace.notices):
            hint = f" ({notice.hint})" if notice.hint else ""
            yield "" if i else "notices", f"{notice.sentence}{hint}", "yellow"
        if self.verbose:
            yield from self._details()

    def _cpus_seen(self, n_cpus: int) -> str:
        seen = ", ".join(map(str, self.info.cpus))
        return f", calls on {seen}" if 0 < len(self.info.cpus) < n_cpus else ""

    def _calls(self) -> str:
        info = self.info
        text = f"{format_count(info.n_calls)} of {plural(info.n_functions, 'function')}"
        if not info.n_calls:
            return text
        text += f", {plural(info.n_roots, 'root')}, up to {plural(info.max_level + 1, 'level')} deep"
        n_unprinted = info.trace.n_unprinted
        if n_unprinted:
            text += f", durations of {format_count(n_unprinted)} not printed"
        if n_unfinished := info.trace.n_unfinished - n_unprinted:
            text += f", {format_count(n_unfinished)} unfinished"
        if info.n_unresolved:
            text += f", {plural(info.n_unresolved, 'function')} without a name"
        return text

    def _recorded(self) -> str:
        info = self.info
        retvals = f"return values of {plural(info.n_retvals, 'call')}" if info.n_retvals else "no return values"
        irqs = "interrupt context"
        if "unknown" in info.contexts:
            by_name = info.flags.get("INTERRUPT", 0)
            irqs += " not told" + (f": {plural(by_name, 'interrupt')} by name" if by_name else "")
        return f"{retvals}, {'arguments' if info.has_args else 'no arguments'}, {irqs}"

    def _losses(self) -> tuple[str, str, str]:
        trace = self.info.trace
        said = []
        if trace.n_lost_marks:
            counted = f"{format_count(trace.n_lost_counted)} of them counted"
            long, lost_ns = trace.meta.last_ns - trace.meta.first_ns, trace.losses.covered_ns
            if lost_ns and 0 <= trace.meta.first_ns < trace.meta.last_ns:
                counted += f", in {format_ns(lost_ns)} ({format_share(lost_ns / long)} of the time)"
            said.append(f"records lost at {plural(trace.n_lost_marks, 'place')}, {counted}")
        if trace.meta.n_overrun > 0:
            said.append(f"{format_count(trace.meta.n_overrun)} overwritten before they were read")
        if said:
            return "lost", "; ".join(said) + ": trees are incomplete there", "bold yellow"
        return "lost", "no loss is recorded", ""

    def _tasks(self) -> Iterator[tuple[str, str, str]]:
        tasks = self.info.tasks
        calling = sum(task.n_calls > 0 for task in tasks)
        shown = tasks if self.verbose else tasks[: min(calling, _SHORT) or 1]
        for i, task in enumerate(shown):
            yield "" if i else "tasks", _task(task), ""
        if len(tasks) > len(shown):
            n = sum(task.n_calls for task in tasks[len(shown) :])
            more = plural(len(tasks) - len(shown), "more task")
            yield "", f"… {more} with {plural(n, 'call')} (--verbose)", "dim"

    def _waits(self) -> Iterator[tuple[str, str, str]]:
        """Who slept until whom."""
        trace, waits = self.info.trace, self.info.waits
        shown = waits if self.verbose else waits[:_SHORT]
        for i, one in enumerate(shown):
            until = ""
            if one.waker.lane >= 0:
                by = who(trace, one.waker) if one.waker.is_interrupt else trace.tasks[one.waker.lane].label
                until = f", until {by} woke it"
            times = plural(one.n, "time")
            label = trace.tasks[one.lane].label
            yield "" if i else "waits", f"{label}: asleep {format_ns(one.asleep_ns)} in {times}{until}", ""
        if len(waits) > len(shown):
            rest = format_ns(sum(one.asleep_ns for one in waits[len(shown) :]))
            yield "", f"… {plural(len(waits) - len(shown), 'more line')}, {rest} (--verbose)", "dim"

    def _events(self) -> Iterator[tuple[str, str, str]]:
        events = list(self.info.events.items())
        if not events:
            return
        shown = events if self.verbose else events[:_SHORT]
        text = ", ".join(f"{name} {format_count(n)}" for name, n in shown)
        rest = f", … {plural(len(events) - len(shown), 'more kind')} (--verbose)" if len(events) > len(shown) else ""
        yield "events", text + rest, ""

    def _details(self) -> Iterator[tuple[str, str, str]]:
        for i, (name, value) in enumerate(self.info.trace.meta.details.items()):
            yield "" if i else "details", f"{name}: {value}", ""
        for i, (name, n) in enumerate(self.info.flags.items()):
            yield "" if i else "flags", f"{name} on {plural(n, 'call')}", ""
        for i, (name, compiled) in enumerate((self.loops or {}).items()):
            yield "" if i else "loops", f"{name}: {'compiled' if compiled else 'plain Python, slower'}", ""


def _task(task: TaskInfo) -> str:
    mark = {True: ", the command's", False: ", not the command's", None: ""}[task.of_command]
    time = format_ns(task.root_ns) if task.root_ns >= 0 else "unknown time"
    if task.least_ns > task.root_ns and task.least_ns:
        time = f"≥ {format_ns(task.least_ns)}"
    if not task.n_calls:
        return f"{history_of(task.formerly)}{task.label}: no calls{mark}"
    label = history_of(task.formerly) + task.label
    return f"{label}: {plural(task.n_calls, 'call')}, {time} in outermost calls{mark}"


def _recording(companion: Companion, cost: OwnCost) -> Iterator[tuple[str, str, str]]:
    status = companion.exit_status
    ended = "" if status is None else f" (exit status {status})"
    yield "command", f"{shell_line(companion.argv) or 'not told'}{ended}", ""
    if companion.trace_cmd:
        yield "recorder", shell_line(companion.trace_cmd), ""
    if companion.partial:
        yield "partial", companion.partial, "bold yellow"
    if companion.probes:
        missed = sum(probe.n_missed for probe in companion.probes)
        said = f", {plural(missed, 'hit')} missed" if missed else ""
        said += f"; setting them took {cost.at_most}, in no time above" if len(cost) else ""
        yield "probes", f"{plural(len(companion.probes), 'return probe')}{said}", ""
    for i, module in enumerate(companion.modules):
        named = plural(len(module.functions), "function")
        yield "" if i else "modules", f"{module.name}: {module.path}, {named}, build id {module.build_id or 'none'}", ""
    for i, note in enumerate(companion.notes):
        yield "" if i else "notes", note, ""
