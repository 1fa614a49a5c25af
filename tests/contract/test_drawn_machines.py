"""Drawn recordings of tasks that sleep, are interrupted, fork, exec, end and have one another's pids, with return
probes and losses: what all passes make of each is recorded."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import kfgraph
import recorded
from builder import machine
from builder.machine import EXIT, FREE, FUNCTIONS, NEW, Machine
from described import codes
from kfgraph.model.calls import PARTS, CallTable
from kfgraph.model.companion import Companion, ReturnProbe
from kfgraph.model.trace import Trace

PROBE = 400
PROBED = ("kprobes", "probed", PROBE, [
    ("unsigned long", "__probe_func", 8), ("unsigned long", "__probe_ret_ip", 8), ("s64", "ret", 8),
])  # fmt: skip
TASKS = (11, 12, 13)
STATES = (0, 1, 1, 1, 2, 16, 32, 128, 256)
STEPS = (1, 10, 50, 100, 400, 2_000, 4_999, 5_001, 70_000, 1_000_000, 1_000_001)
USUAL = ("f", "f", "g", "schedule", "complete", "pipe_read", "load_module", "finish_task_switch", "do_exit")
RARE = (
    "schedule_tail", "switch_mm_irqs_off", "__traceiter_sched_switch", "begin_new_exec", "exit_mmap", "irq_exit_rcu",
)  # fmt: skip


class Drawn(Machine):
    """One recording of so many steps."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(nosleep=rng.random() < 0.1, names={11: "sh", 12: "cat"})
        self.rng, self.restless = rng, rng.choice((0, 0, 0.05))
        for _ in range(rng.choice((30, 60, 120))):
            self.now += rng.choice(STEPS[: rng.choice((5, 7, len(STEPS)))])
            self.step(rng.randrange(len(self.cpus)))

    def step(self, cpu: int) -> None:
        rng, open_calls = self.rng, self.owner(self.running[cpu]).open
        what = rng.randrange(40)
        if what < 10 and len(open_calls) < 6:
            self.enter(cpu, rng.choice(USUAL if rng.random() < 0.85 else RARE))
        elif what < 18 and open_calls:
            if rng.random() < 0.2:
                self.probed(cpu, open_calls[-1].name)
            self.leave(cpu)
            if rng.random() < 0.1:
                self.probed(cpu, "f")
        elif what < 26:
            self.off(cpu)
        elif what < 30:
            self.interrupt(cpu)
        elif what < 32:
            self.wake(cpu, rng.choice(TASKS), flags=rng.choice((0, 0x08, 0x10)))
        elif what < 38:
            self.tell(cpu, rng.choice(TASKS))
        elif what == 38 and rng.random() < 0.3:
            self.cpus[cpu].lose(rng.choice((-1, 3)))
        elif open_calls:
            # Its record is lost.
            open_calls.pop()

    def off(self, cpu: int) -> None:
        """Another task runs, one that runs nowhere else."""
        rng = self.rng
        to = rng.choice([task for task in (self.idle(cpu), *TASKS) if task not in self.running])
        self.out(cpu, to, rng.choice(STATES), recorded=rng.random() >= self.restless)
        if rng.random() < 0.3:
            self.now += rng.choice(STEPS[:5])
            self.passing(cpu, rng.choice(("switch_mm_irqs_off", "g")), rng.choice(STEPS[:5]))
        self.came(cpu)

    def interrupt(self, cpu: int) -> None:
        """Some parts of one; their context is told or not."""
        rng, task = self.rng, self.running[cpu]
        depth = len(self.owner(task).open) + rng.choice((0, 0, 0, 1))
        for name in ("irq_enter_rcu", "sysvec_apic_timer_interrupt", "irq_exit_rcu", "preempt_schedule_irq"):
            if rng.random() < 0.4:
                continue
            began, flags = self.now, rng.choice((0, 0x08, 0x08, 0x10))
            calls = [name, "hrtimer_wakeup"][: rng.choice((1, 2))]
            for at, one in enumerate(calls):
                self.cpus[cpu].entry(self.now, max(task, 0), FUNCTIONS[one], depth + at, flags=flags)
                self.now += rng.choice(STEPS[:6])
            for at, one in reversed(list(enumerate(calls))):
                self.cpus[cpu].exit(self.now, max(task, 0), FUNCTIONS[one], depth + at, began, self.now, flags=flags)
                self.now += 10

    def probed(self, cpu: int, name: str) -> None:
        data = self.kernel.pack("QQq", FUNCTIONS[name], 1, self.rng.choice((0, -22, 5)))
        self.cpus[cpu].event(self.now, max(self.running[cpu], 0), PROBE, data)

    def tell(self, cpu: int, task: int) -> None:
        """An event about a task, whose pid may be another one's from then on."""
        rng, what = self.rng, self.rng.randrange(6)
        if what == 0:
            self.fork(cpu, task, rng.choice(("sh", "cat", "trace-cmd")))
        elif what == 1:
            self.exec(cpu, rng.choice(("/bin/cat", "ls", "/usr/bin/a_name_of_many_letters")))
        elif what < 5:
            self.about(cpu, (EXIT, FREE, NEW)[what - 2], task)
        if rng.random() < 0.3 and task not in self.running:
            self.reuse(task)


def told(trace: Trace) -> str:
    """The notices; sums of the calls, of what is no own time in them, of the tasks, and of the other events."""
    calls, off = trace.calls, trace.off_cpu
    columns = [getattr(calls, name) for name in CallTable.declared()]
    parts = [part.dense(len(calls)) for name in PARTS if (part := getattr(calls, name)) is not None]
    tasks = [*map(repr, trace.tasks), sorted(trace.command_lanes or []), sorted(trace.probed)]
    places = [*vars(trace.marks).values(), *vars(trace.losses).values()]
    sums = (columns, [*parts, *(vars(off).values() if off is not None else ())], tasks, places)
    return " ".join((codes(trace), *(recorded.digest(*each) for each in sums)))


def drawn(rng: random.Random, file: Path) -> Trace:
    file.write_bytes(Drawn(rng).dat(waking=rng.choice(("sched_waking", "sched_wakeup"))))
    companion = Companion(
        argv=rng.choice((("cat", "x"), ())), pids=(rng.choice((11, 11, 12, 99)),), follow=rng.random() < 0.5,
        probes=(ReturnProbe("kprobes", "probed", "f", ""),),
    )  # fmt: skip
    beside = file.with_name(f"{file.name}.kfgraph.json")
    beside.write_text(json.dumps(companion.to_dict())) if rng.random() < 0.5 else beside.unlink(missing_ok=True)
    trace = kfgraph.load(file)
    trace.check()
    return trace


def test_what_the_passes_make_of_drawn_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "EVENTS", (*machine.EVENTS, PROBED))
    recorded.compare_each("machines", 80, lambda rng: told(drawn(rng, tmp_path / "a.dat")))
