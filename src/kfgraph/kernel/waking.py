"""Functions between what wakes a task and the event that tells it: the work is their caller's."""

from __future__ import annotations

PASSING_ON = frozenset({
    # kernel/sched/core.c
    "try_to_wake_up", "wake_up_process", "wake_up_state", "default_wake_function", "wake_up_q",
    # kernel/sched/wait.c
    "__wake_up", "__wake_up_common", "__wake_up_common_lock", "__wake_up_sync", "__wake_up_sync_key",
    "__wake_up_locked", "__wake_up_locked_key", "__wake_up_locked_sync_key", "__wake_up_locked_key_bookmark",
    "__wake_up_on_current_cpu", "autoremove_wake_function", "woken_wake_function",
    # kernel/sched/swait.c, wait_bit.c
    "swake_up_locked", "swake_up_one", "swake_up_all", "swake_up_all_locked",
    "wake_bit_function", "__wake_up_bit", "wake_up_bit", "wake_up_var", "var_wake_function",
    # kernel/exit.c, kernel/signal.c; mm/filemap.c; fs/select.c, fs/eventpoll.c
    "child_wait_callback", "__wake_up_parent", "signal_wake_up_state", "wake_page_function",
    "pollwake", "ep_autoremove_wake_function", "ep_poll_callback",
    # include/linux/tracepoint.h, include/trace/trace_events.h: they write the event
    "__traceiter_sched_waking", "trace_event_raw_event_sched_wakeup_template", "__traceiter_sched_wakeup",
})  # fmt: skip
