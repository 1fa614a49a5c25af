"""What a call took at least, if it was not seen to return."""

from __future__ import annotations

from builder.tables import Call, call, trace_of
from kfgraph import call_tree, callers


def least(*inside: Call, **more: int) -> int:
    """Of a call that did not return, with these calls inside."""
    trace = trace_of([call("outer", 1_000, *inside, unfinished=True, **more)])
    tree = call_tree(trace, root="outer").tree
    assert tree.total_ns[0] == -1
    assert callers(trace, "outer").tree.floor_ns[0] == tree.floor_ns[0]
    return int(tree.floor_ns[0])


def test_an_interrupt_behind_all_callees_may_have_hit_the_tracer_after_the_return() -> None:
    handler = call("handler", 40, call("tick", 7, context=2), context=2)
    irq = [call("irq_enter_rcu", 5), handler, call("irq_exit_rcu", 6)]
    assert least(call("a", 10)) == 10
    assert least(call("a", 10), *irq) == 10
    assert least(*irq) == 0
    # It came while the call was still open if a callee follows.
    assert least(call("a", 10), *irq, call("b", 3)) == 71
    assert least(call("a", 10), *irq, call("b", 3), *irq) == 71
    # In an interrupt, what runs in it are its callees.
    assert least(call("tick", 7, context=2), context=2) == 7
    # One further in, of a callee that did not return either.
    assert least(call("a", 10), call("b", 30, call("c", 4), *irq, unfinished=True)) == 14
