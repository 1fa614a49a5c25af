"""Text as the tracer printed it, of text as people keep it: quoted, numbered, stamped, coloured, re-encoded.

A prefix that all lines share in kind (``> `` of a mail, ``[   12.345678] `` of dmesg, ``12:`` of grep, and these behind
one another; any other that :mod:`kfgraph.parse.prefixes` can tell from a record) is found out from the first lines,
taken off, and said in a notice. What does not have it stays as it is: the scanners leave out what they do not
understand. Nothing is taken off a text whose lines are read without that.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from kfgraph.errors import Notice, notice
from kfgraph.parse.input import Input
from kfgraph.parse.prefixes import count_whole, has_even_indents, learnt, nothing_is_left
from kfgraph.parse.shapes import BARE, begins_with_task, common_indent, is_bare, is_html, is_record, likely_lines

_SAMPLE = 100
_DEEPEST = 4
"""Prefixes behind one another that are looked for."""
_MAX_LINE = 1 << 20
_LOOK_ON = 16 << 20

_CLOCK = rb"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_ISO = rb"\d{4}-\d\d-\d\d[T ]" + _CLOCK + rb"(?:Z| ?[+-]\d\d:?\d\d)?"
_BSD = rb"[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?" + _CLOCK
@cache
def _prefixes() -> tuple[tuple[re.Pattern[bytes], re.Pattern[bytes]], ...]:
    """Compiled when a text is not read as it is. Each with a blank behind it, and without."""
    kinds = (
        rb"\w{0,8}>+",
        rb"(?:<\d{1,3}>)?\[ *\d+\.\d+(?: *<[ +\d.]+>)?\](?: ?\[ *[TC]\d+\])?",
        rb"<\d{1,3}>",
        rb"\[ *\d+\.\d+,\d+\]",
        rb"\d\d-\d\d " + _CLOCK + rb" +\d+ +\d+ [A-Z] \S* *:",
        rb"\d{1,12}\.\d{3,9}(?= )",
        rb"\[[\w./-]{1,20}\]",
        rb"[\w.-]{1,40} +\|(?= )",
        rb"\d+\)(?= +\d+\))",
        rb"\[[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ " + _CLOCK + rb" \d{4}\]",
        rb"\[(?: *\+\d+\.\d+|[A-Z][a-z]{2} *\d+ \d\d:\d\d)\]",
        rb"(?:<\d{1,3}>)?(?:\d )?(?:" + _ISO + rb"|" + _BSD + rb")(?: \S{1,80})? kernel(?:\[\d+\])?:",
        rb"\[?(?:" + _ISO + rb"|" + _BSD + rb"|" + _CLOCK + rb")\]?:?",
        rb"(?:[^\s:|]{1,80} )?kernel(?:\[\d+\])?:",
        rb"[a-z]{1,8} *:[a-z]{1,8} *:",
        rb" *\d+(?:[:|-]|\.(?!\d)|\t| *\xe2\x94\x82| \||(?= )(?! us))",
        rb"(?!\d+[:-])[^\s:|]{1,160}?[:-]\d+[:-]",
        rb"(?!\d+:)[^\s:|]{1,160}:",
        rb"(?:[|*;:%~]|//|--)",
        rb" [|*]",
        rb"[+#!-]",
    )
    begins = [rb"^ ?(?:" + kind + rb")" for kind in kinds]
    return tuple((re.compile(begin + rb"(?: |$)", re.MULTILINE), re.compile(begin, re.MULTILINE)) for begin in begins)


_IN_COMM = tuple(
    re.compile(rb"(?:" + kind + rb") ?")
    for kind in (
        rb"\w{0,8}>+",
        rb"\[ *\d+\.\d+\]",
        rb"<\d{1,3}>",
        rb" *(\d+)(?:[:|.)]|\t| *\xe2\x94\x82| \||(?= ))",
        rb"[^\s:|]{1,12}\.\w{1,4}:(\d+):",
        rb"kernel:(?= )",
        rb"//|--",
        rb" ?[|*;:%~+#!`-](?= )",
    )
)
"""What a comm begins with only by chance: with the padding gone it would be read as part of one."""
_NAMED_HEADING = re.compile(rb"^(?P<name> *[^\s:]{1,80}: )(?:cpus=|version = )\d+ *$", re.MULTILINE)
_QUOTED_BLOCK = re.compile(rb"^((?: ?\w{0,8}>)+)(?= |\r?$)[^\n]*(?:\n\1(?= |\r?$)[^\n]*)*", re.MULTILINE)
_QUOTED = re.compile(rb"^([`'\"])([^\n]*)\1(,?\r*)$", re.MULTILINE)
_ENDING = re.compile(rb"(?<=[^\s])(?:\$| +\||\\n|(?:\\n)?[\"'])([ \r]*)$", re.MULTILINE)
_ENDS = (b"$", b"|", b"\\n", b'"', b"'")
_FENCE = re.compile(rb"^ *(?:```|~~~)[^\n]*\n?", re.MULTILINE)
_INDENT = re.compile(rb"^( +)(?:# tracer:|cpus=\d|version = )", re.MULTILINE)
_ANSI = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()][A-Z0-9])")
_ENTITIES = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&#39;", b"'"), (b"&nbsp;", b" "), (b"&amp;", b"&"))


def _without_colours(data: bytes) -> bytes:
    return _ANSI.sub(b"", data)


def _without_entities(data: bytes) -> bytes:
    for entity, character in _ENTITIES:
        data = data.replace(entity, character)
    return data


def _with_plain_blanks(data: bytes) -> bytes:
    return data.replace(b"\xc2\xa0", b" ")


def _without_tabs(data: bytes) -> bytes:
    return data.expandtabs(8)


def _without_zeros(data: bytes) -> bytes:
    return data.replace(b"\0", b"")


def _without_endings(data: bytes) -> bytes:
    # Most lines end in what no ending is: to look at that is much quicker than to search them.
    return data if b"\n" not in data and not data.rstrip(b" \r").endswith(_ENDS) else _ENDING.sub(rb"\1", data)


def _without_quotes(data: bytes) -> bytes:
    return _QUOTED.sub(rb"\2", data)


_FORMS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("terminal escape sequences", _without_colours),
    ("HTML entities", _without_entities),
    ("no-break spaces", _with_plain_blanks),
    ("NUL bytes", _without_zeros),
    ("quotes around lines", _without_quotes),
    ("marks at the ends of lines", _without_endings),
    ("tabs", _without_tabs),
)
"""What can stand in place of plain characters, and how they are got back."""
_SILENT = frozenset(("tabs",))



class _Quotes:
    """Takes off what a block of lines is quoted by, where they are records without it, once ``later`` is done to them.

    Each block may be quoted as deep as it likes, as answers to answers are.
    """

    def __init__(self, later: list[Step]) -> None:
        self._later = later
        self.n_lines = 0

    def __call__(self, data: bytes) -> bytes:
        self.n_lines = 0
        if b">" not in data:
            return data
        return _QUOTED_BLOCK.sub(self._bare, data)

    def _bare(self, block: re.Match[bytes]) -> bytes:
        lines = block[0].split(b"\n")
        bare = [line.removeprefix(block[1]).removeprefix(b" ") for line in lines]
        likely = [at for at, line in enumerate(lines) if likely_lines(line, 1)][:_SAMPLE]
        n_read = sum(self._reads(bare[at]) for at in likely)
        # One line among others is none of theirs.
        if n_read < 2 or any(self._reads(lines[at]) for at in likely):
            return block[0]
        self.n_lines += len(lines)
        return b"\n".join(bare)

    def _reads(self, line: bytes) -> bool:
        for step in self._later:
            line = _applied(step, line)
        return is_record(line) or bool(BARE.match(line))


Step = re.Pattern[bytes] | Callable[[bytes], bytes]
_Choice = tuple[re.Pattern[bytes], re.Pattern[bytes]] | Callable[[bytes], bytes]


class PlainText:
    """A text source with what hides its records taken off; ``head``, ``n_bytes``, ``chunks``, ``notices`` as Input."""

    def __init__(self, source: Input) -> None:
        self.name, self.path, self.n_bytes = source.name, source.path, source.n_bytes
        self._source = source
        self._encoding = _encoding_of(source.head)
        self._n_mark = len(codecs.BOM_UTF8) if source.head.startswith(codecs.BOM_UTF8) else 0
        self._lone_cr = False
        self._steps: list[Step] = []
        self._silent: list[Step] = []
        self._n_prefixed = 0
        self._prefix = b""
        self.head = self._found_out(source.head)

    def look_on(self) -> bool:
        """Read on for the first record (a log begins long before it): whether more of the text came."""
        if b"\0" in self._source.head[:4096] and not self._encoding:
            return False
        while (seen := len(self._source.head)) < _LOOK_ON and self._source.look_on():
            # A whole number of lines and of characters earlier, so that a record between two reads is seen.
            new = self._source.head[(seen - 4096) & ~1 :]
            new = new[new.find(b"\n") + 1 :]
            if self._encoding:
                new = new[1:] if self._encoding == "utf-16-le" else new
            if likely_lines(self._decoded(new), 1):
                self.head = self._found_out(new)
                return True
        return False

    def chunks(self) -> Iterator[bytes]:
        """All of it, once, whole lines at a time where something has to be taken off."""
        if not (self._encoding or self._steps or self._lone_cr):
            yield from self._plain_chunks()
            return
        self._n_prefixed = 0
        rest = b""
        for text in self._plain_chunks():
            data = rest + (text.replace(b"\r", b"\n") if self._lone_cr else text)
            end = data.rfind(b"\n") + 1
            if not end and len(data) > _MAX_LINE:
                end = len(data)
            rest = data[end:]
            if end:
                yield self._stripped(data[:end])
        if rest:
            yield self._stripped(rest)

    def _plain_chunks(self) -> Iterator[bytes]:
        """The chunks in UTF-8, or as they are, without the mark at the beginning."""
        at = self._n_mark
        if not self._encoding:
            for chunk in self._source.chunks():
                yield chunk[at:] if at else chunk
                at = 0
            return
        decoder = codecs.getincrementaldecoder(self._encoding)("replace")
        for chunk in self._source.chunks():
            yield decoder.decode(chunk).encode("utf-8", "replace").removeprefix(codecs.BOM_UTF8)

    def notices(self) -> list[Notice]:
        """What was taken off, and what went wrong while reading."""
        found = self._source.notices()
        if self._n_prefixed:
            shown = repr(self._prefix.decode("utf-8", "replace"))
            found.append(notice("text-prefix", self._n_prefixed, details={"first": shown}, like=shown))
        forms = [name for name, form in _FORMS if form in self._steps and name not in _SILENT]
        if forms:
            found.append(notice("text-form", forms=" and ".join(forms)))
        return found

    def _found_out(self, head: bytes) -> bytes:
        """The head as it is read; sets what has to be taken off."""
        head = self._decoded(head)
        self._steps, self._silent = _with_quotes(_steps_for(head), head), []
        self._prefix = self._example(head)
        end = head.rfind(b"\n") + 1
        plain = self._stripped(head[:end]) + head[end:] if self._steps else head
        first = likely_lines(plain, 1)
        fence = _FENCE.search(plain) if b"```" in plain or b"~~~" in plain else None
        more: list[Step] = []
        if fence and first and fence.start() < plain.find(first[0]):
            more.append(_FENCE)
            plain = _FENCE.sub(b"", plain)
        indent = _INDENT.search(plain)
        n_blanks = len(indent[1]) if indent else common_indent(plain) if is_bare(plain) else 0
        if n_blanks:
            blanks = re.compile(rb"^ {%d}" % n_blanks, re.MULTILINE)
            more.append(blanks)
            plain = blanks.sub(b"", plain)
        self._steps += more
        self._silent = more
        self._n_prefixed = 0
        return plain

    def _decoded(self, head: bytes) -> bytes:
        if self._encoding:
            head = head[: len(head) & ~1].decode(self._encoding, "replace").encode("utf-8", "replace")
        head = head.removeprefix(codecs.BOM_UTF8)
        self._lone_cr = b"\n" not in head and head.count(b"\r") > 1
        return head.replace(b"\r", b"\n") if self._lone_cr else head

    def _example(self, data: bytes) -> bytes:
        """What is taken off the first line that has it."""
        for line in data.split(b"\n"):
            taken = b""
            for step in self._steps:
                before, line = line, _applied(step, line)
                if isinstance(step, (re.Pattern, _Quotes)) and step not in self._silent:
                    taken += before.removesuffix(line)
            if taken:
                return taken[:80]
        return b""

    def _stripped(self, data: bytes) -> bytes:
        most = 0
        for step in self._steps:
            if not isinstance(step, re.Pattern):
                data = step(data)
                most = max(most, step.n_lines) if isinstance(step, _Quotes) else most
            elif step in self._silent:
                data = step.sub(b"", data)
            else:
                data, n = step.subn(b"", data)
                most = max(most, n)
        self._n_prefixed += most
        return data


def _encoding_of(head: bytes) -> str:
    """The name of an encoding that has to be undone: UTF-16 by its mark or by its zeros; "" for plain bytes."""
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    sample = head[:2048]
    even, odd = sample[0::2], sample[1::2]
    if len(odd) > 8:
        if odd.count(0) > 0.9 * len(odd) and not even.count(0):
            return "utf-16-le"
        if even.count(0) > 0.9 * len(even) and not odd.count(0):
            return "utf-16-be"
    return ""


def _steps_for(head: bytes) -> list[Step]:
    """What makes most of the lines that look like records readable; nothing where they are so already."""
    lines = likely_lines(head, _SAMPLE)
    if not lines:
        return []
    is_readable: Callable[[bytes], object] = is_record
    n, found = _search(lines, is_readable, _DEEPEST)
    if not n:
        is_readable = BARE.match
        n, found = _search(lines, is_readable, _DEEPEST)
    steps: list[Step] = []
    everything = [line[:400].rstrip(b"\r") for line in head[: head.rfind(b"\n") + 1].split(b"\n")[: 4 * _SAMPLE]]
    if n and not found:
        everything = [line for line in everything if line.strip()]
        steps = _one_name(head) or _in_comms(lines, everything)
    if general := _general(lines, everything, [*steps, *found], n if is_readable is is_record else 0):
        return general
    for step in steps:
        lines = [_applied(step, line) for line in lines]
    for choice in found:
        if isinstance(choice, tuple):
            # The blank belongs to the prefix where all that begin so have it: headings, too.
            spaced, plain = (sum(bool(variant.match(line)) for line in everything) for variant in choice)
            steps.append(choice[0] if spaced == plain else choice[1])
        else:
            steps.append(choice)
        lines = [_applied(steps[-1], line) for line in lines]
        everything = [_applied(steps[-1], line) for line in everything]
    n = _count(lines, is_readable)
    for _, form in _FORMS:
        changed = [form(line) for line in lines]
        if changed != lines and _count(changed, is_readable) > n:
            n, lines = _count(changed, is_readable), changed
            steps.append(form)
    if sum(_without_endings(line) != line for line in lines) >= 0.95 * len(lines):
        steps.append(_without_endings)
    if _without_entities not in steps and b"&" in head and is_html(head):
        steps.append(_without_entities)
    # What is left of a number's column would be read as depth.
    return steps if is_readable is is_record or has_even_indents(everything) else []


def _with_quotes(steps: list[Step], head: bytes) -> list[Step]:
    """``steps``, and what takes off the quotes of blocks that are quoted deeper than the others, or alone."""
    known = [at for at, step in enumerate(steps, 1) if isinstance(step, re.Pattern) and step.match(b"> ")]
    for at in range(len(steps) + 1):
        quotes = _Quotes(steps[at:])
        if at == known[-1] if known else quotes(head) != head:
            return [*steps[:at], quotes, *steps[at:]]
        if at < len(steps):
            step = steps[at]
            head = step.sub(b"", head) if isinstance(step, re.Pattern) else step(head)
    return steps


def _one_name(head: bytes) -> list[Step]:
    """A name before every line, headings too, is no buffer's: those of the main one have blanks in its place."""
    is_there = b": cpus=" in head or b": version = " in head
    heading = _NAMED_HEADING.search(head) if is_there else None
    if heading is None:
        return []
    lines = head[: head.rfind(b"\n")].split(b"\n")
    named = all(line.startswith(heading["name"]) for line in lines if line.strip())
    return [re.compile(rb"^" + re.escape(heading["name"]), re.MULTILINE)] if named else []


