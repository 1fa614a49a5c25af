"""Errors that another task or an interrupt made: joined by what both sides name, or not joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builder.tables import Call, call, trace_of
from kfgraph.analyze.why import why
from kfgraph.analyze.whywords import summary
from kfgraph.model.fields import EventField
from kfgraph.model.marks import Marks
from kfgraph.model.offcpu import OffCpu
from kfgraph.model.tasks import Task

INSMOD, WORKER, THREAD = Task(100, "insmod"), Task(7, "kworker/0:1"), Task(101, "foo_thread")
WORK, OTHER_WORK, DONE = 0xFFFF888001201020, 0xFFFF888001209999, 0xFFFF888001201040


def error(number: int) -> int:
    return (1 << 32) - number


def waiting(*, work: int = WORK, done: int = DONE, args: bool = True) -> Call:
    """A module's init that queues a work item and waits for it, and returns what it left."""
    queue = call("queue_work_on", 100, retval=1, args=f"cpu=2, wq=0xffff888000000400, work=0x{work:x}" if args else "")
    wait = call("wait_for_completion", 50_000, args=f"x=0x{done:x}" if args else "")
    return call("foo_init [foo]", 1_000, queue, wait, retval=error(121))


def worker(*, work: int = WORK, done: int = DONE, number: int = 121, args: bool = True) -> list[Call]:
    transfer = call("foo_transfer [foo]", 500, retval=error(number) if number else 0)
    wake = call("complete", 50, args=f"x=0x{done:x}" if args else "")
    run = call("foo_run [foo]", 200, transfer, wake)
    idle = call("foo_poll [foo]", 1_000, retval=0)
    return [
        idle, call("process_one_work", 300, run, args=f"worker=0xffff888000000100, work=0x{work:x}" if args else "")
    ]  # fmt: skip


def names(found) -> list[str]:
    return [step.function for step in found.chain]


def test_a_work_item_is_followed_into_the_worker_that_ran_it() -> None:
    found = why(trace_of([waiting()], worker(), tasks=[INSMOD, WORKER]), root="foo_init")
    assert names(found) == ["foo_init", "process_one_work", "foo_run", "foo_transfer"]
    assert (found.birth.step.function, found.birth.exact, found.birth.sure) == ("foo_transfer", True, False)
    joined = "foo_transfer returned the same error in kworker/0:1-7, and kworker/0:1-7 ran the work that"
    assert found.doubts == (f"{joined} queue_work_on was given",)
    assert [step.function for step in found.candidates][:2] == ["foo_transfer", "foo_init"]
    assert summary(found)[0].endswith("first returned by foo_transfer [foo], as it seems")


@pytest.mark.parametrize(
    "other", [{"work": OTHER_WORK, "done": DONE + 8}, {"number": 5}, {"number": 0}, {"args": False}]
)
def test_work_of_others_and_other_errors_are_not_joined(other) -> None:
    found = why(trace_of([waiting()], worker(**other), tasks=[INSMOD, WORKER]), root="foo_init")
    assert names(found) == ["foo_init"]
    assert "may come from another task" in found.reason


def test_a_worker_that_returned_no_such_error_is_said() -> None:
    found = why(trace_of([waiting()], worker(number=5), tasks=[INSMOD, WORKER]), root="foo_init")
    said = "foo_init waited in wait_for_completion: the error may come from another task; foo_run ran for it in"
    assert found.reason == f"{said} kworker/0:1-7, and returned no such error"


def test_where_only_the_command_was_recorded_it_is_said_how_to_record_the_others() -> None:
    found = why(trace_of([waiting()], tasks=[INSMOD]), root="foo_init")
    assert found.next.startswith("sudo trace-cmd record -p function_graph -O funcgraph-retval -O funcgraph-args -e ")
    assert found.next.endswith(" -e workqueue -e sched_kthread_stop COMMAND && kfgraph why trace.dat")
    found = why(trace_of([waiting(args=False)], tasks=[INSMOD]), root="foo_init")
    assert "-O funcgraph-args" not in found.next and " -e sched_switch -e sched_waking COMMAND && " in found.next


