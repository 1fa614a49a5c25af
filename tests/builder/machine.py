"""A machine of some CPUs that runs tasks and records them; what each nanosecond of a task was is painted beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.tracedat import Cpu, Extra, Kernel, trace_dat

SWITCH, WAKING, FORK, EXEC, QUEUE, RUN, EXIT, FREE, NEW = 300, 301, 302, 303, 304, 305, 306, 307, 308
FUNCTIONS = {name: 0xFFFFFFFF81000000 + 0x100 * k for k, name in enumerate((
    "f", "g", "schedule", "switch_mm_irqs_off", "finish_task_switch", "complete", "try_to_wake_up", "hrtimer_wakeup",
    "__traceiter_sched_switch", "pipe_write", "pipe_read", "load_module", "blocking_notifier_call_chain",
    "kernel_clone", "ksys_read", "queue_work_on", "drain_work_fn", "process_one_work", "do_exit", "schedule_tail",
    "irq_enter_rcu", "sysvec_apic_timer_interrupt", "irq_exit_rcu", "preempt_schedule_irq", "begin_new_exec",
    "exit_mmap",
))}  # fmt: skip
PREEMPTED, SLEEPING, UNINTERRUPTIBLE, RUNNING = 256, 1, 2, 0
_COMM = ("char", "comm[16]", 16)
EVENTS = (
    ("sched", "sched_switch", SWITCH, [
        ("char", "prev_comm[16]", 16), ("pid_t", "prev_pid", 4), ("int", "prev_prio", 4), ("long", "prev_state", 8),
        ("char", "next_comm[16]", 16), ("pid_t", "next_pid", 4), ("int", "next_prio", 4),
    ]),
    ("sched", "sched_waking", WAKING, [
        _COMM, ("pid_t", "pid", 4), ("int", "prio", 4), ("int", "success", 4),
        ("int", "target_cpu", 4),
    ]),
    ("sched", "sched_process_fork", FORK, [
        ("char", "parent_comm[16]", 16), ("pid_t", "parent_pid", 4), ("char", "child_comm[16]", 16),
        ("pid_t", "child_pid", 4),
    ]),
    ("sched", "sched_process_exec", EXEC, [
        ("__data_loc char[]", "filename", 4), ("pid_t", "pid", 4), ("pid_t", "old_pid", 4),
    ]),
    ("workqueue", "workqueue_queue_work", QUEUE, [
        ("void *", "work", 8), ("void *", "function", 8), ("__data_loc char[]", "workqueue", 4), ("int", "req_cpu", 4),
        ("int", "cpu", 4),
    ]),
    *(("sched", name, number, [_COMM, ("pid_t", "pid", 4), ("int", "prio", 4)])
      for name, number in (("sched_process_exit", EXIT), ("sched_process_free", FREE), ("sched_wakeup_new", NEW))),
    ("workqueue", "workqueue_execute_start", RUN, [("void *", "work", 8), ("void *", "function", 8)]),
)  # fmt: skip


@dataclass
class Call:
    """A call: when, what is painted on it, and the time that its calltime is moved on by (nosleep-time)."""

    name: str
    start_ns: int
    end_ns: int = -1
    moved_ns: int = 0
    painted: Counter[str] = field(default_factory=Counter)


@dataclass
class Owner:
    """A task: its calls in the order of their entries, those that are open, and what its time is painted as."""

    calls: list[Call] = field(default_factory=list)
    open: list[Call] = field(default_factory=list)
    colour: str = ""
    since_ns: int = 0
    out_ns: int = 0

    def paint(self, now_ns: int, colour: str) -> None:
        if self.open and self.colour:
            self.open[-1].painted[self.colour] += now_ns - self.since_ns
        self.since_ns, self.colour = now_ns, colour


class Machine:
    """Time passes by ``now += n``; each record is made now. The idle tasks, pid 0, run first."""

    def __init__(self, *, n_cpus: int = 2, nosleep: bool = False, names: Mapping[int, str] | None = None) -> None:
        self.kernel = Kernel()
        self.cpus = [Cpu(self.kernel, number) for number in range(n_cpus)]
        self.now, self.nosleep, self.names = 1_000_000, nosleep, dict(names or {})
        self.running = [self.idle(number) for number in range(n_cpus)]
        self.owners: dict[int, Owner] = {}
        for pid in self.running:
            self.owner(pid).paint(self.now, "self")

    @staticmethod
    def idle(cpu: int) -> int:
        """The idle task of a CPU, as a number of its own: 0 is recorded."""
        return -1 - cpu

    def owner(self, task: int) -> Owner:
        return self.owners.setdefault(task, Owner())

    def enter(self, cpu: int, name: str) -> None:
        task = self.running[cpu]
        owner = self.owner(task)
        owner.paint(self.now, owner.colour)
        self.cpus[cpu].entry(self.now, max(task, 0), FUNCTIONS[name], len(owner.open))
        owner.open.append(Call(name, self.now))
        owner.calls.append(owner.open[-1])

    def leave(self, cpu: int) -> None:
        task = self.running[cpu]
        owner = self.owner(task)
        owner.paint(self.now, owner.colour)
        call = owner.open.pop()
        call.end_ns = self.now
        started = call.start_ns + (call.moved_ns if self.nosleep else 0)
        self.cpus[cpu].exit(self.now, max(task, 0), FUNCTIONS[call.name], len(owner.open), started, self.now)

    def out(self, cpu: int, to: int, state: int = SLEEPING, *, recorded: bool = True) -> None:
        """The event of a switch; ``come`` ends it, and until then the task still runs functions, of its own time."""
        if recorded:
            data = bytes(16) + self.kernel.pack("iiq", max(self.running[cpu], 0), 120, state)
            data += bytes(16) + self.kernel.pack("ii", max(to, 0), 120)
            self.cpus[cpu].event(self.now, max(self.running[cpu], 0), SWITCH, data)
        is_idle = self.running[cpu] <= 0
        self.owner(self.running[cpu]).paint(self.now, "asleep" if is_idle or state & 0xFF else "preempted")
        self.owner(self.running[cpu]).out_ns = self.now
        self._coming = (to, self.now)

    def came(self, cpu: int) -> None:
        """The other task runs, since the event of the switch."""
        to, then = self._coming
        owner = self.owner(to)
        for call in owner.open:
            call.moved_ns += then - owner.out_ns
        now, self.now = self.now, then
        owner.paint(then, "self")
        self.now = now
        self.running[cpu] = to

    def switch(self, cpu: int, to: int, state: int = SLEEPING, *, recorded: bool = True) -> None:
        self.out(cpu, to, state, recorded=recorded)
        self.came(cpu)

    def passing(self, cpu: int, name: str, ns: int) -> None:
        """A call that takes so long between the event of a switch out and the switch."""
        owner = self.owner(self.running[cpu])
        colour, owner.colour = owner.colour, "self"
        self.enter(cpu, name)
        self.now += ns
        self.leave(cpu)
        owner.paint(self.now, colour)

    def wake(self, cpu: int, task: int, *, flags: int = 0) -> None:
        data = bytes(16) + self.kernel.pack("iiii", task, 120, 1, 0)
        self.cpus[cpu].event(self.now, max(self.running[cpu], 0), WAKING, data, flags=flags)

    def fork(self, cpu: int, child: int, comm: str = "sh") -> None:
        """``sched_process_fork`` in what runs on the CPU."""
        task = self.running[cpu]
        name = comm.encode().ljust(16, b"\0")
        data = name + self.kernel.pack("i", task) + name + self.kernel.pack("i", child)
        self.cpus[cpu].event(self.now, task, FORK, data)

    def exec(self, cpu: int, filename: str) -> None:
        """``sched_process_exec`` in what runs on the CPU."""
        task, name = self.running[cpu], filename.encode() + b"\0"
        data = self.kernel.pack("Iii", len(name) << 16 | 20, task, task) + name
        self.cpus[cpu].event(self.now, task, EXEC, data)

    def about(self, cpu: int, event: int, task: int, comm: str = "sh") -> None:
        """EXIT, FREE or NEW of a task, in what runs on the CPU."""
        data = comm.encode().ljust(16, b"\0") + self.kernel.pack("ii", task, 120)
        self.cpus[cpu].event(self.now, max(self.running[cpu], 0), event, data)

    def reuse(self, pid: int) -> None:
        """The pid is another task's from here on: nothing of the task before is open in it."""
        self.owners[pid] = Owner()

    def queue(self, cpu: int, work: int, function: str) -> None:
        """``workqueue_queue_work``."""
        data = self.kernel.pack("QQIii", work, FUNCTIONS[function], 4 << 16 | 36, -1, 0) + b"wq\0\0"
        self.cpus[cpu].event(self.now, max(self.running[cpu], 0), QUEUE, data)

    def work(self, cpu: int, work: int, function: str) -> None:
        """``workqueue_execute_start``."""
        data = self.kernel.pack("QQ", work, FUNCTIONS[function])
        self.cpus[cpu].event(self.now, max(self.running[cpu], 0), RUN, data)

    def dat(self, *, waking: str = "sched_waking") -> bytes:
        """The file; ``waking`` is what its event is called."""
        events = [(system, waking if number == WAKING else name, number, what) for system, name, number, what in EVENTS]
        symbols = {address: ("T", name, "") for name, address in FUNCTIONS.items()}
        return trace_dat(self.kernel, self.cpus, symbols=symbols, extra=Extra(comms=self.names, events=events))
