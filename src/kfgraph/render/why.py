"""``kfgraph why`` on a terminal: the answer first, then what it rests on."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from kfgraph.analyze.failure import Failed
from kfgraph.analyze.why import Step, Why
from kfgraph.analyze.whywords import (
    calls_before,
    label_of,
    may_have_begun_in,
    may_have_called,
    not_passed_on,
    path_of,
    summary,
)
from kfgraph.kernel.errnos import errno_name
from kfgraph.model.spelling import shell_word, spelt_out
from kfgraph.model.units import plural
from kfgraph.render.cells import cut_middle
from kfgraph.render.linked import link_style
from kfgraph.render.wrapping import with_command

if TYPE_CHECKING:
    from kfgraph.analyze.sourcelinks import SourceLinks

_ERROR = "bold red"
_CALL_ROOM, _REASON_ROOM = 16, 12
"""Columns at least of a failed call, and of what begins behind it."""
_MOST_LEVELS = 12
_MOST_NAMES = 4
"""A chain with more links is shown with its middle counted."""


def answer_lines(answer: Why, *, width: int | None = None) -> list[Text]:
    """The answer, and the way, cut in its middle to ``width``; or where it may have begun, the likeliest first."""
    said = summary(answer)
    lines = [Text(spelt_out(said[0]), "bold")] if said else []
    if len(said) > 1 and (answer.birth is None or len(path_of(answer)) > 1):
        way = spelt_out(said[1])
        lines.append(Text("  " + (cut_middle(way, width - 2) if width and answer.birth is not None else way)))
    return lines


class WhyView:
    """The whole story of ``answer``, to be printed with ``soft_wrap``: a command longer than a line stays whole.
    ``links``: where names lead."""

    def __init__(self, answer: Why, links: SourceLinks | None = None) -> None:
        self.answer, self._links = answer, links

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """The lines, each at most ``width`` columns but for a longer word, and a longer command to type."""
        answer = self.answer
        if answer.outcome == "nothing":
            yield from self._nothing(width)
            return
        yield from _wrapped(Text(sentence(answer), "bold"), width)
        if answer.error:
            yield from _wrapped(Text(f"  {answer.name_of(answer.error)}: {in_words(answer)}"), width)
        if answer.birth is not None and (source := answer.source_of(answer.birth.step)) is not None:
            said = f"  {answer.birth.step.function}: {source} ({source.origin}){self._called_at(answer.birth.step)}"
            yield from _wrapped(Text(spelt_out(said)), width)
        for doubt in answer.doubts:
            yield from _wrapped(Text(f"  not certain: {spelt_out(doubt)}", "yellow"), width)
        if answer.reason:
            yield from _wrapped(Text(f"  not known: {spelt_out(answer.reason)}", "yellow"), width)
        if len(answer.chain) > 1:
            yield Text()
            yield from self._chain(width)
        yield from self._around(width)
        yield from self._candidates(width)
        yield from self._modules(width)
        if answer.next:
            yield Text()
            yield from map(Text, with_command("to know more:", spelt_out(answer.next), width=width, indent=2))
        if answer.chain:
            root = shell_word(glob.escape(answer.chain[max(0, len(answer.chain) - 3)].symbol))
            command = f"kfgraph show {answer.trace.meta.as_typed} --root {root}"
            yield from map(Text, with_command("the calls around it:", command, width=width, indent=2))

    def _chain(self, width: int) -> Iterator[Text]:
        chain = self.answer.chain
        shown: list[tuple[int, Step | int]] = list(enumerate(chain))
        if len(chain) > _MOST_LEVELS:
            head, tail = 3, _MOST_LEVELS - 4
            shown = [*shown[:head], (head, len(chain) - head - tail), *shown[-tail:]]
        values = [self._value(step) for step in chain]
        wide = max(map(len, (*values, "returned")))
        yield Text("  returned".ljust(wide + 4) + "by", "underline")
        for at, (level, step) in enumerate(shown):
            if isinstance(step, int):
                said = f"  {'':{wide}}  {' ' * at}… {plural(step, 'call')} more, each handed it on"
                yield from _wrapped(Text(said), width)
                continue
            value = values[level]
            line = Text(f"  {value:{wide}}  ", _ERROR if step.error else "")
            source = self.answer.source_of(step)
            note = "" if step.evidence in ("return value", "") else f"  ({step.evidence})"
            note += f"  {spelt_out(str(source))}" if source is not None else ""
            born = " ← born here" if level == len(chain) - 1 else ""
            room = width - wide - 4 - at - len(born)
            name = spelt_out(label_of(step))
            label = f"{step.symbol} [{step.module}]" if step.module else step.symbol
            url = self._links.of(label) if self._links is not None else ""
            shown_name = cut_middle(name, max(room, 12))
            line.append(" " * at + shown_name, "bold" if born else "")
            if url:
                line.stylize(link_style("", url), len(line) - len(shown_name))
            line.append(born, _ERROR)
            # Where not all of it fits, the call is left out first.
            for more in (note + spelt_out(self._called_at(step)), note):
                if len(name) + len(more) <= room:
                    line.append(more, "dim")
                    break
            yield line

    def _called_at(self, step: Step) -> str:
        """``, called at drivers/foo.c:13``; "" where the line of the call is not known."""
        site = self.answer.call_site_of(step)
        return f", {site}" if site is not None and site.called_in is not None else ""

    def _value(self, step: Step) -> str:
        return self.answer.name_of(step.error) if step.error else step.value

    def _around(self, width: int) -> Iterator[Text]:
        answer = self.answer
        # Without types it is not known which registers hold arguments; --json has them.
        if answer.birth and "=" in answer.birth.arguments:
            yield from _wrapped(Text(f"  its arguments: {spelt_out(answer.birth.arguments)}"), width)
        if called := may_have_called(answer):
            yield from _wrapped(Text(f"  {spelt_out(called)}"), width)
        if before := calls_before(answer):
            yield from _wrapped(Text(f"  {spelt_out(before)}"), width)
        for title, steps in (("before it ran", answer.before), ("after it ran", answer.after)):
            if steps:
                words = ", ".join(spelt_out(self._with_value(step)) for step in steps)
                yield from _wrapped(Text(f"  {title}: {words}"), width)

    def _with_value(self, step: Step) -> str:
        value = self._value(step)
        return step.function if value in ("", "?") else f"{step.function} = {value}"

    def _candidates(self, width: int) -> Iterator[Text]:
        if said := may_have_begun_in(self.answer):
            yield from _wrapped(Text(f"  {spelt_out(said)}"), width)

    def _modules(self, width: int) -> Iterator[Text]:
        # Where nothing else failed the first is the answer.
        for at in range(self.answer.outcome == "nothing", len(self.answer.swallowed)):
            yield from _wrapped(Text(spelt_out(f"  {not_passed_on(self.answer, at)}, and its caller went on")), width)
        for said in never_ran(self.answer):
            yield from _wrapped(Text(f"  {spelt_out(said)}"), width)

    def _nothing(self, width: int) -> Iterator[Text]:
        answer = self.answer
        n = len(answer.failed)
        calls = plural(n, "system call")
        if not answer.swallowed:
            benign = f": {calls} failed in a way that is usual (--all)" if n else ""
            yield from _wrapped(Text(f"nothing failed{benign}", "bold"), width)
        else:
            yield from _wrapped(Text(spelt_out(summary(answer)[0]), "bold"), width)
            if n:
                yield from _wrapped(Text(f"  but for {calls}, in a way that is usual (--all)"), width)
        yield from self._modules(width)
        if answer.swallowed:
            root = shell_word(glob.escape(answer.swallowed[0].symbol))
            command = f"kfgraph why {answer.trace.meta.as_typed} --root {root}"
            yield from map(Text, with_command("to know more:", command, width=width, indent=2))


class FailedView:
    """Every failed system call, one line each, in time order."""

    def __init__(self, failed: tuple[Failed, ...], answer: Why) -> None:
        self.failed = failed
        self.answer = answer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        trace = self.answer.trace
        first = trace.meta.first_ns
        several = len({one.call.lane for one in self.failed}) > 1
        decided = self.answer.failure
        for one in self.failed:
            call = one.call
            at = f"{(call.start_ns - first) / 1e9:10.6f}" if call.start_ns >= 0 and first >= 0 else " " * 10
            line = Text(f"{at}  ")
            if several:
                line.append(f"{spelt_out(trace.tasks[call.lane].label)}  ", "dim")
            error, mark = f" = {self.answer.name_of(call.error)}", "  ← decided" if call is decided else ""
            # What it returned, and which it is, stays; what was called is cut, and then why it is benign.
            room = max(options.max_width - line.cell_len - cell_len(error + mark), _CALL_ROOM)
            line.append(cut_middle(spelt_out(call.shown), room))
            line.append(error, _ERROR if not one.benign else "")
            left = options.max_width - line.cell_len
            said = f"{mark} how it ended" if mark else f"  ({one.benign})" if one.benign else ""
            line.append(said if cell_len(said) <= left or (not mark and left >= _REASON_ROOM) else mark)
            line.no_wrap, line.overflow = True, "ellipsis"
            yield line


def sentence(answer: Why) -> str:
    """The answer in a sentence."""
    if answer.outcome == "unrecorded":
        return "not known whether anything failed"
    said = summary(answer)
    return spelt_out(said[0]) if said else "something failed"


def never_ran(answer: Why) -> Iterator[str]:
    """Which functions of each module did not run: a sentence for each, with the first names."""
    for module, names, n_ran in answer.never_ran:
        more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        first = ", ".join(names[:_MOST_NAMES]) + more
        here = " in the recorded tasks" if answer.has_failed else ""
        yield f"{n_ran:,} of {n_ran + len(names):,} functions of {module} ran{here}; not {first}"


def in_words(answer: Why) -> str:
    """What the error means."""
    number, arch = -answer.error, answer.trace.meta.arch
    if not errno_name(number, arch=arch) and errno_name(number):
        return f"{arch} has its own numbers of errors"
    text = os.strerror(number) if number < 512 else "never leaves the kernel"
    return f"{text}; {answer.meaning}" if answer.meaning else text


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    """The text in lines of ``width``, the later ones set in."""
    plain, style = text.plain, text.style
    indent = len(plain) - len(plain.lstrip())
    lines: list[str] = []
    for word in plain.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(" " * (indent + 2 if lines else indent) + word)
    for line in lines:
        yield Text(line, style)
