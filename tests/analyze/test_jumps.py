"""A depth that jumps: an interrupt beside the call that it hit, or a caller that was not recorded."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from builder import tracedat as build
from kfgraph import load
from kfgraph.model.calls import Flag

NAMES = ("outer", "callee", "irq_enter_rcu", "handler", "irq_exit_rcu", "other")
ADDRESS = {name: 0x1000 * (i + 1) for i, name in enumerate(NAMES)}
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "traces" / "cut"


def jumps(*calls: tuple[str, int, int], outer: bool = True) -> tuple[list[str], dict[str, int]]:
    """Of leaves (name, depth, flags of the record) inside ``outer``: those with DEPTH_JUMP, and the notices."""
    kernel = build.Kernel()
    cpu = build.Cpu(kernel, 0)
    if outer:
        cpu.entry(1_000, 7, ADDRESS["outer"], 0)
    for i, (name, depth, flags) in enumerate(calls):
        at = 10_000 * (i + 1)
        cpu.entry(at, 7, ADDRESS[name], depth, flags=flags)
        cpu.exit(at + 5_000, 7, ADDRESS[name], depth, at, at + 4_900, flags=flags)
    if outer:
        cpu.exit(900_000, 7, ADDRESS["outer"], 0, 900, 899_000)
    symbols = {address: ("T", name, "") for name, address in ADDRESS.items()}
    trace = load(io.BytesIO(build.trace_dat(kernel, [cpu], symbols=symbols)))
    trace.check()
    labels = trace.symbols.labels
    odd = trace.calls.has(Flag.DEPTH_JUMP)
    assert trace.calls.level.max() == int(outer)
    return [labels[code] for code in trace.calls.func[odd].tolist()], {one.code: one.n for one in trace.notices}


INTERRUPT = (("irq_enter_rcu", 2, 0), ("handler", 2, 8), ("irq_exit_rcu", 2, 0))


def test_an_interrupt_beside_the_call_that_it_hit_lacks_no_caller() -> None:
    assert jumps(("callee", 1, 0), *INTERRUPT) == ([], {})
    assert jumps(*INTERRUPT, ("callee", 1, 0)) == ([], {})
    # What runs in an interrupt without its flag and without a known name is told by what stands beside it.
    assert jumps(("callee", 1, 0), *INTERRUPT, ("other", 2, 0)) == ([], {})
    deeper = tuple((name, depth - 1, flags) for name, depth, flags in INTERRUPT)
    assert jumps(("callee", 0, 0), *deeper, outer=False) == ([], {})


def test_without_the_call_that_it_hit_the_caller_was_not_recorded() -> None:
    every = ["irq_enter_rcu", "handler", "irq_exit_rcu"]
    assert jumps(*INTERRUPT) == (every, {"depth-jump": 3})
    two_deeper = tuple((name, 3, flags) for name, _, flags in INTERRUPT)
    assert jumps(("callee", 1, 0), *two_deeper) == (every, {"depth-jump": 3})


def test_what_is_no_interrupt_keeps_its_flag() -> None:
    assert jumps(("callee", 1, 0), ("other", 2, 0)) == (["other"], {"depth-jump": 1})
    # Two jumps, and between them the call that one of them hit: each has its own neighbours.
    found = jumps(("handler", 2, 8), ("callee", 1, 0), ("other", 2, 0))
    assert found == (["other"], {"depth-jump": 1})


# Of 7.2: what the tracer itself calls, or what switches tasks in it. With a threshold: callers that did not return.
@pytest.mark.parametrize(
    ("name", "left"), [("6.12-system.dat", 0), ("6.12-tsc.dat", 0), ("6.12-thresh.dat", 4), ("7.2-syscalls.dat", 17)]
)
def test_real_traces(name: str, left: int) -> None:
    trace = load(FIXTURES / name)
    assert int(trace.calls.has(Flag.DEPTH_JUMP).sum()) == left