def test_who_woke_the_waiter_is_followed_where_the_work_item_has_another_name() -> None:
    found = why(trace_of([waiting(work=OTHER_WORK)], worker(), tasks=[INSMOD, WORKER]), root="foo_init")
    assert found.birth.step.function == "foo_transfer"
    assert "kworker/0:1-7 woke wait_for_completion" in found.doubts[0]


def slept(waker: str, *inner: str, after: int = 0):
    """A wait without arguments, and a worker whose ``waker`` ended it, by sched_switch and sched_waking."""
    wake = call(waker, 50)
    for name in reversed(inner):
        wake = call(name, 60, wake)
    transfer = call("foo_transfer [foo]", 500, retval=error(121))
    run = call("foo_run [foo]", 200, *((wake, transfer) if after else (transfer, wake)))
    wait = call("wait_for_completion", 50, call("schedule", 50_000))
    tree = call("foo_init [foo]", 1_000, wait, retval=error(121))
    trace = trace_of([tree], [call("process_one_work", 300, run)], tasks=[INSMOD, WORKER])
    row = {trace.symbols.names[code]: at for at, code in enumerate(trace.calls.func.tolist())}
    begin = int(trace.calls.start_ns[row["schedule"]])
    column = {"lane": 0, "row": row["schedule"], "waker_lane": 1, "waker_row": row[waker]}
    int32 = {name: np.array([value], np.int32) for name, value in column.items()}
    off = OffCpu(
        begin_ns=np.array([begin]), end_ns=np.array([begin + 50_000]), asleep=np.array([True]),
        waker_context=np.zeros(1, np.uint8), **int32,
    )  # fmt: skip
    return replace(trace, off_cpu=off)


@pytest.mark.parametrize("inner", [("complete",), ("__wake_up", "__wake_up_common"), ("complete", "swake_up_locked")])
def test_who_ended_the_sleep_is_followed_where_no_arguments_were_recorded(inner) -> None:
    found = why(slept("try_to_wake_up", *inner), root="foo_init")
    assert names(found) == ["foo_init", "process_one_work", "foo_run", "foo_transfer"]
    assert (found.birth.step.function, found.birth.sure) == ("foo_transfer", False)
    woke = f"kworker/0:1-7 woke insmod-100 from its sleep in schedule by {inner[0]}"
    assert found.doubts == (f"foo_transfer returned the same error in kworker/0:1-7, and {woke}",)


@pytest.mark.parametrize("inner", [("mutex_unlock", "wake_up_q"), ("up_write", "rwsem_wake", "wake_up_q"), ()])
def test_who_let_a_lock_go_is_not_followed(inner) -> None:
    assert names(why(slept("try_to_wake_up", *inner), root="foo_init")) == ["foo_init"]


def test_what_the_waker_returned_later_came_too_late() -> None:
    assert names(why(slept("try_to_wake_up", "complete", after=1), root="foo_init")) == ["foo_init"]


@pytest.mark.parametrize("context", [1, 2])
@pytest.mark.parametrize("own_stack", [True, False])
def test_an_interrupt_that_woke_the_waiter_is_followed(context: int, own_stack: bool) -> None:
    status = call("foo_status [foo]", 30, context=context, retval=error(121))
    wake = call("complete", 20, context=context, args=f"x=0x{DONE:x}")
    handler = call("foo_irq [foo]", 100, status, wake, context=context, retval=1)
    wait = call("wait_for_completion", 50_000, *([handler] if own_stack else []), args=f"x=0x{DONE:x}")
    tree = call("foo_init [foo]", 1_000, wait, retval=error(121))
    other = [] if own_stack else [call("idle_poll", 9_000, handler)]
    found = why(trace_of([tree], other, tasks=[INSMOD, Task(0, "<idle>")]), root="foo_init")
    assert names(found) == ["foo_init", "foo_irq", "foo_status"]
    assert not found.birth.sure and "an interrupt woke wait_for_completion" in found.doubts[0]


