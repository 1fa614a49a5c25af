"""What lines of tracer text look like: enough to tell a record from what stands around it, and from what hides it.

The scanners read; these patterns say whether there is something to read, with which columns, and behind what.
"""

from __future__ import annotations

import re

_TIME = rb" *\d+\.\d{6,9} +\|"
_SINCE = rb" *\d+ us +\|(?= *\d+\)|[^|\n]*-\d+ *\|)"
_CPU = rb" *\d{1,4}\)"
_TASK = rb" *(?:[^\s|]{1,15}|[^\s|](?:[^\s|]| (?! )){0,5}[^\s|])-\d+ *\|"
LETTERS = rb" *[.dDbBX][.nNpPlLbBrRS]{1,2}[.hHszZ][.\w#]{1,5} *\|"
DURATION = rb" *(?:[-+!#*@$] *)?(?:\d+(?:\.\d+)? us)? *\|"
NAME = rb"[\w.$]+(?: \[[^\]\s]+\])?"
BODY = rb" *(?:" + NAME + rb"\([^\n]*\)(?: *[;{])|\}|/\*|\) \{)"
_BORDER = rb" *(?:=+>|<=+)"

GRAPH = re.compile(
    rb"(?P<time>(?P<since>%b)|%b)?(?P<cpu>%b)?(?:%b)?(?:%b)?(?:(?P<duration>%b)%b|(?<=[)|])%b|%b)"
    % (_SINCE, _TIME, _CPU, _TASK, LETTERS, DURATION, BODY, BODY, _BORDER)
)
"""A line of the tracefs file under function_graph, in any of its options but the barest."""

BARE = re.compile(rb" *(?:" + NAME + rb"\([^\n]*\)(?: \{|;)|\})(?: /\*[^\n]*\*/)?[ \r]*$")
"""One with no column at all: function and brace."""

REPORT = re.compile(
    rb"(?:(?![\d.,]+:)[^\s:]{1,80}: )? *(?:\S{1,16}|\S(?:[^\n ]| (?! )){0,13}\S)-\d+ +"
    rb"(?:\[\d+\]|\d+[-.\w]*)[^\n:|]{0,40}: +(?:\(\+\d+\) +)?\w+:"
)
"""A line of ``trace-cmd report``."""

ARROW = re.compile(rb" <-(?! ?[0-9a-f]+\))")
"""What stands between function and caller in every record of the plain function tracer; a return probe's stands between
addresses, ``(ffffffff8114c780 <- ffffffff810768d0)``."""

_TASK_FIRST = re.compile(_TASK)
_PADDED = re.compile(rb" .{15}-\d+ +\[|.{8}-\d+ +\d+[-.\w]* ")

LIKELY = re.compile(
    rb"\|[ \t]+[^ \t|]|funcgraph_e|fgraph_ret|\d\)[ \t]+(?:[\w.$]{1,80}\(|\}|/\*)|\) \{|\(\);|^[^\w|]*\}"
)
"""What a record that cannot be read has all the same."""

_ODD = re.compile(rb"\x1b\[|\xc2\xa0|&[lg]t;|\0|\|[ ]*\t")
"""Characters that no record of a function has."""

_HTML = re.compile(rb"-\d+ +=&gt; |<pre\b[^<>]*>", re.IGNORECASE)
"""What shows HTML where the lines of functions are read as they are: the line between two tasks, a tag."""

_HEADING = re.compile(rb"FUNCTION CALLS|\|[ |]+\|[ |]*$|-\d+ +=> |-=> |^\W*tracer:")


def common_indent(head: bytes) -> int:
    """How many blanks all lines begin with, empty ones left out."""
    lines = [line for line in head.split(b"\n")[:500] if line.strip()]
    return min((len(line) - len(line.lstrip(b" ")) for line in lines), default=0)


def is_html(head: bytes) -> bool:
    """Whether what stands between and before the records is HTML: its characters are written as entities then."""
    return bool(_HTML.search(head))


def likely_lines(head: bytes, n: int) -> list[bytes]:
    """The first ``n`` lines that look like records, headings left out."""
    found = []
    for line in head.split(b"\n"):
        line = line[:400].rstrip(b"\r")
        if LIKELY.search(line) and not _HEADING.search(line):
            found.append(line)
            if len(found) == n:
                break
    return found


def is_record(line: bytes) -> bool:
    """Whether a scanner can be expected to read this line as it is."""
    if REPORT.match(line):
        return b"funcgraph_e" not in line or not _ODD.search(line)
    return bool(GRAPH.match(line)) and not _ODD.search(line.partition(b"(")[0])


def begins_with_task(line: bytes, *, is_padded: bool = False) -> bool:
    """Whether the task is the first column; without ``is_padded`` only at a place that padding does not fix."""
    if not is_padded and _PADDED.match(line):
        return False
    return bool(REPORT.match(line) or (_TASK_FIRST.match(line) and GRAPH.match(line)))


def is_bare(head: bytes) -> bool:
    """Whether records are function and brace alone: the header names no other column, or no line is anything else."""
    lines = [line[:400].rstrip(b"\r") for line in head.split(b"\n")[:500]]
    named = [line for line in lines if line.lstrip().startswith(b"#") and b"FUNCTION CALLS" in line]
    if named:
        return not any(word in named[0] for word in (b"CPU", b"DURATION", b"TIME", b"TASK"))
    lines = [line for line in lines[:-1] if line.strip() and not line.lstrip().startswith((b"#", b"```"))]
    return all(map(BARE.match, lines)) and any(b"{" in line for line in lines)


def columns_of(head: bytes) -> tuple[int, int, int]:
    """(time, CPU, duration): 1 where records have the column, 0 where they have not, -1 where that cannot be told."""
    found = [match for match in map(GRAPH.match, likely_lines(head, 300)) if match]
    if not found:
        return -1, -1, -1
    shares = [sum(match[name] is not None for match in found) / len(found) for name in ("time", "cpu", "duration")]
    time, cpu, duration = (1 if share > 0.9 else 0 if share < 0.1 else -1 for share in shares)
    if shares[2] > 0.5:
        duration = 1  # a call that seems to have none can be a damaged line, and its duration must not become none
    named = re.search(rb"^ *#[^\n]*FUNCTION CALLS", head, re.MULTILINE)
    if named:
        # Of few lines one is much: there the heading decides.
        time = int(b"TIME" in named[0]) if time < 0 else time
        cpu = int(b" CPU" in named[0]) if cpu < 0 else cpu
        duration = int(b"DURATION" in named[0]) if duration < 0 else duration
    return time, cpu, duration
