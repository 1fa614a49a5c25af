"""Functions that belong to an interrupt although the kernel flags them as task context.

The record's flags come from the preempt count, which the entry code raises only inside these
functions (kernel/softirq.c, arch/*/kernel/irq.c, arch/x86/kernel/apic/apic.c): they are the
interrupt's own frame around what is flagged.
"""

from __future__ import annotations

WRAPPERS = frozenset({
    "irq_enter", "irq_enter_rcu", "irq_exit", "irq_exit_rcu", "__irq_exit_rcu", "do_IRQ", "common_interrupt",
    "sysvec_apic_timer_interrupt", "sysvec_reschedule_ipi", "sysvec_call_function", "sysvec_call_function_single",
    "sysvec_irq_work", "sysvec_hyperv_callback", "sysvec_kvm_asyncpf_interrupt", "sysvec_kvm_posted_intr_ipi",
    "sysvec_x86_platform_ipi", "sysvec_thermal", "sysvec_threshold", "sysvec_reboot",
    "sysvec_spurious_apic_interrupt", "sysvec_error_interrupt", "sysvec_deferred_error", "smp_apic_timer_interrupt",
    "smp_reschedule_interrupt", "smp_call_function_interrupt", "smp_call_function_single_interrupt",
    "smp_irq_work_interrupt", "do_irq_async", "do_io_irq", "do_ext_irq", "do_extint", "do_airq_interrupt",
    "el1_interrupt", "el0_interrupt", "el1h_64_irq", "el1h_64_irq_handler", "el0t_64_irq_handler", "gic_handle_irq",
    "handle_arch_irq", "generic_handle_arch_irq", "do_interrupt_handler", "riscv_intc_irq", "handle_riscv_irq",
    "do_softirq", "__do_softirq", "handle_softirqs", "__do_softirq_own_stack", "do_softirq_own_stack", "exc_nmi",
    "default_do_nmi", "nmi_enter", "nmi_exit",
})  # fmt: skip
