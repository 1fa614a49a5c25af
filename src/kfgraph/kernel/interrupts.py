"""Functions that belong to an interrupt although the kernel flags them as task context.

The record's flags come from the preempt count, which the entry code raises only inside these functions: they are the
interrupt's own frame around what is flagged. Entry code in ``.noinstr.text`` cannot be traced; it is here where some
version or architecture has it traced. Names are those before a compiler's suffix (``.constprop.0``).
"""

from __future__ import annotations

SOFT, HARD, NMI = 1, 2, 3
"""Levels: each is interrupted by those above it. As the codes of ``kfgraph.model.calls.CONTEXTS``."""

_TABLE: tuple[tuple[int, str, str], ...] = (
    # All architectures.
    (HARD, "irq_enter irq_enter_rcu irq_exit irq_exit_rcu __irq_exit_rcu", "kernel/softirq.c"),
    (SOFT, "do_softirq __do_softirq handle_softirqs invoke_softirq", "kernel/softirq.c"),
    (SOFT, "do_softirq_own_stack __do_softirq_own_stack", "arch/*/kernel/irq*.c"),
    (HARD, "generic_handle_arch_irq handle_arch_irq", "kernel/irq/handle.c"),
    (HARD, "handle_domain_irq __handle_domain_irq", "kernel/irq/irqdesc.c, until 5.16"),
    (NMI, "handle_domain_nmi generic_handle_domain_nmi", "kernel/irq/irqdesc.c"),
    (HARD, "do_IRQ", "arch/*/kernel/irq.c: x86 until 5.7, powerpc, s390 and riscv until 5.16"),
    # x86.
    (HARD, "common_interrupt __common_interrupt asm_common_interrupt", "arch/x86/kernel/irq.c, entry/entry_64.S"),
    (HARD, "spurious_interrupt __spurious_interrupt", "arch/x86/kernel/apic/apic.c"),
    (HARD, "smp_apic_timer_interrupt smp_error_interrupt smp_spurious_interrupt", "arch/x86/kernel/apic/apic.c"),
    (
        HARD,
        "smp_reschedule_interrupt smp_call_function_interrupt smp_call_function_single_interrupt smp_reboot_interrupt",
        "arch/x86/kernel/smp.c, until 5.7",
    ),
    (HARD, "smp_irq_work_interrupt", "arch/x86/kernel/irq_work.c, until 5.7"),
    (HARD, "smp_x86_platform_ipi smp_kvm_posted_intr_ipi", "arch/x86/kernel/irq.c, until 5.7"),
    (
        HARD,
        "smp_thermal_interrupt smp_threshold_interrupt smp_deferred_error_interrupt",
        "arch/x86/kernel/cpu/mce/, until 5.7",
    ),
    (HARD, "fred_extint", "arch/x86/entry/entry_fred.c"),
    (HARD, "xen_evtchn_do_upcall xen_hvm_evtchn_do_upcall", "drivers/xen/events/events_base.c"),
    (HARD, "hyperv_vector_handler hyperv_stimer0_vector_handler", "arch/x86/kernel/cpu/mshyperv.c, until 5.7"),
    (HARD, "uv_bau_message_interrupt", "arch/x86/platform/uv/tlb_uv.c, until 5.9"),
    (NMI, "exc_nmi asm_exc_nmi do_nmi default_do_nmi fred_exc_nmi", "arch/x86/kernel/nmi.c"),
    # arm64.
    (
        HARD,
        "el0_interrupt el1_interrupt __el1_irq __el0_irq_handler_common do_interrupt_handler"
        " el0t_64_irq_handler el1h_64_irq_handler el1t_64_irq_handler el0t_32_irq_handler"
        " el0t_64_fiq_handler el1h_64_fiq_handler el1t_64_fiq_handler el0t_32_fiq_handler",
        "arch/arm64/kernel/entry-common.c",
    ),
    (NMI, "__el1_pnmi", "arch/arm64/kernel/entry-common.c"),
    (
        HARD,
        "el0_irq el1_irq el0t_64_irq el1h_64_irq el1t_64_irq el0t_32_irq call_on_irq_stack",
        "arch/arm64/kernel/entry.S",
    ),
    (HARD, "gic_handle_irq", "drivers/irqchip/irq-gic.c, irq-gic-v3.c, irq-gic-v5.c"),
    (HARD, "__gic_handle_irq __gic_handle_irq_from_irqson", "drivers/irqchip/irq-gic-v3.c"),
    (NMI, "__gic_handle_nmi gic_handle_nmi", "drivers/irqchip/irq-gic-v3.c"),
    (HARD, "aic_handle_irq aic_handle_fiq", "drivers/irqchip/irq-apple-aic.c"),
    (HARD, "bcm2836_arm_irqchip_handle_irq", "drivers/irqchip/irq-bcm2836.c"),
    (HARD, "handle_IPI", "arch/arm64/kernel/smp.c, until 5.9"),
    # riscv.
    (HARD, "do_irq handle_riscv_irq", "arch/riscv/kernel/traps.c"),
    (HARD, "riscv_intc_irq riscv_intc_aia_irq", "drivers/irqchip/irq-riscv-intc.c"),
    # s390. do_airq_interrupt and do_ext_interrupt are handlers, flagged where irq_enter was traced before them.
    (HARD, "do_io_irq do_ext_irq do_irq_async do_ext_interrupt do_extint", "arch/s390/kernel/irq.c"),
    (HARD, "do_airq_interrupt", "drivers/s390/cio/airq.c"),
    (HARD, "do_cio_interrupt", "drivers/s390/cio/cio.c"),
    (NMI, "s390_do_machine_check", "arch/s390/kernel/nmi.c"),
    # powerpc: DEFINE_INTERRUPT_HANDLER_ASYNC and _NMI.
    (HARD, "__do_irq __do_IRQ replay_soft_interrupts", "arch/powerpc/kernel/irq.c"),
    (HARD, "timer_interrupt", "arch/powerpc/kernel/time.c"),
    (HARD, "doorbell_exception", "arch/powerpc/kernel/dbell.c"),
    (HARD, "handle_hmi_exception", "arch/powerpc/kernel/traps.c"),
    (HARD, "performance_monitor_exception_async", "arch/powerpc/kernel/traps.c"),
    (NMI, "performance_monitor_exception_nmi system_reset_exception soft_nmi_interrupt", "arch/powerpc/kernel/"),
)
"""(level, names, where they are): the wrappers."""
_BEGIN = ("sysvec_", "__sysvec_", "asm_sysvec_", "instr_sysvec_", "fred_sysvec_")
"""arch/x86/include/asm/idtentry.h, DEFINE_IDTENTRY_SYSVEC and _SIMPLE: a function each vector, since 5.8."""

LEVELS: dict[str, int] = {name: level for level, names, _ in _TABLE for name in names.split()}
"""The level of each wrapper."""

EXIT_PARTS = frozenset({
    # kernel/entry/common.c: on return to the kernel, from interrupts and other exceptions.
    "irqentry_exit_cond_resched", "raw_irqentry_exit_cond_resched", "dynamic_irqentry_exit_cond_resched",
    # kernel/time/hrtimer.c, since 7.2: as the above, and where the scheduler or the way to user space does it.
    "__hrtimer_rearm_deferred",
})  # fmt: skip
"""They are of an interrupt where they come directly after a part of one."""
RESCHEDULING = frozenset(name for name in EXIT_PARTS if name.endswith("cond_resched"))
"""Of those: what they call is another task's turn, not the interrupt's."""


def level_of(name: str) -> int:
    """The level of the interrupt that a function is a wrapper of; 0: it is none."""
    name = name.split(".", 1)[0]
    return LEVELS.get(name) or (HARD if name.startswith(_BEGIN) else 0)
