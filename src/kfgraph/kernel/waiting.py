"""Functions in which a task waits: their own time is not work.

A time that such a function took itself passed while another task, or none, was on the CPU.
"""

from __future__ import annotations

SWITCHING = frozenset({
    # kernel/sched/core.c: they give the CPU away and return when the task runs again.
    "schedule", "schedule_idle", "schedule_preempt_disabled", "schedule_user", "schedule_rtlock", "rt_mutex_schedule",
    "io_schedule", "io_schedule_timeout", "preempt_schedule", "preempt_schedule_irq", "preempt_schedule_common",
    "preempt_schedule_notrace", "__schedule",
    # kernel/time/timer.c, kernel/time/sleep_timeout.c
    "schedule_timeout", "schedule_timeout_interruptible", "schedule_timeout_killable",
    "schedule_timeout_uninterruptible", "schedule_timeout_idle",
    # kernel/time/hrtimer.c, kernel/time/sleep_timeout.c
    "schedule_hrtimeout", "schedule_hrtimeout_range", "schedule_hrtimeout_range_clock",
})  # fmt: skip
"""Another task may run until they return."""

IDLE = frozenset({
    # kernel/sched/idle.c; where default_idle_call cannot be traced (since 6.2), the CPU halts in do_idle itself
    "do_idle", "default_idle_call", "cpu_idle_poll",
    # drivers/cpuidle/cpuidle.c, poll_state.c; drivers/acpi/processor_idle.c; drivers/idle/intel_idle.c
    "cpuidle_enter_state", "cpuidle_enter", "poll_idle", "acpi_idle_enter", "acpi_idle_do_entry", "acpi_safe_halt",
    "intel_idle", "intel_idle_irq", "intel_idle_ibrs", "intel_idle_xstate", "intel_idle_hlt",
    # arch/x86/kernel/process.c, paravirt.c; arch/*/kernel/idle.c, process.c
    "default_idle", "mwait_idle", "native_safe_halt", "pv_native_safe_halt", "arch_cpu_idle", "cpu_do_idle",
})  # fmt: skip
"""The CPU has nothing to run until they return."""

WAITING = SWITCHING | IDLE
