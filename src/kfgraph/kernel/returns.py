"""What well-known functions return, for traces without types, and how sure a value that looks like an error is one.

Return registers mislead. A function that returns nothing leaves what its last callee left there, and one that returns a
bool fills a part of the register. Types (BTF) decide where the trace has them, else the names here. They are few: what
runs most often in traces, and what such traces showed as errors by mistake.
"""

from __future__ import annotations

import enum
import re

from kfgraph.kernel.errnos import errno_name
from kfgraph.kernel.loader import LOADER_FUNCTIONS
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.spelling import plain_name
from kfgraph.model.symbols import Returned

# C types by the BTF of Linux 7.2; in older kernels these return the same, or another type that holds no error.
_VOID = """
__call_rcu_common __check_object_size __d_lookup_unhash __folio_batch_add_and_move __free_pages
__hrtimer_rearm_deferred __hrtimer_run_queues __init_rwsem __init_waitqueue_head __mod_memcg_lruvec_state
__mod_node_page_state __mod_zone_page_state __put_cred __rcu_read_lock __rcu_read_unlock __remove_hrtimer __slab_free
__smp_call_single_queue _raw_spin_lock _raw_spin_lock_irq _raw_spin_unlock _raw_spin_unlock_irq
_raw_spin_unlock_irqrestore account_llc_dequeue account_process_tick account_system_index_time account_system_time
acct_account_cputime add_interrupt_randomness apic_ack_edge arch_scale_freq_tick calc_global_load calc_global_load_tick
call_rcu cpuacct_account_field cpuacct_charge down_read down_write dput enqueue_task_fair exit_mmap finish_wait
flush_tlb_batched_pending folio_mark_accessed folio_unlock fput free_module free_pages free_percpu free_swap_cache
handle_edge_irq handle_softirqs hrtimer_bases_first hrtimer_interrupt hrtimer_run_queues invoke_rcu_core iput
irq_enter_rcu irq_exit_rcu kfree kmem_cache_free kvfree lru_add lru_add_drain mark_page_accessed mntput
mod_node_page_state module_put mutex_unlock nohz_balance_exit_idle note_interrupt path_put perf_event_task_tick
profile_tick psi_flags_change psi_group_change psi_task_change psi_task_switch put_cred_rcu put_prev_task_fair putname
raise_softirq raw_spin_rq_lock_nested rcu_core rcu_core_si rcu_note_context_switch rcu_report_qs_rnp
rcu_sched_clock_irq rcu_segcblist_add_len rcu_segcblist_enqueue rcu_segcblist_extract_done_cbs
rcu_segcblist_insert_done_cbs resched_curr run_posix_cpu_timers sched_balance_trigger sched_tick schedule set_nlink
swake_up_one switch_fpu_return switch_mm_irqs_off task_tick_fair tick_do_update_jiffies64 ttwu_do_activate
uncharge_folio unlock_page up_read up_write update_cfs_group update_curr update_fast_timekeeper update_process_times
update_rq_clock update_vsyscall update_wall_time vfree wait_for_completion wait_for_completion_io
"""
_BOOL = """
__file_ref_put __legitimize_path __note_gp_changes __virt_addr_valid __zone_watermark_ok atime_needs_update
blk_cgroup_congested capable dequeue_task_fair enqueue_hrtimer hrtimer_active is_printk_cpu_sync_owner
is_printk_legacy_deferred is_vmalloc_addr kthread_is_per_cpu legitimize_links list_lru_add may_expand_vm
module_init_section panic_in_progress panic_on_this_cpu path_noexec queue_work_on rcu_accelerate_cbs
rcu_segcblist_accelerate rcu_segcblist_pend_cbs rcu_segcblist_ready_cbs rcu_start_this_gp set_page_dirty shmem_mapping
try_module_get try_to_unlazy ttwu_queue_wakelist virtqueue_kick virtqueue_kick_prepare virtqueue_kick_prepare_split
vma_is_shared_writable vma_wants_writenotify
"""
_UNSIGNED = """
__do_fault __handle_mm_fault d_flags_for_inode do_fault filemap_fault filemap_map_pages from_kgid_munged
from_kuid_munged handle_mm_fault map_id_range_down map_id_up
"""
# An int below 0 that is no error. dequeue_entities: "-1 if delayed" (kernel/sched/fair.c); the timers': the callback
# runs (kernel/time/timer.c, hrtimer.c); priorities (kernel/sched/syscalls.c); percpu_counter_compare (lib).
_NUMBER = """
__percpu_counter_compare dequeue_entities hrtimer_try_to_cancel task_nice task_prio timer_delete_sync_try
try_to_del_timer_sync
"""
_NOTHING = Returned("void", 0, False, "void")
_TRUTH = Returned("bool", 8, False, "bool")
_COUNT = Returned("unsigned int", 32, False, "int")
_DIFFERENCE = Returned("int", 32, False, "int", signed=True)
_KNOWN = {
    name: returned
    for names, returned in ((_VOID, _NOTHING), (_BOOL, _TRUTH), (_UNSIGNED, _COUNT), (_NUMBER, _DIFFERENCE))
    for name in names.split()
}
# strcmp, cmp_name, btf_sec_info_cmp, percpu_counter_compare; not nft_cmp_init, ip_vs_in_icmp, generic_ci_d_compare.
_COMPARES = re.compile(r"_*(?:cmp|compare)_\w+|(?!_*bpf_)\w*(?:(?<!i)cmp|(?<!_d_)compare)")
_LOADER = frozenset(LOADER_FUNCTIONS)