def test_what_an_interrupt_returned_after_it_had_woken_the_waiter_came_too_late() -> None:
    late = call("foo_status [foo]", 30, context=2, retval=error(121))
    wake = call("complete", 20, context=2, args=f"x=0x{DONE:x}")
    handler = call("foo_irq [foo]", 100, wake, late, context=2, retval=1)
    tree = call(
        "foo_init [foo]", 1_000, call("wait_for_completion", 50_000, handler, args=f"x=0x{DONE:x}"), retval=error(121)
    )
    assert names(why(trace_of([tree], tasks=[INSMOD]), root="foo_init")) == ["foo_init"]


def threads(*, value: int = 104, address: int = 0xFFFFFFFFC0201020):
    create = call(
        "kthread_create_on_node", 500, retval=0xFFFF888001430000,
        args="threadfn=0xffffffffc0201020, data=0x0, node=-1, namefmt=0xffffffffc0203000",
    )  # fmt: skip
    stop = call("kthread_stop", 20_000, retval=error(104), args="k=0xffff888001430000")
    tree = call("foo_init [foo]", 1_000, create, stop, retval=error(104))
    serve = call("foo_serve [foo]", 300, retval=error(104))
    main = call("foo_main [foo]", 900, serve, retval=error(value) if value else 0)
    trace = trace_of([tree], [call("alloc_task", 1_200), main], tasks=[INSMOD, THREAD])
    addresses = trace.symbols.addresses.copy()
    addresses[trace.symbols.names.index("foo_main")] = address
    return replace(trace, symbols=replace(trace.symbols, addresses=addresses))


def test_a_thread_that_was_stopped_hands_its_value_over() -> None:
    found = why(threads(), root="foo_init")
    assert names(found) == ["foo_init", "kthread_stop", "foo_main", "foo_serve"]
    assert (found.birth.step.function, found.birth.exact, found.birth.sure) == ("foo_serve", True, True)
    assert found.doubts == ()
    assert found.chain[2].evidence == "foo_thread-101 is the thread that kthread_stop ended"


def test_another_thread_is_not_joined() -> None:
    assert names(why(threads(address=0xFFFFFFFFC0207777), root="foo_init")) == ["foo_init", "kthread_stop"]
    # Its own function returned 0, and what failed in it is not what came over for sure.
    found = why(threads(value=0), root="foo_init")
    assert found.birth.step.function == "foo_serve" and not found.birth.sure


class Events:
    """Fields of events, as a reader gives them."""

    def __init__(self, columns) -> None:
        self._columns = columns

    def names(self, code):
        return tuple(self._columns[code])

    def columns(self, code, rows, names):
        given = self._columns[code]
        return [(np.array(given[n], np.uint64), np.ones(len(rows), np.bool_)) if n in given else None for n in names]


def test_events_of_work_queues_join_where_no_arguments_were_recorded() -> None:
    trace = trace_of([waiting(args=False)], worker(args=False), tasks=[INSMOD, WORKER])
    calls = trace.calls
    run = trace.symbols.names.index("foo_run")
    first = int(np.flatnonzero(calls.func == run)[0])
    begin = int(calls.start_ns[first]) - 10

    def marks(work: int) -> Marks:
        return Marks(
            np.array([int(calls.start_ns[1]), begin, begin + 5_000]), np.array([0, 1, 1], np.int32),
            np.zeros(3, np.int16), np.array([0, 1, 2], np.int32),
            np.array([2, first, int(calls.end[first])], np.int32), np.array([1, first - 1, first - 1], np.int32),
            ("workqueue_queue_work", "workqueue_execute_start", "workqueue_execute_end"), ("", "", ""),
            Events({0: {"work": [WORK]}, 1: {"work": [work]}, 2: {"work": [work]}}),
        )  # fmt: skip

    found = why(replace(trace, marks=marks(WORK)), root="foo_init")
    assert names(found) == ["foo_init", "foo_run", "foo_transfer"]
    assert "ran the work that was queued" in found.doubts[0]
    assert names(why(replace(trace, marks=marks(OTHER_WORK)), root="foo_init")) == ["foo_init"]
    assert isinstance(trace.marks.field("workqueue_queue_work", "work"), (EventField, type(None)))


