"""Return probes that somebody set: whether their hits stand in their calls or behind them, in recursions above all.

A recording is written as a line: ``f(`` enters f, ``)`` returns, ``!-5`` is a hit of f's probe, ``~`` a loss, ``i`` an
interrupt, ``if`` one that is f, and ``@`` a switch to the other task.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import kfgraph
from builder.tracedat import Cpu, Extra, Kernel, trace_dat
from kfgraph.model.calls import Flag
from kfgraph.model.trace import Trace

AT = {name: 0xFFFFFFFF81000000 + 0x100 * k for k, name in enumerate("fgi")}
PROBE, STEP, IN_IRQ = 400, 50, 8
FIELDS = [("unsigned long", "__probe_func", 8), ("unsigned long", "__probe_ret_ip", 8), ("s64", "ret", 8)]
Loader = Callable[[str], Trace]


@pytest.fixture
def loaded(tmp_path: Path) -> Loader:
    def load(line: str) -> Trace:
        kernel = Kernel()
        cpu = Cpu(kernel, 0)
        now, pid, open_calls, others = 1_000_000, 7, list[tuple[str, int]](), list[tuple[str, int]]()
        for word in re.findall(r"[fg]\(|\)|!-?\d+|~|if?|@", line):
            now += STEP
            if word[-1] == "(":
                cpu.entry(now, pid, AT[word[0]], len(open_calls))
                open_calls.append((word[0], now))
            elif word == ")":
                name, since = open_calls.pop()
                cpu.exit(now, pid, AT[name], len(open_calls), since, now)
            elif word[0] == "!":
                cpu.event(now, pid, PROBE, kernel.pack("QQq", AT["f"], 1, int(word[1:])))
            elif word[0] == "i":
                cpu.entry(now, pid, AT[word[-1]], len(open_calls), flags=IN_IRQ)
                cpu.exit(now + 10, pid, AT[word[-1]], len(open_calls), now, now + 10, flags=IN_IRQ)
            elif word == "~":
                cpu.lose()
            else:
                pid, open_calls, others = 15 - pid, others, open_calls
        events = [("kprobes", "mine", PROBE, FIELDS)]
        symbols = {address: ("T", name, "") for name, address in AT.items()}
        path = tmp_path / "trace.dat"
        extra = Extra(comms={7: "app", 8: "other"}, events=events)
        path.write_bytes(trace_dat(kernel, [cpu], symbols=symbols, extra=extra))
        trace = kfgraph.load(path)
        trace.check()
        return trace

    return load


def values(trace: Trace) -> str:
    """What each call of f returned, ``?`` where that is not told, in the order of entry."""
    calls = trace.calls
    rows = [row for row in range(len(calls)) if trace.symbols.names[calls.func[row]] == "f"]
    told = calls.has(Flag.HAS_RETVAL)
    return " ".join(str(int(calls.retval[row])) if told[row] else "?" for row in rows)  # type: ignore[index]


@pytest.mark.parametrize(("line", "expected"), [
    # All in their calls, all behind them.
    ("f( f( f( !-1 ) !-2 ) !-3 )", "-3 -2 -1"),
    ("f( f( f( ) !-1 ) !-2 ) !-3 g( )", "-3 -2 -1"),
    ("g( f( ) !-5 )", "-5"),
    # The outer does not return, or the recording ends before its hit.
    ("g( ) f( f( ) !-22 g( )", "? -22"),
    ("g( ) f( f( ) !-22", "? ?"),
    ("f( f( ) !-22 g( ) )", "? -22"),
    ("f( f( ) !-22 )", "? ?"),
    ("f( !-22", "?"),
    ("f( !-22 g( )", "?"),
    # Losses: before a hit, between a hit and the return of its call.
    ("f( f( f( ) !-1 ) !-2 ) ~ !-3 g( )", "? ? ?"),
    ("f( f( ) ~ !-22 )", "? ?"),
    ("f( f( !-1 ) ~ !-22 )", "-22 -1"),
    ("f( !-22 ~ )", "?"),
    ("f( ~ !-22 )", "-22"),
    ("f( ~ !-22 g( ) )", "?"),
    ("f( f( ) !-22 ~ g( ) )", "? ?"),
    # One that was not recorded returned in f: the probe contradicts itself, or what it tells is not f's.
    ("f( g( ) !-7 ) !0 f( g( ) !-7 ) !0 f( g( ) !-7 ) !0", "? ? ?"),
    ("f( g( ) !-7 ) !0 f( ) !0", "? ?"),
    ("f( !-7 g( ) )", "?"),
    ("f( !-7 g( ) ) !0 g( )", "0"),
    ("f( !-7 g( ) !-8 !0 )", "0"),
    ("f( !-1 ) f( !-7 g( ) )", "-1 ?"),
    # The place is known: what may be of either call is told where the other one has its own.
    ("f( !-1 ) f( f( ) !-2 )", "-1 ? ?"),
    ("f( !-1 ) f( f( f( ) !-2 ) !-3 )", "-1 ? ? ?"),
    ("f( !-1 ) f( f( ) f( !-3 ) !-2 )", "-1 -2 ? -3"),
    ("f( !-1 ) f( f( ) !-4 !-2 )", "-1 ? ?"),
    ("g( f( ) !-1 ) g( f( f( ) !-2 ) )", "-1 ? ?"),
    ("g( f( ) !-1 ) g( f( f( f( ) !-2 ) !-3 ) )", "-1 ? ? ?"),
    ("g( f( ) !-1 ) g( f( f( f( ) !-2 ) !-3 ) ~ !-4 )", "-1 ? ? ?"),
    # Interrupts.
    ("g( f( ) i !-5 )", "-5"),
    ("g( f( ) i i !-5 )", "-5"),
    ("f( f( ) i !-5 )", "? ?"),
    ("f( !-5 i i )", "-5"),
    ("f( !-5 i g( ) )", "?"),
    ("f( f( ) !-5 i )", "? ?"),
    ("f( if !-5 )", "? ?"),
    # Without a hit; in another task.
    ("f( ) @ !-5 f( )", "? ?"),
    ("f( f( !-3 @ f( !-5 ) @ ) !-2 )", "-2 -3 -5"),
    ("g( f( ) !-1 f( ) f( ) !-3 )", "-1 ? -3"),
    ("f( f( ) )", "? ?"),
])  # fmt: skip
def test_a_value_goes_to_the_call_that_returned_it(line: str, expected: str, loaded: Loader) -> None:
    assert values(loaded(line)) == expected


def tree(rng: random.Random, place: str, *, missed: float, hidden: float, depth: int = 0) -> tuple[str, list[str]]:
    """Calls, and what those of f returned in the order of entry: each a number of its own."""
    line, truth = "", list[str]()
    for _ in range(rng.randint(0 if depth else 2, 3 if depth < 4 else 0)):
        name = rng.choice("ffg")
        inner, below = tree(rng, place, missed=missed, hidden=hidden, depth=depth + 1)
        value = f"{-rng.randint(1, 10**9)}"
        hit = f" !{value} " if name == "f" and rng.random() >= missed else " "
        # A call deep below that was not recorded has a hit, too.
        unseen = f" !{-rng.randint(1, 10**9)} " if rng.random() < hidden else " "
        noise = " i " if rng.random() < 0.1 else " "
        before, behind = (hit, " ") if place == "inside" else (" ", hit)
        line += f"{name}({inner}{unseen}{noise}{before}){behind}"
        truth += ([value] if name == "f" else []) + below
    return line, truth


@pytest.mark.parametrize("place", ["inside", "behind"])
def test_no_call_gets_the_value_of_another(place: str, loaded: Loader) -> None:
    """Of trees whose hits are all there, of some with missed hits, and of what recordings keep of them."""
    rng = random.Random(place)
    n_told = n_calls = n_complete = 0
    for turn in range(240):
        mode = turn % 4
        line, truth = tree(rng, place, missed=0.3 * (mode == 1), hidden=0.2 * (mode == 2))
        words = line.split()
        if mode == 3 and rng.random() < 0.7:
            words = words[: rng.randint(1, len(words))]
        if mode == 3 and len(words) > 2:
            words.insert(rng.randint(1, len(words) - 1), "~")
        shown = values(loaded("".join(words))).split()
        truth = truth[: len(shown)]
        wrong = [(a, b) for a, b in zip(shown, truth, strict=True) if a not in ("?", b)]
        assert not wrong, (place, mode, "".join(words))
        n_told += sum(one != "?" for one in shown)
        n_calls += len(shown)
        n_complete += mode == 0 and shown == truth and bool(truth)
    assert n_told > 0.55 * n_calls and n_complete > 45, (n_told, n_calls, n_complete)
