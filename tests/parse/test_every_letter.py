"""Lines of every form with one letter changed, at each place: what a scanner makes of each is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import recorded
from kfgraph.parse.records import RecordBatch
from kfgraph.parse.report import scan as scan_lines
from kfgraph.parse.scan_ftrace import FtraceScanner
from kfgraph.parse.scan_report import ReportScanner

NUMBERS = re.compile(rb"0x[0-9a-f]+|\d+")
LIMITS = (
    b"0", b"00", b"1", b"9", b"10", b"99", b"255", b"256", b"32000", b"32766", b"32767", b"32768", b"65535", b"65536",
    b"2147483646", b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"8999999999", b"9000000000",
    b"9000000001", b"999999999999999", b"99999999999999999", b"999999999999999999", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551615", b"-1", b"-0", b"0x", b"0x0", b"0xf", b"0xg", b"0x`", b"0x:",
    b"0x7fffffff", b"0x80000000", b"0xffffffff", b"0x100000000", b"0x7fffffffffffffff", b"0x8000000000000000",
    b"0xffffffffffffffff", b"0xfffffffffffffffff", b"0000000000000000f", b"1.5", b"1.", b".5", b"1.0000000019",
    b"1(trunc)",
)  # fmt: skip
LETTERS = [b"", *(bytes([byte]) for byte in b" |-(:/09axs}")]
REPORT = (
    "              ls-347   [001]   432.933632: funcgraph_entry:        1.500 us   |  f();",
    "              ls-347   [001] d.h1. 432.933632: funcgraph_entry:              |    f(a=1) /* <-g+0x1/0x2 [m] */ {",
    "              ls-347   [001] d..h1. 432.933632: funcgraph_exit:   # 1971.723 us |  } /* f [m] */ (ret=-19)",
    "              ls-347   [001]   432.933632: funcgraph_exit:   $ 19717230 us |    } /* <-g ret=0xffffffea */",
    "            true-342   [000]981103560806: funcgraph_entry:                   |  f() {",
    "            true-342   [000]d.s1.981103560806: funcgraph_entry:                   |  f() {",
    "    t-342   0   1.5: funcgraph_exit:  + 1.23 us |  }",
    "    true-342     0-0x9981103968584: funcgraph_exit: func=f retval=0 depth=1 overrun=0 calltime=5c rettime=5d",
    "            true-342   [000]-0x18     12.345678: funcgraph_entry: func=f depth=11 retaddr=g args=1",
    "              ls-347   [001]   432.933632: funcgraph_exit: <-- f (0) (start: 1  end: 2b) over: 0 retval: -1",
    "              ls-347   [001]   432.933632: fgraph_retaddr_entry: --> f (3) <- g",
    "              ls-347   [001]   432.933632: sys_enter_openat: dfd: 0x1, a=2 (b)",
    "CPU:1 [1159 EVENTS DROPPED]\n              ls-347   [001]   432.9: funcgraph_entry:        1.500 us   |  f();",
    "cpus=2\nversion = 7\n              ls-347   [001]   (+12) 4.9: funcgraph_entry:        1.500 us   |  f();",
    "   buf:               ls-347   [001]   432.9: funcgraph_entry:        1.500 us   |  f();\nbuf: cpus=1",
    "           a-b c-3   [002]   1.000000123: funcgraph_entry:     ! 100 us |  f [m](x=(1), y) (4) /* ret=true */;",
    "              ls-347   [001]   432.933632: funcgraph_exit:        1.500 us   |  } (f)",
)
FTRACE = (
    "# tracer: function_graph\n   79.548452 |   0)    bash-240    |  ...1. | + 15.228 us   |  f(); /* <-g ret=0x1 */",
    " 0)               |  /* sys_write -> 0x2 */\n 1)   f() {",
    " 0)  bash-240    =>   cat-12 \n 0)   1.000 us    |  f(); /* = -517 */",
    " ------------------------------------------\n 0)   1.000 us    |  } (f [mod])\n ==========> |",
    "     2750 us |   0)   sh-901      |  d..1 | # 2747.100 us |  }",
    "#                _---=> irqs-off\n#               / _--=> need-resched\n#              | / _-=> hardirq/softirq\n"
    " 0)  .Lh. |   1.000 us    |  f();",
    "#     TIME        CPU  TASK/PID       ||||     DURATION                  FUNCTION CALLS\n"
    "  200.000012 |   1)    cat-77     |  d..h1.. |               |    f() {",
    "#     REL TIME     CPU  DURATION            FUNCTION CALLS\n   15 us |   0)   0.593 us    |  f [m]();\n   }",
    "            bash-240     [000] .....   147.536649: <stack trace>\n => f\n => g",
    " 3) # 1028.225 us |  } /* f */\n# 1028.225 us |  }",
    " 0)    <...>-12    |               |  f(a=0x1, b=(2)) { /* a\n b */\n 0)   2.0 us |  }",
    "  10.1 |   0)  x|y z-7   |  D.z. |  10 us |        f(); (ret=3)",
    "CPU:1 [LOST 12 EVENTS]\n f() {\n }",
)


def batches(scanner_type: Any, data: bytes) -> Iterator[str]:
    """The rows and what was gathered beside them, as text."""
    rows: list[str] = []

    def sink(batch: RecordBatch, n: int) -> None:
        columns = [column[: max(n, 0)].tolist() for column in vars(batch).values()]
        rows.extend([",".join(map(str, row)) for row in zip(*columns, strict=True)] if n >= 0 else ["recording"])

    scanner = scanner_type(sink, size=4)
    notices = scan_lines(scanner, [data])
    facts = {name: value for name, value in scanner.facts().items() if value}
    yield from rows
    yield " ".join(f"{name}={bytes(x) if isinstance(x := value, bytearray) else x!r}" for name, value in facts.items())
    yield ",".join(notice.code for notice in notices)


@pytest.mark.parametrize(
    ("name", "scanner", "lines"), [("report", ReportScanner, REPORT), ("ftrace", FtraceScanner, FTRACE)]
)
def test_each_letter_changed(name: str, scanner: Any, lines: tuple[str, ...]) -> None:
    def everything() -> Iterator[str]:
        for text in lines:
            whole = text.encode() + b"\n"
            seen: dict[str, int] = {}
            for at in range(len(whole) - 1):
                for letter in LETTERS:
                    said = "; ".join(batches(scanner, whole[:at] + letter + whole[at + 1 :]))
                    yield f"{at}{letter.decode()!r} {seen.get(said, said)}"
                    seen.setdefault(said, len(seen))

    recorded.compare(f"letters-{name}", everything())


@pytest.mark.parametrize(("name", "scanner", "lines"), [
    ("report", ReportScanner, REPORT), ("buffer", partial(ReportScanner, buffer=b"buf"), REPORT),
    ("ftrace", FtraceScanner, FTRACE),
])  # fmt: skip
def test_each_number_at_its_limits(name: str, scanner: Any, lines: tuple[str, ...]) -> None:
    """The line before is whole: what is kept of it shows as well."""

    def everything() -> Iterator[str]:
        for text in lines:
            whole = text.encode() + b"\n"
            for one in NUMBERS.finditer(whole):
                changed = (whole + whole[: one.start()] + limit + whole[one.end() :] for limit in LIMITS)
                sums = (recorded.digest("; ".join(batches(scanner, data))) for data in changed)
                yield f"{one.start()} {whole[:60]!r} {recorded.digest(*sums)}"

    recorded.compare(f"numbers-{name}", everything())