# The kernel's prototypes (workqueue.h, kthread.h, completion.h, wait.h, swait.h): W is what both sides name.
QUEUES = (
    "queue_work_on(cpu, wq, W)", "queue_work_node(node, wq, W)", "__queue_work(cpu, wq, W)",
    "queue_delayed_work_on(cpu, wq, W, delay)", "__queue_delayed_work(cpu, wq, W, delay)",
    "mod_delayed_work_on(cpu, wq, W, delay)", "queue_rcu_work(wq, W)", "kthread_queue_work(worker, W)",
    "kthread_queue_delayed_work(worker, W, delay)", "kthread_mod_delayed_work(worker, W, delay)",
    "flush_work(W)", "__flush_work(W, from_cancel)", "flush_delayed_work(W)", "kthread_flush_work(W)",
)  # fmt: skip
WAITS = (
    "wait_for_completion(W)", "wait_for_completion_timeout(W, timeout)", "wait_for_completion_interruptible(W)",
    "wait_for_completion_interruptible_timeout(W, timeout)", "wait_for_completion_killable(W)",
    "wait_for_completion_killable_timeout(W, timeout)", "wait_for_completion_io(W)",
    "wait_for_completion_io_timeout(W, timeout)", "wait_for_completion_state(W, state)",
    "prepare_to_wait(W, entry, state)", "prepare_to_wait_event(W, entry, state)",
    "prepare_to_wait_exclusive(W, entry, state)", "prepare_to_swait_event(W, wait, state)", "add_wait_queue(W, entry)",
)  # fmt: skip
WAKES = (
    "complete(W)", "complete_all(W)", "complete_on_current_cpu(W)", "complete_with_flags(W, flags)",
    "__wake_up(W, mode, nr, key)", "__wake_up_sync(W, mode)", "__wake_up_sync_key(W, mode, key)",
    "__wake_up_on_current_cpu(W, mode, key)", "swake_up_one(W)", "swake_up_all(W)",
)  # fmt: skip
CREATES = (
    "kthread_create_on_node(W, data, node, namefmt)", "__kthread_create_on_node(W, data, node, namefmt, args)",
    "kthread_create_on_cpu(W, data, cpu, namefmt)",
)  # fmt: skip


def called(prototype: str, shared: int, ns: int = 100, **odd) -> Call:
    """A call of this function in which all other arguments are some other addresses."""
    name, _, rest = prototype.removesuffix(")").partition("(")
    others = (f"{word}=0x{0xFFFF888002000000 + 64 * i:x}" for i, word in enumerate(rest.split(", ")))
    args = [f"w=0x{shared:x}" if word == "W" else next(others) for word in rest.split(", ")]
    return call(name, ns, args=", ".join(args), **odd)


@pytest.mark.parametrize("prototype", QUEUES)
@pytest.mark.parametrize("shared", [WORK, OTHER_WORK])
def test_each_way_to_queue_or_flush_work_names_it_in_its_place(prototype: str, shared: int) -> None:
    wait = call("wait_for_completion", 50_000, args="x=0x7")
    tree = call("foo_init [foo]", 1_000, called(prototype, shared, retval=1), wait, retval=error(121))
    found = why(trace_of([tree], worker(), tasks=[INSMOD, WORKER]), root="foo_init")
    if shared != WORK:
        assert names(found) == ["foo_init"]
        return
    assert names(found) == ["foo_init", "process_one_work", "foo_run", "foo_transfer"]
    assert f"ran the work that {prototype.partition('(')[0]} was given" in found.doubts[0]


