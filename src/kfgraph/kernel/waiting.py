"""Functions in which a task waits: their own time is not work.

A time that such a function took itself passed while another task, or none, was on the CPU. Those that only call one
(``AROUND_``) wait themselves where the inner ones cannot be traced, or were not.
"""

from __future__ import annotations

SWITCHING = frozenset({
    # kernel/sched/core.c: they give the CPU away and return when the task runs again.
    "schedule", "schedule_idle", "schedule_rtlock", "rt_mutex_schedule", "preempt_schedule", "preempt_schedule_irq",
    "preempt_schedule_common", "preempt_schedule_notrace", "__schedule",
})  # fmt: skip
"""Another task may run until they return."""

YIELDING = frozenset({
    # kernel/sched/core.c: they call __schedule by way of preempt_schedule_common; neither can be traced.
    "__cond_resched", "_cond_resched", "dynamic_cond_resched", "__cond_resched_lock",
    "__cond_resched_rwlock_read", "__cond_resched_rwlock_write",
})  # fmt: skip
"""Another task may run until they return, if one shall: most of their calls return at once."""

SWITCH_BEGINS = frozenset({"rcu_note_context_switch"})
"""kernel/sched/core.c: the first that ``__schedule``, which cannot be traced, calls of what can be."""

SWITCH_ENDS = frozenset({
    # kernel/sched/core.c: the last ones, when the task runs again, or where no other one was there to run.
    "finish_task_switch", "__balance_callbacks", "raw_spin_rq_unlock", "raw_spin_rq_unlock_irq",
    # kernel/locking/spinlock.c: the lock of the run queue.
    "_raw_spin_unlock", "_raw_spin_unlock_irq",
})  # fmt: skip

AROUND_SWITCHING = frozenset({
    # kernel/sched/core.c
    "schedule_preempt_disabled", "schedule_user", "io_schedule", "io_schedule_timeout",
    # kernel/time/timer.c, kernel/time/sleep_timeout.c
    "schedule_timeout", "schedule_timeout_interruptible", "schedule_timeout_killable",
    "schedule_timeout_uninterruptible", "schedule_timeout_idle",
    # kernel/time/hrtimer.c, kernel/time/sleep_timeout.c
    "schedule_hrtimeout", "schedule_hrtimeout_range", "schedule_hrtimeout_range_clock",
})  # fmt: skip

HALTING = frozenset({
    # kernel/sched/idle.c; drivers/cpuidle/poll_state.c
    "cpu_idle_poll", "poll_idle",
    # drivers/acpi/processor_idle.c; drivers/idle/intel_idle.c
    "acpi_idle_do_entry", "acpi_safe_halt",
    "intel_idle", "intel_idle_irq", "intel_idle_ibrs", "intel_idle_xstate", "intel_idle_hlt",
    # arch/x86/kernel/process.c, paravirt.c; arch/*/kernel/idle.c, process.c
    "default_idle", "mwait_idle", "native_safe_halt", "pv_native_safe_halt", "arch_cpu_idle", "cpu_do_idle",
})  # fmt: skip
"""The CPU has nothing to run until they return."""

AROUND_HALTING = frozenset({
    # kernel/sched/idle.c: where none of the inner ones can be traced (x86 since 6.2), the CPU halts in do_idle itself
    "do_idle", "default_idle_call",
    # drivers/cpuidle/cpuidle.c; drivers/acpi/processor_idle.c
    "cpuidle_enter", "cpuidle_enter_state", "acpi_idle_enter",
})  # fmt: skip

WRITING_THE_SWITCH = frozenset({
    # include/linux/tracepoint.h, include/trace/trace_events.h, perf.h, bpf_probe.h
    "__traceiter_sched_switch", "trace_event_raw_event_sched_switch", "perf_trace_sched_switch",
    "__bpf_trace_sched_switch",
})  # fmt: skip
"""They write the event of a switch, and return before it."""

CLASSES = ((SWITCHING, AROUND_SWITCHING), (HALTING, AROUND_HALTING))
