"""A prefix of any shape, learnt from where the columns of records must begin.

The tracer pads its columns: behind a prefix they show where the record begins, and what stands before that on (nearly)
all lines, numbers aside, is the prefix. Without padding only a header line (``# tracer:``, ``cpus=2``) tells that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from kfgraph.parse.shapes import BODY, DURATION, GRAPH, LETTERS, NAME, is_record

_ENOUGH = 0.95
_LONGEST = 300
_COMM_WIDTH, _RAW_COMM_WIDTH, _TASK_WIDTH, _DURATION_WIDTH = 16, 8, 15, 14
_REPORT = re.compile(rb"-\d+ +\[\d+\][^\n:|]{0,40}: +(?:\(\+\d+\) +)?\w+:")
_RAW_REPORT = re.compile(rb"-\d+ +\d+(?:-0x[0-9a-f]|[.dDbBX][.nNpPlLbBrRS])[^\n:|]{0,40}: +(?:\(\+\d+\) +)?\w+:")
_WHOLE_END = re.compile(rb"(?:[;{}]|\*/)[ \r]*$|[)|] *(?:=+>|<=+)")
_FIRST_NUMBER = re.compile(rb"(?<![\d.])\d+(?=\.\d{6} +\|| us +\||\))")
_IDLE = re.compile(rb"<idle>-0 +(?:\[\d+\] |\d+(?:-0x|[.dDbBX][.nNpPlLbBrRS]))|<idle>-0 *(?P<bar>\|)")
_BEFORE_IDLE = re.compile(rb"\d\) *$|\|")
_BUFFER = re.compile(rb" *(?![\d.,]+:)[^\s:]{1,80}:")
_HEADER = re.compile(rb"# tracer: \w+ *$|# [ \w/-]*FUNCTION CALLS *$|(?:cpus=|version = )\d+ *$")
_TOKEN = re.compile(rb"( *)(\w+|[^ ])")
_WORDS_OF_DATES = (
    rb"(?:AM|PM|am|pm)",
    rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
)


class _Patterns(NamedTuple):
    """Where columns end; ``not_first``: what stands before one that is not the first."""

    task: re.Pattern[bytes]
    duration: re.Pattern[bytes]
    duration_field: re.Pattern[bytes]
    bare: re.Pattern[bytes]
    not_first: re.Pattern[bytes]


@cache
def _patterns() -> _Patterns:
    """Compiled when a text is not read as it is: that takes a hundredth of what reading a small one takes."""
    return _Patterns(
        task=re.compile(rb"-\d+( *)\|(?=(?:%b)?(?:%b)?%b)" % (LETTERS, DURATION, BODY)),
        duration=re.compile(rb"(?<=  )\|(?=%b)" % BODY),
        duration_field=re.compile(rb"[-+!#*@$ ] *\d+(?:\.\d+)? us *| *"),
        bare=re.compile(rb"(?<![\w.$])(?:%b\([^()\n]*\)(?: \{|;)|\})(?: /\*[^\n]*\*/)?[ \r]*$" % NAME),
        not_first=re.compile(rb"funcgraph_e|fgraph_ret|-\d+ *\|$|\d us *\|?$|(?:^|[ |])%b$" % LETTERS),
    )


class _Place(NamedTuple):
    """``text`` stands before the record, then ``n_blanks`` that are not of its own padding."""

    text: bytes
    n_blanks: int
    comm: bytes = b""


def _is_buffer(place: _Place) -> bool:
    """Whether a report would begin so for the name of a buffer."""
    return place.n_blanks > 0 and bool(_BUFFER.fullmatch(place.text))


def learnt(lines: Sequence[bytes], everything: Sequence[bytes]) -> re.Pattern[bytes] | None:
    """What stands before the records in ``lines``, and before other lines where they have it; None if there is no
    telling."""
    headers = _before_headers(everything)
    n_whole = count_whole(lines)
    for places, is_exact in _readings(lines):
        # The first column that there is decides: what stands before another one is the record's.
        if any(_patterns().not_first.search(place.text) or _is_buffer(place) for place in places):
            break
        if len(places) >= _ENOUGH * n_whole:
            found = _common(places, headers, is_exact=is_exact)
            if found is not None and _reads(found, lines):
                return found
        if len(places) > (1 - _ENOUGH) * n_whole:
            break
    if headers and len({place.n_blanks for place in headers}) == 1:
        found = _common(headers, headers, is_exact=True)
        if found is not None and _reads(found, lines):
            return found
    return None


def nothing_is_left(lines: Sequence[bytes], everything: Sequence[bytes]) -> bool:
    """Whether no header line stands behind something, and columns of reports are where they would be without."""
    if _before_headers(everything):
        return False
    for pattern, width in ((_REPORT, _COMM_WIDTH), (_RAW_REPORT, _RAW_COMM_WIDTH)):
        places = [place for line in lines if (place := _before_padded(line, pattern, width)) is not None]
        if len({place.n_blanks for place in places}) > 1:
            return False
        if any(place.text and not _is_buffer(place) for place in places):
            return False
    return True


def has_even_indents(lines: Sequence[bytes]) -> bool:
    """Whether functions and braces alone stand where two blanks a level put them."""
    bare = [(line, line.lstrip(b" ")) for line in lines]
    return len({(len(line) - len(text)) % 2 for line, text in bare if _patterns().bare.match(text)}) < 2


def count_whole(lines: Sequence[bytes]) -> int:
    """How many of them can be records, behind whatever."""
    return sum(map(_looks_whole, lines))


def _looks_whole(line: bytes) -> bool:
    """Whether this can be a record: what is beside them may look like one for a bar in the prefix."""
    if _HEADER.search(line):
        return False
    return any(pattern.search(line) for pattern in (_WHOLE_END, _REPORT, _RAW_REPORT))


def _reads(prefix: re.Pattern[bytes], lines: Sequence[bytes]) -> bool:
    whole = [line for line in lines if _looks_whole(line)]
    rest = [prefix.sub(b"", line, count=1) for line in whole if prefix.match(line)]
    n_good = sum(is_record(line) or bool(_patterns().bare.match(line.lstrip(b" "))) for line in rest)
    return len(whole) > 0 and n_good >= _ENOUGH * len(whole)


def _readings(lines: Sequence[bytes]) -> Iterator[tuple[list[_Place], bool]]:
    """Where records begin, for each thing that tells; and whether the blanks before it must be counted."""
    for pattern, width in ((_REPORT, _COMM_WIDTH), (_RAW_REPORT, _RAW_COMM_WIDTH)):
        places = [place for line in lines if (place := _before_padded(line, pattern, width)) is not None]
        lengths = {len(place.comm) for place in places}
        # Of one task only, the padding could be a blank of the prefix.
        if len(lengths) < 2 and any(b" " in place.comm or len(place.comm) >= width - 1 for place in places):
            return
        yield places, True
    for find in (_before_number, _before_task, _before_duration, _before_bare):
        places = [place for line in lines if (place := find(line)) is not None]
        yield places, find in (_before_task, _before_duration)


def _place(line: bytes, begin: int, comm: bytes = b"") -> _Place:
    text = line[:begin].rstrip(b" ")
    return _Place(text, begin - len(text), comm)


def _before_padded(line: bytes, pattern: re.Pattern[bytes], width: int) -> _Place | None:
    """The comm of a report is at the right of a column of ``width``; it has 15 bytes at most, or 8 where it is cut."""
    for match in pattern.finditer(line, 0, _LONGEST + 100):
        begin = match.start() - width
        field = line[max(begin, 0) : match.start()]
        comm = field.lstrip(b" ")
        if begin >= 0 and comm and b"  " not in comm and (len(comm) < width or width == _RAW_COMM_WIDTH):
            return _place(line, begin, comm)
    return None


def _before_number(line: bytes) -> _Place | None:
    """The first column is a time (its seconds padded to five) or a CPU (a blank stands before it)."""
    for match in _FIRST_NUMBER.finditer(line, 0, _LONGEST):
        found = GRAPH.match(line, match.start())
        if found is not None and (found["time"] or found["cpu"]):
            n_own = max(5 - len(match[0]), 0) if found["time"] and not found["since"] else 1
            begin = match.start()
            while n_own and begin and line[begin - 1 : begin] == b" ":
                begin -= 1
                n_own -= 1
            return _place(line, begin)
    return None


def _before_task(line: bytes) -> _Place | None:
    """The first column is the task, in the middle of 14."""
    match = _patterns().task.search(line, 0, _LONGEST)
    if match is None:
        return None
    bar = match.end() - 1
    begin = bar - _TASK_WIDTH
    task = line[max(begin, 0) : bar].strip(b" ")
    n_blanks = _TASK_WIDTH - 1 - len(task)
    n_left = n_blanks // 2
    if begin < 0 or n_left < 1 or line[begin:bar] != b" " * n_left + task + b" " * (n_blanks - n_left + 1):
        return None
    return None if b" " in task and b"  " in task else _place(line, begin)


def _before_duration(line: bytes) -> _Place | None:
    """The first column is the duration, 14 wide."""
    match = _patterns().duration.search(line, 0, _LONGEST)
    begin = match.start() - _DURATION_WIDTH if match else -1
    if match is None or begin < 0 or not _patterns().duration_field.fullmatch(line, begin, match.start()):
        return None
    return _place(line, begin)


def _before_bare(line: bytes) -> _Place | None:
    """Function and brace alone: whoever is called stands further right."""
    match = _patterns().bare.search(line)
    if match is None or match.start() > _LONGEST:
        return None
    place = _place(line, match.start())
    # The blanks behind a number may be its own, those behind a bar a column.
    return None if place.text[-1:].isdigit() or b"|" in place.text else place


def _before_headers(everything: Sequence[bytes]) -> list[_Place]:
    """What stands before header lines, where that is more than blanks; and before the idle task's name, which is always
    the same."""
    places = []
    for line in everything:
        if (match := _HEADER.search(line, 0, _LONGEST + 100)) is not None:
            place = _place(line, match.start())
            # Before every line of a buffer stands its name.
            if place.text and not _is_buffer(place):
                places.append(place)
        elif (match := _IDLE.search(line, 0, _LONGEST)) is not None:
            place = _place(line, match.start())
            if place.text and place.n_blanks < 2 and not (match["bar"] and _BEFORE_IDLE.search(place.text)):
                places.append(place)
    return places


def _common(places: list[_Place], more: list[_Place], *, is_exact: bool) -> re.Pattern[bytes] | None:
    """The shape that nearly all ``places`` share; ``more`` may have been written otherwise."""
    tokens = [(_TOKEN.findall(place.text), place) for place in places]
    keys = Counter(map(_key, (found for found, _ in tokens)))
    if not keys:
        return None
    key, n = keys.most_common(1)[0]
    if not key or n < _ENOUGH * len(places):
        return None
    same = [(found, place) for found, place in tokens if _key(found) == key]
    others = [found for place in more if _key(found := _TOKEN.findall(place.text)) == key]
    if len(same) + len(others) < 2:
        return None
    counts = {place.n_blanks for _, place in same}
    every = [*(found for found, _ in same), *others]
    pieces: list[bytes] = []
    for i in range(len(key)):
        is_after_number = bool(pieces) and pieces[-1].endswith(rb"\d+")
        pieces.append(_piece([found[i] for found in every], is_after_number=is_after_number))
    widths = {len(found[-1][1]) + place.n_blanks for found, place in same}
    if len(counts) > 1 and len(widths) == 1 and all(found[-1][1].isdigit() for found in every):
        # A number at the left of a column.
        pieces[-1] = pieces[-1].removesuffix(rb"\d+")
        end = _aligned(widths.pop())
    elif is_exact and len(counts) > 1:
        return None
    else:
        end = rb" {%d}" % min(counts) if is_exact else rb" {0,%d}" % min(counts)
    # A line that holds nothing else may have lost its blanks.
    return re.compile(rb"^%b(?:%b| *$)" % (b"".join(pieces), end), re.MULTILINE)


def _key(tokens: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    return tuple(b"w" if text.replace(b"_", b"w").isalnum() else b"." + text for _, text in tokens)


def _piece(column: list[tuple[bytes, bytes]], *, is_after_number: bool) -> bytes:
    """A pattern for one token of all lines, with the blanks before it: there are fewer behind a longer number."""
    texts = {text for _, text in column}
    blanks = {len(before) for before, _ in column}
    if all(text.isdigit() for text in texts):
        return (rb" *" if max(blanks) else rb"") + rb"\d+"
    least = min(min(blanks), 1) if is_after_number else min(blanks)
    before = rb" {%d,%d}" % (least, max(blanks)) if max(blanks) else rb""
    for words in _WORDS_OF_DATES:
        if all(re.fullmatch(words, text) for text in texts):
            return before + words
    return before + (re.escape(texts.pop()) if len(texts) == 1 else rb"\w+")


def _aligned(width: int) -> bytes:
    """A number and the blanks that fill its column."""
    filled = [rb"\d{%d} {%d}" % (n, width - n) for n in range(1, width)]
    return rb"(?:%b|\d{%d,})" % (b"|".join(filled), width)