@pytest.mark.parametrize(("wait", "wake"), [*((one, WAKES[0]) for one in WAITS), *((WAITS[0], one) for one in WAKES)])
@pytest.mark.parametrize("shared", [DONE, DONE + 8])
def test_each_way_to_wait_and_to_wake_names_what_is_waited_on(wait: str, wake: str, shared: int) -> None:
    tree = call("foo_init [foo]", 1_000, called(wait, shared, 50_000), retval=error(121))
    transfer = call("foo_transfer [foo]", 500, retval=error(121))
    run = call("foo_run [foo]", 200, transfer, called(wake, DONE, 50))
    found = why(trace_of([tree], [call("foo_poll [foo]", 1_000), run], tasks=[INSMOD, WORKER]), root="foo_init")
    if shared != DONE:
        assert names(found) == ["foo_init"]
        return
    assert names(found)[-1] == "foo_transfer"
    assert f"woke {wait.partition('(')[0]}" in found.doubts[0]


@pytest.mark.parametrize("prototype", CREATES)
@pytest.mark.parametrize("stop", ["kthread_stop", "kthread_stop_put"])
def test_each_way_to_make_a_thread_names_its_function(prototype: str, stop: str) -> None:
    function, thread = 0xFFFFFFFFC0201020, 0xFFFF888001430000
    create = called(prototype, function, 500, retval=thread)
    end = call(stop, 20_000, retval=error(104), args=f"k=0x{thread:x}")
    tree = call("foo_init [foo]", 1_000, create, end, retval=error(104))
    main = call("foo_main [foo]", 900, call("foo_serve [foo]", 300, retval=error(104)), retval=error(104))
    trace = trace_of([tree], [call("alloc_task", 1_200), main], tasks=[INSMOD, THREAD])
    addresses = trace.symbols.addresses.copy()
    addresses[trace.symbols.names.index("foo_main")] = function
    found = why(replace(trace, symbols=replace(trace.symbols, addresses=addresses)), root="foo_init")
    assert names(found) == ["foo_init", stop, "foo_main", "foo_serve"]


def stopped(when: str) -> list[str]:
    """The way of an error beside a thread that an event, not a call, says was ended ``when`` the waiter ran."""
    wait = call("wait_for_completion", 50_000, args="x=0x7")
    init = call("foo_init [foo]", 1_000, wait, retval=error(104))
    tree = [call("before_it", 5_000), init, call("after_it", 5_000)]
    main = call("foo_main [foo]", 900, call("foo_serve [foo]", 300, retval=error(104)), retval=error(104))
    trace = trace_of(tree, [call("kthread", 100, main)], tasks=[INSMOD, THREAD])
    calls = trace.calls
    row = trace.symbols.names.index("foo_init")
    born = int(np.flatnonzero(calls.func == row)[0])
    begin, over = int(calls.start_ns[born]), int(calls.start_ns[born] + calls.duration_ns[born])
    at = {"before": begin - 1, "first": begin, "last": over, "after": over + 1}[when]
    marks = Marks(
        np.array([at]), np.zeros(1, np.int32), np.zeros(1, np.int16), np.zeros(1, np.int32), np.array([born], np.int32),
        np.array([-1], np.int32), ("sched_kthread_stop",), ("",), Events({0: {"pid": [THREAD.pid]}}),
    )  # fmt: skip
    return names(why(replace(trace, marks=marks), root="foo_init"))


def test_a_thread_that_ended_meanwhile_is_joined_by_its_event() -> None:
    assert stopped("first") == stopped("last") == ["foo_init", "foo_main", "foo_serve"]
    assert stopped("before") == stopped("after") == ["foo_init"]
