"""The kernel's module loader: which of its functions tell why a load failed, which of the probes' only make noise."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kfgraph.model.spelling import plain_name

# In the order in which a load comes through them. Names of several versions: a kernel has some of them.
# Sources: kernel/module.c up to 5.18, kernel/module/main.c since; init/main.c.
LOADER_FUNCTIONS = (
    "__x64_sys_finit_module",
    "__x64_sys_init_module",
    "__ia32_sys_finit_module",
    "__arm64_sys_finit_module",
    "__arm64_sys_init_module",
    "__s390x_sys_finit_module",
    "__riscv_sys_finit_module",
    "__do_sys_finit_module",
    "__se_sys_finit_module",
    "idempotent_init_module",
    "init_module_from_file",
    "load_module",
    "module_sig_check",
    "elf_validity_cache_copy",
    "elf_validity_check",
    "setup_load_info",
    "early_mod_check",
    "rewrite_section_headers",
    "check_modinfo",
    "layout_and_allocate",
    "move_module",
    "add_unformed_module",
    "percpu_modalloc",
    "find_module_sections",
    "check_export_symbol_versions",
    "check_module_license_and_versions",
    "simplify_symbols",
    "apply_relocations",
    "apply_relocate_add",
    "post_relocation",
    "module_finalize",
    "complete_formation",
    "prepare_coming_module",
    "parse_args",
    "mod_sysfs_setup",
    "do_init_module",
    "do_one_initcall",
)

# Those that an error comes up through: with these the way from the system call to the module is told.
LOADER_WAY = (
    "__x64_sys_finit_module",
    "__do_sys_finit_module",
    "load_module",
    "simplify_symbols",
    "parse_args",
    "mod_sysfs_setup",
    "do_init_module",
    "do_one_initcall",
)

# Functions that modules import and whose return value tells nothing, or that run so often that a probe on them costs
# more than it tells (measured: hits in an insmod of a small module on 6.1).
_TELLS_NOTHING = """
kmalloc_trace kmalloc_node_trace __kmalloc __kmalloc_node __kmalloc_noprof __kmalloc_cache_noprof __kvmalloc_node_noprof
kvmalloc_node krealloc kmemdup kstrdup
_printk printk __dynamic_pr_debug _dev_info _dev_err _dev_warn kmem_cache_alloc kmem_cache_alloc_noprof
kmem_cache_alloc_trace mutex_lock_interruptible mutex_trylock __mutex_trylock _cond_resched __cond_resched
schedule_timeout strcmp strncmp strlen memcmp snprintf sprintf scnprintf vsnprintf __warn_printk _copy_from_user
_copy_to_user copy_from_user copy_to_user __get_user_4 __put_user_4 down_trylock kobject_get get_device capable
rcu_is_watching kernfs_get jiffies_to_msecs
"""
NOT_WORTH_A_PROBE = frozenset(_TELLS_NOTHING.split())

# What arming, hitting and removing a return probe runs in the traced task. Without these in
# set_graph_notrace one probe on a module adds 72,500 lines to an insmod's trace (6.1): the notifier
# that arms it walks all text tables. Names of several versions.
PROBE_NOISE = (
    "register_kretprobe",
    "register_kprobe",
    "unregister_kretprobe",
    "unregister_kretprobes",
    "unregister_kprobe",
    "unregister_kprobes",
    "kprobes_module_callback",
    "kretprobe_rethook_handler",
    "pre_handler_kretprobe",
    "kprobe_ftrace_handler",
    "aggr_pre_handler",
    "aggr_post_handler",
    "opt_pre_handler",
    "optimized_callback",
    "kretprobe_dispatcher",
    "rethook_trampoline_handler",
    "arch_rethook_trampoline_callback",
    "arch_rethook_prepare",
    "rethook_try_get",
    "rethook_hook",
    "rethook_recycle",
    "trampoline_handler",
    "__kretprobe_trampoline_handler",
    "kretprobe_trampoline_handler",
    "kallsyms_lookup_name",
    "kallsyms_lookup_size_offset",
    "kallsyms_on_each_match_symbol",
    "module_kallsyms_on_each_symbol",
    "lookup_symbol_name",
)

# The same for probes on functions of the kernel itself: only hits make noise. Globs, for each costs a pass over all
# functions.
HIT_NOISE = ("*kretprobe*", "*rethook*", "kprobe_ftrace_handler")

# The calls in which the kernel sets return probes on a module that comes, and takes them from one that goes. One may
# call the next: which of them a trace shows depends on the version and on what was inlined. Source: kernel/notifier.c.
NOTIFIERS = frozenset(
    (
        "blocking_notifier_call_chain_robust",
        "blocking_notifier_call_chain",
        "__blocking_notifier_call_chain",
        "notifier_call_chain_robust",
        "notifier_call_chain",
    )
)

# What calls them for a module; each calls no other notifiers. Names of several versions.
# Sources: kernel/module.c up to 5.18, kernel/module/main.c since.
_MODULE_SYSCALL = re.compile(
    r"(__(x64|ia32|x32|arm64|s390x?|riscv|powerpc|se|do)_)?(sys|SyS)_(finit|init|delete)_module"
)
_NOTIFYING = frozenset(
    (
        "idempotent_init_module",
        "init_module_from_file",
        "load_module",
        "complete_formation",
        "prepare_coming_module",
        "do_init_module",
        "free_module",
    )
)

# Of what they call, functions that are in no other chain. Where the caller was not recorded, they tell.
MODULE_CALLBACKS = frozenset(
    (
        "jump_label_module_notify",
        "static_call_module_notify",
        "tracepoint_module_notify",
        "srcu_module_notify",
        "btf_module_notify",
        "kprobes_module_callback",
        "ddebug_module_notify",
    )
)

# Who calls a module's own functions when it comes and when it goes.
INIT_CALLERS = frozenset(("do_one_initcall",))


def is_notifier(name: str) -> bool:
    """It runs a chain of notifiers."""
    return plain_name(name) in NOTIFIERS


def notifies_of_modules(name: str) -> bool:
    """The chain of notifiers that it runs is the modules'."""
    return plain_name(name) in _NOTIFYING or is_module_syscall(name)


def is_module_syscall(name: str) -> bool:
    """It is the system call that loads or removes a module, in any of its wrappings."""
    return _MODULE_SYSCALL.fullmatch(plain_name(name)) is not None


MAX_PROBES = 64
"""More than these were never measured to leave a trace quiet."""


def present(names: Iterable[str], functions: frozenset[str]) -> tuple[str, ...]:
    """Those of ``names`` that this kernel can trace, in order."""
    return tuple(name for name in names if name in functions)