def _general(lines: list[bytes], everything: list[bytes], known: list[Any], n: int) -> list[Step]:
    """A prefix of no known kind, where those known leave records unread or header lines behind something."""
    plain, records = everything, lines
    for choice in known:
        step = choice[1] if isinstance(choice, tuple) else choice
        plain, records = ([_applied(step, line) for line in some] for some in (plain, records))
    if n >= 0.95 * count_whole(lines) and nothing_is_left(records, plain):
        return []
    for form in (None, *(form for _, form in _FORMS)):
        changed = [form(line) for line in lines] if form else lines
        if form and 2 * sum(new != old for new, old in zip(changed, lines, strict=True)) < len(lines):
            continue
        prefix = learnt(changed, [form(line) for line in everything] if form else everything)
        if prefix is not None:
            return [form, prefix] if form else [prefix]
    return []


def _in_comms(lines: list[bytes], everything: list[bytes]) -> list[Step]:
    """What every line begins with and a task's name would begin with if it stayed."""
    steps: list[Step] = []
    n, lines = len(lines), [line for line in lines if begins_with_task(line)]
    while len(steps) < _DEEPEST and len(lines) >= 0.5 * n and all(begins_with_task(line) for line in lines):
        step = next((choice for choice in _beginnings(everything) if _leaves_tasks(choice, lines)), None)
        if step is None:
            break
        steps.append(step)
        lines, everything = ([_applied(step, line) for line in some] for some in (lines, everything))
    return steps


