"""Calls by what they returned and by their arguments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze.select import select
from kfgraph.analyze.valuefilters import Compare, argument, returned
from kfgraph.errors import NoMatchError, UsageError
from kfgraph.model.args import TextArgs
from kfgraph.model.trace import Trace

POINTER = 0xFFFF888012345678


def error(number: int) -> int:
    return (1 << 64) - number


def sample() -> Trace:
    opened = call("do_open", 10, call("alloc_f", retval=POINTER), call("find_f", retval=7), retval=error(2))
    trace = trace_of(
        [
            call("__x64_sys_openat", 5, call("plain"), opened, retval=error(2)),
            call("__x64_sys_read", 5, call("copy_f", retval=512), retval=512),
            call("__x64_sys_ioctl", 5, retval=error(25)),
        ]
    )
    texts = ("", "", "flags=0x41, fd=3", "size=64", "", "fd=3, buf=0x7f0000000000, count=512", "", "flags=2")
    index = np.array([i if text else -1 for i, text in enumerate(texts)], np.int32)
    return replace(trace, calls=trace.calls.with_columns(args=TextArgs(index, texts)))


def names(trace: Trace, **filters: object) -> list[str]:
    chosen = select(trace, **filters)
    return [trace.symbols.labels[code] for code in trace.calls.func[chosen.keep].tolist()]


@pytest.mark.parametrize(
    ("returning", "expected"),
    [
        ("ENOENT", ["__x64_sys_openat", "do_open"]), ("-ENOENT", ["__x64_sys_openat", "do_open"]),
        ("-2", ["__x64_sys_openat", "do_open"]), ("7", ["find_f"]), ("==7", ["find_f"]),
        ("0x200", ["__x64_sys_read", "copy_f"]),
        # A pointer of unknown type is neither less nor more than a number, and is no 0.
        ("<0", ["__x64_sys_openat", "do_open", "__x64_sys_ioctl"]), ("< -2", ["__x64_sys_ioctl"]),
        (">=7", ["find_f", "__x64_sys_read", "copy_f"]), (["7", "ENOTTY"], ["find_f", "__x64_sys_ioctl"]),
        ("!=512", ["__x64_sys_openat", "do_open", "alloc_f", "find_f", "__x64_sys_ioctl"]),
    ],
    ids=str,
)  # fmt: skip
def test_by_what_was_returned(returning: str | list[str], expected: list[str]) -> None:
    assert names(sample(), returning=returning) == expected


@pytest.mark.parametrize(
    ("arg", "expected"),
    [
        ("flags & 0x40", ["do_open"]), ("flags&2", ["__x64_sys_ioctl"]), ("fd=3", ["do_open", "__x64_sys_read"]),
        ("fd == 4", []), ("size >= 64", ["alloc_f"]), ("count<513", ["__x64_sys_read"]), ("unt=512", []),
        (["size<100", "fd=3"], ["do_open", "alloc_f", "__x64_sys_read"]),
    ],
    ids=str,
)  # fmt: skip
def test_by_an_argument(arg: str | list[str], expected: list[str]) -> None:
    if expected:
        assert names(sample(), arg=arg) == expected
    else:
        with pytest.raises(NoMatchError, match="no call is left after --failed, --ret or --arg"):
            select(sample(), arg=arg)


def test_what_failed_is_a_tree_of_its_own() -> None:
    trace = sample()
    chosen = select(trace, failing=True)
    assert names(trace, failing=True) == ["__x64_sys_openat", "do_open", "__x64_sys_ioctl"]
    assert chosen.roots.tolist() == [0, 7]
    assert chosen.parent[2] == 0, "a callee hangs below the nearest caller that stays"
    below = select(trace, root="do_open", failing=True)
    assert (below.roots.tolist(), int(below.keep.sum())) == ([2], 1)
    # Below a root that does not pass, what passes are roots.
    assert select(trace, root="__x64_sys_openat", returning="7").roots.tolist() == [4]


def test_times_and_counts_stay_as_they_were() -> None:
    trace = sample()
    found = kfgraph.top(trace, returning="512")
    assert {row["function"]: row["total_ns"] for row in found.records()} == {"__x64_sys_read": 105, "copy_f": 100}
    tree = kfgraph.call_tree(trace, failing=True, root="__x64_sys_openat")
    assert [tree.tree.labels[code] for code in tree.tree.label] == ["__x64_sys_openat", "do_open"]
    assert int(tree.tree.total_ns[0]) == int(trace.calls.duration_ns[0])


def test_a_trace_without_values_refuses() -> None:
    bare = trace_of([call("f")])
    for filters in ({"failing": True}, {"returning": "0"}):
        with pytest.raises(UsageError, match="no return values"):
            select(bare, **filters)
    with pytest.raises(UsageError, match="no arguments"):
        select(bare, arg="a=1")


@pytest.mark.parametrize("text", ["", "ENOWHERE", "<", "<abc", "1 2", "enoent", "<0x", "EINVAL<3"])
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--ret"):
        returned(text)


@pytest.mark.parametrize("text", ["", "flags", "flags &", "& 3", "flags & x", "a b=3", "flags && 3", "fd=3 or 4"])
def test_what_is_no_test_of_an_argument_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--arg"):
        argument(text)


def test_what_is_one_is_read() -> None:
    assert returned(" <= 5") == Compare("", "<=", 5) and returned("NULL") == Compare("", "==", 0)
    assert returned("-EIO") == Compare("", "==", -5) and returned("010") == Compare("", "==", 10)
    assert argument("my_len!=0x10") == Compare("my_len", "!=", 16)
