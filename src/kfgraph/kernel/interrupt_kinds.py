"""What kind of interrupt a function tells of: the timer, a vector, a device's handler, a softirq's action.

All names are without a compiler's suffix (``.constprop.0``).
"""

from __future__ import annotations

import re

from kfgraph.kernel.interrupts import EXIT_PARTS, LEVELS

_TIMER, _CALL, _RESCHEDULE = "timer interrupt", "call function interrupt", "reschedule interrupt"
_KINDS = {
    # kernel/time/hrtimer.c, tick-common.c: event handlers of the clock event device.
    "hrtimer_interrupt": _TIMER, "tick_handle_periodic": _TIMER,
    # arch/x86/kernel/time.c and arch/powerpc/kernel/time.c; drivers/clocksource/arm_arch_timer.c, timer-riscv.c;
    # arch/s390/kernel/time.c.
    "timer_interrupt": _TIMER, "arch_timer_handler_virt": _TIMER, "arch_timer_handler_phys": _TIMER,
    "arch_timer_handler_virt_mem": _TIMER, "arch_timer_handler_phys_mem": _TIMER, "riscv_timer_interrupt": _TIMER,
    "clock_comparator_interrupt": _TIMER, "clock_comparator_work": _TIMER,
    # kernel/smp.c, kernel/sched/core.c, kernel/irq_work.c: what IPIs of all architectures call.
    "generic_smp_call_function_single_interrupt": _CALL, "generic_smp_call_function_interrupt": _CALL,
    "scheduler_ipi": _RESCHEDULE, "irq_work_run": "irq_work interrupt",
    # arch/powerpc/kernel/dbell.c, traps.c.
    "doorbell_exception": "doorbell interrupt",
    "performance_monitor_exception_async": "performance monitor interrupt",
    "performance_monitor_exception_nmi": "performance monitor NMI",
}  # fmt: skip
_VECTORS = re.compile(r"(?:asm_|instr_|fred_|__)?sysvec_(.+)|smp_(.+_interrupt|.+_ipi)|(?:__)?(spurious)_interrupt")
"""Functions of x86 that are named after their vector: arch/x86/include/asm/idtentry.h, hw_irq.h (until 5.7)."""
_OF_VECTOR = {
    "apic_timer": _TIMER, "call_function": _CALL, "call_function_single": _CALL, "reschedule": _RESCHEDULE,
}  # fmt: skip

HANDLING = frozenset({
    # kernel/irq/handle.c, chip.c.
    "__handle_irq_event_percpu", "handle_irq_event_percpu", "handle_percpu_devid_irq",
    "handle_percpu_devid_fasteoi_nmi", "handle_percpu_devid_fasteoi_ipi", "handle_fasteoi_nmi",
    # arch/s390/kernel/irq.c, arch/x86/kernel/nmi.c.
    "do_ext_interrupt", "nmi_handle",
})  # fmt: skip
"""They call the handlers of an interrupt."""
_OTHERS = frozenset({
    "add_interrupt_randomness", "note_interrupt", "__irq_wake_thread", "irq_wake_thread", "wake_up_process",
    # Of all inter-processor interrupts: what they call tells which. arch/arm64/kernel/smp.c, arch/riscv/kernel/smp.c.
    "ipi_handler", "do_handle_IPI", "handle_IPI",
}) | HANDLING  # fmt: skip
_HELPERS = re.compile(
    r"_raw_.*|__?rcu_.*|rcu_.*|trace_.*|__traceiter_.*|__bpf_.*|ktime_get.*|sched_clock.*|local_clock.*"
    r"|(?:.*_)?(?:ack|eoi|mask|unmask)(?:_.*)?"
)
"""What those call besides: locks, clocks, tracepoints, the interrupt controller."""

ACTIONS = frozenset({
    "tasklet_hi_action", "run_timer_softirq", "net_tx_action", "net_rx_action", "blk_done_softirq", "irq_poll_softirq",
    "blk_iopoll_softirq", "tasklet_action", "run_rebalance_domains", "sched_balance_softirq", "hrtimer_run_softirq",
    "rcu_core_si", "rcu_process_callbacks", "rcu_core",
})  # fmt: skip
"""The actions of softirqs: the callers of open_softirq(), include/linux/interrupt.h has the list."""

ENTER, WRAPPER, BODY, EXIT, AFTER = range(5)
"""The parts of one interrupt, in order. A wrapper, or what is no wrapper, is the interrupt itself."""
_PARTS = {
    "irq_enter": ENTER, "irq_enter_rcu": ENTER, "irq_exit": EXIT, "irq_exit_rcu": EXIT, "__irq_exit_rcu": EXIT,
    **dict.fromkeys(EXIT_PARTS, AFTER),
}  # fmt: skip


def part_of(name: str) -> int:
    """Which part of an interrupt a function is that stands beside others of it."""
    name = name.split(".", 1)[0]
    part = _PARTS.get(name)
    if part is None:
        part = WRAPPER if name in LEVELS or _VECTORS.fullmatch(name) else BODY
    return part


def kind_of(name: str) -> str:
    """The kind of interrupt that a function itself tells of; "": it tells of none."""
    name = name.split(".", 1)[0]
    kind = _KINDS.get(name, "")
    if not kind and (found := _VECTORS.fullmatch(name)):
        vector = next(filter(None, found.groups())).removesuffix("_interrupt").removesuffix("_ipi")
        kind = _OF_VECTOR.get(vector, f"{vector} interrupt")
    return kind


def may_handle(name: str) -> bool:
    """Whether a function that one of HANDLING called is the handler of a device or the like."""
    name = name.split(".", 1)[0]
    return name not in _OTHERS and not _HELPERS.fullmatch(name)