def _leaves_tasks(step: Step, lines: list[bytes]) -> bool:
    return all(begins_with_task(line, is_padded=True) for line in (_applied(step, line) for line in lines))


def _beginnings(everything: list[bytes]) -> Iterator[Step]:
    """What all lines have before, or around, what they say. Numbers count."""
    if all(map(_QUOTED.match, everything)):
        yield _without_quotes
    for kind in _IN_COMM:
        found = [match for match in map(kind.match, everything) if match]
        if len(found) < len(everything):
            continue
        if kind.groups and len(found) > 1 and len({match[1] for match in found}) == 1 and b")" not in found[0][0]:
            continue
        blank = rb" " if all(match[0].endswith(b" ") for match in found) else rb""
        yield re.compile(rb"^" + kind.pattern.removesuffix(b" ?") + blank, re.MULTILINE)


def _search(lines: list[bytes], is_readable: Callable[[bytes], object], depth: int) -> tuple[int, list[_Choice]]:
    """(how many lines become readable, by which steps), the fewest steps first."""
    best: tuple[int, list[_Choice]] = (_count(lines, is_readable), [])
    if not depth or best[0] >= 0.8 * len(lines):
        return best
    # What only writes characters in another way comes first: it takes nothing off.
    forms = [form for _, form in _FORMS]
    # But for the blanks of a tab, which would be read as depth.
    known = _prefixes()
    choices: list[_Choice] = [*forms, *known] if is_readable is is_record else [*forms[:-1], *known, forms[-1]]
    for choice in choices:
        changed = [_applied(choice[1] if isinstance(choice, tuple) else choice, line) for line in lines]
        if 2 * sum(new != old for new, old in zip(changed, lines, strict=True)) < len(lines):
            continue
        n, more = _search(changed, is_readable, depth - 1)
        if n > best[0]:
            best = n, [choice, *more]
            if n >= 0.95 * len(lines):
                break
    return best


def _applied(step: Step, line: bytes) -> bytes:
    return step.sub(b"", line, count=1) if isinstance(step, re.Pattern) else step(line)


def _count(lines: list[bytes], is_readable: Callable[[bytes], object]) -> int:
    return sum(bool(is_readable(line)) for line in lines)