class Fails(enum.IntEnum):
    """What a value that looks like an error number is, by what is known of the function."""

    NEVER = 0
    """The function's type holds no error."""
    MAYBE = 1
    """The type is not known, or holds numbers rather than errors (an unsigned long, an enumeration)."""
    NAMED = 2
    """An int or long: an error where the number has a name, but -1 may be any number."""
    ALWAYS = 3
    """A pointer (ERR_PTR), a system call, the module loader: nothing else is there below 0."""


def known(name: str, module: str = "") -> Returned | None:
    """What a function of that name returns (``module``: whose it is), None where the table does not say."""
    plain = plain_name(name)
    if not module and plain in _KNOWN:
        return _KNOWN[plain]
    return _DIFFERENCE if _COMPARES.fullmatch(plain) else None


def fails(name: str, module: str, returned: Returned | None) -> Fails:
    """How the function ``name`` of ``module`` ("": the core kernel) fails; ``returned``: its type by the trace."""
    plain = plain_name(name)
    said = known(name, module)
    # A comparator's int is no error number, though its type could be one's.
    if said is not None and (returned is None or (said.kind == returned.kind and not said.can_fail)):
        return Fails.NEVER
    if returned is not None and not returned.can_fail:
        return Fails.NEVER
    # .isra may have lost its return value, .part is another function.
    as_written = name == plain or name[len(plain) :].startswith(".constprop.")
    # System calls return long, and what is below 0 is always an error (include/linux/syscalls.h).
    if not module and as_written and (plain in _LOADER or system_call_of(plain)):
        return Fails.ALWAYS
    if returned is None or not as_written:
        return Fails.MAYBE
    if returned.kind == "pointer":
        return Fails.ALWAYS
    return Fails.NAMED if returned.kind == "int" and returned.signed else Fails.MAYBE


def is_sure(error: int, how: Fails) -> bool:
    """Whether ``error`` (-4095 to -1), returned by a function that fails like that, is an error for sure."""
    return how is Fails.ALWAYS or (how is Fails.NAMED and error != -1 and bool(errno_name(-error)))


def error_name(error: int, *, sure: bool, arch: str = "") -> str:
    """``ENODEV`` for -19; "" for 0, for a number without name, and for a -1 that is not ``sure`` to be an error."""
    return errno_name(-error, arch=arch) if error and (sure or error != -1) else ""
