"""What functions do after a failure: give back, unlock, report. Told from their names, so an inference."""

from __future__ import annotations

import re
from functools import lru_cache

from kfgraph.model.spelling import plain_name

# Words of a name, split at underscores. The kernel names what gives back after what it gives back (kfree, dput).
_GIVES_BACK_WORDS = """
free put release released unregister destroy remove del delete exit teardown unlock close drop undo unwind cancel
cleanup clean fini deinit uninit stop disable detach disconnect kill drain abort rollback revert shutdown unmap unlink
unload unbind unset deref dealloc discard invalidate dec purge forget terminate unpin unmount unprepare deactivate
deregister unreg dereg memfree unref unhold reap
unhash unwire unreserve uncharge uninstall going bye freeing releasing removing destroying
"""
_GIVES_BACK = frozenset(_GIVES_BACK_WORDS.split())
_GIVES_BACK_WHOLE = re.compile(
    r"_{0,3}(?:k?v?z?free\w*|kfree\w*|iput\w*|dput\w*|mntput\w*|fput\w*|bdput|putname|brelse\w*|module_put|consume_skb\w*|"
    r"path_put|up_(?:read|write)|up|call_rcu\w*|synchronize_\w+|__wait_rcu_gp|rcu_barrier\w*|devres_release\w*|"
    r"device_links_no_driver|driver_sysfs_remove|pm_runtime_\w*put\w*|pm_request_idle|kobject_uevent\w*|"
    r"add_device_randomness)"
)
_GETS_FREE = re.compile(r"(?:get|find|first|next|count|nr|have|check|is)_(?:\w+_)?free|(?<!de)alloc")
_REPORTS = re.compile(
    r"_{0,2}(?:dev_\w*printk\w*|dev_(?:err|warn|info|notice|crit|dbg)\w*|dynamic_\w*dbg\w*|_?printk\w*|vprintk\w*|pr_\w+|"
    r"netdev_\w*printk|warn_slowpath\w*|__warn_printk|trace_\w+|__traceiter_\w+|audit_\w+|dump_stack\w*|"
    r"___ratelimit|errseq_\w+|report_\w+|\w+_warn(?:ing)?_\w+|show_(?:stack|regs)\w*|\w*show_trace_log_lvl|"
    # What dump_stack calls, which may have no call of its own.
    r"print_(?:tainted\w*|worker_info|stop_info)|get_taint|kexec_crash_loaded)"
)
_NEUTRAL = re.compile(
    r"_{0,3}(?:raw_)?(?:spin|read|write|seq|mutex|rwsem|rt_mutex|local|rcu|srcu)_?(?:un)?(?:try)?lock\w*|_raw_\w*(?:un)?lock\w*|"
    r"down_(?:read|write)\w*|down|mutex_is_locked|__?cond_resched\w*|preempt_\w+|rcu_\w+|__?might_\w+|"
    r"__?(?:const_)?(?:u|n)delay|delay_\w+|msleep\w*|usleep_range\w*|schedule\w*|ktime_get\w*|jiffies\w*|"
    r"__?wake_up\w*|complete(?:_all)?|swake_up\w*|__fentry__|ftrace_\w+|kasan_\w+|kmsan_\w+|__kcsan\w*|lockdep_\w+|lock_(?:acquire|release)\w*|"
    r"finish_task_switch\w*|_{1,2}schedule\w*|preempt_schedule\w*|prandom_\w+|get_random_\w+|refcount_\w+|__get_task_comm|mem(?:set|cpy|cmp|move|chr\w*)|"
    r"str(?:n?cmp|n?casecmp|n?len|n?cpy|lcpy|scpy\w*|n?cat|lcat|r?chr\w*|str|sep|spn|cspn|pbrk|im|skip\w*)|"
    r"(?:v|sc|vsc)?s?n?printf|sort\w*|"
    r"(?:pick|put_prev|set_next|dequeue|enqueue|check_preempt|wakeup_preempt|yield)_(?:next_)?(?:task|entit)\w*|"
    r"pick_eevdf\w*|update_rq_clock\w*|psi_\w+|switch_mm\w*|prepare_task_switch|sched_(?:clock|balance|tick)\w*"
)
_WORK_WORDS = """
alloc init create register add setup probe read get open enable start map request load parse check verify validate write
prepare attach connect bind mount insert install configure config reserve claim lookup find acquire submit send recv
allocate new make build resume power set apply load link
"""
_WORKS = frozenset(_WORK_WORDS.split())
_GOES_ON_WORDS = """
alloc init create register add setup probe open enable start request load parse check verify validate prepare attach
connect bind mount insert install configure config reserve claim lookup find acquire make new build link
"""
_GOES_ON = frozenset(_GOES_ON_WORDS.split())
_AFTERMATH_WORDS = """
reset restore default defaults off recover recovery clear error errors err fail failed failure retry safe idle suspend
"""
_AFTERMATH = frozenset(_AFTERMATH_WORDS.split())
"""With these words it is what is done after a failure that begins."""
_QUIETENS_WORDS = """
flush park quiesce halt sleep rewind finish end leave abandon shut relinquish retire withdraw wipe scrub erase flushing
"""
_QUIETENS = frozenset(_QUIETENS_WORDS.split()) | _AFTERMATH
_ASKS_FOR = frozenset(["get", "read", "wait", "poll", "fetch", "check"])
"""With these a quietening word says what for: ``wait_idle``, ``get_reset``."""
_LOOKS_FOR = re.compile(r"(?:^|_)(?:k?v?z?(?:m|c)?alloc|alloc|kmemdup|kstrdup|dup|new|create)(?:_|$|\d)|alloc")


@lru_cache(maxsize=4096)
def gives_back(name: str) -> bool:
    """Whether the function, by its name, undoes or gives back something: what follows a failure, not what fails."""
    bare = plain_name(name)
    if _GETS_FREE.search(bare):
        return False
    if _GIVES_BACK_WHOLE.fullmatch(bare) is not None:
        return True
    words = bare.lower().split("_")
    return not _GIVES_BACK.isdisjoint(words) or any(map(_undoes, words))


def _undoes(word: str) -> bool:
    """``uninit``, ``deconfigure``, ``disconnect``: what is begun, with the syllable that turns it round."""
    return any(word.startswith(start) and word[len(start) :] in _GOES_ON for start in ("un", "de", "dis"))


@lru_cache(maxsize=4096)
def decides_nothing(name: str) -> bool:
    """Whether the function, by its name, only locks, waits, copies or reports: no error comes from it."""
    bare = plain_name(name)
    return _NEUTRAL.fullmatch(bare) is not None or _REPORTS.fullmatch(bare) is not None


@lru_cache(maxsize=4096)
def reports(name: str) -> bool:
    """Whether the function, by its name, only tells of something (printk and the like)."""
    return _REPORTS.fullmatch(plain_name(name)) is not None


@lru_cache(maxsize=4096)
def does_work(name: str) -> bool:
    """Whether the function, by its name, goes on with the job: nobody calls it after giving up."""
    bare = plain_name(name)
    return not gives_back(bare) and not _WORKS.isdisjoint(bare.lower().split("_"))


@lru_cache(maxsize=4096)
def allocates(name: str) -> bool:
    """Whether the function, by its name, returns memory: NULL is its failure."""
    bare = plain_name(name)
    return not gives_back(bare) and _LOOKS_FOR.search(bare) is not None


_ASKS_WORDS = """
is are has have can may allowed permitted capable trusted valid ok okay ready enabled supported present match matches
eligible authorized privileged
"""
_ASKS = frozenset(_ASKS_WORDS.split())


@lru_cache(maxsize=4096)
def asks(name: str) -> bool:
    """Whether the function, by its name, answers a question with true or false."""
    return not gives_back(name) and not _ASKS.isdisjoint(plain_name(name).lower().split("_"))


@lru_cache(maxsize=4096)
def goes_on(name: str) -> bool:
    """Whether the function, by its name, begins something: a caller that gives up does not call it. Reading, writing
    and setting may be a part of giving up."""
    words = plain_name(name).lower().split("_")
    return not gives_back(name) and not _GOES_ON.isdisjoint(words) and _AFTERMATH.isdisjoint(words)


def follows_failure(name: str) -> bool:
    """Whether it is usual, by its name, that the function runs after a failure: it gives up, or tells."""
    return may_give_up(name) or tells(name)


@lru_cache(maxsize=4096)
def may_give_up(name: str) -> bool:
    """Whether the function, by its name, may be a part of giving up: it quietens, puts right or gives back. A weak
    sign: such a function may fail by itself."""
    words = plain_name(name).lower().split("_")
    return gives_back(name) or (not _QUIETENS.isdisjoint(words) and (_GOES_ON | _ASKS_FOR).isdisjoint(words))


_APPROVES_WORDS = "valid ok okay ready supported present match matches check verify validate"
_APPROVES = frozenset(_APPROVES_WORDS.split())


_PERMITS = frozenset(["allowed", "permitted", "capable", "trusted", "eligible", "authorized", "privileged"])


@lru_cache(maxsize=4096)
def permits(name: str) -> bool:
    """Whether the function, by its name, says whether something is allowed: false is no failure but a refusal."""
    return not _PERMITS.isdisjoint(plain_name(name).lower().split("_"))


@lru_cache(maxsize=4096)
def approves(name: str) -> bool:
    """Whether the function, by its name, says with true that all is well: false is its failure."""
    return not gives_back(name) and not _APPROVES.isdisjoint(plain_name(name).lower().split("_"))


_SEARCHES = frozenset(["find", "lookup", "search"])


@lru_cache(maxsize=4096)
def looks_for(name: str) -> bool:
    """Whether the function, by its name, looks something up: NULL says that it is not there."""
    return not gives_back(name) and not _SEARCHES.isdisjoint(plain_name(name).lower().split("_"))


_MEMORY = re.compile(
    r"_{0,3}(?:devm_)?k?v?z?(?:m|c|re)?alloc(?:_\w+)?|\w*kmem_cache_\w+|kmalloc\w*|__get_free_pages?\w*|\w*alloc_pages?\w*|"
    r"(?:devm_)?k(?:mem|str|nstr)dup\w*|should_fail\w*|get_zeroed_page\w*|\w*slab_alloc\w*|___?slab\w*|kasprintf\w*|__kmalloc\w*"
)


@lru_cache(maxsize=4096)
def allocates_memory(name: str) -> bool:
    """Whether the function gives memory, and nothing but memory: its only failure is that there is none."""
    return _MEMORY.fullmatch(plain_name(name)) is not None


_TELLS_WORDS = """
log print printk warn warning err dump report debug dbg trace show msg message notice note info status
"""
_TELLS = frozenset(_TELLS_WORDS.split())


@lru_cache(maxsize=4096)
def tells(name: str) -> bool:
    """Whether the function, by the last word of its name, tells of something: a weak sign, for where no value is."""
    return plain_name(name).lower().rpartition("_")[2] in _TELLS


_WAITS = re.compile(
    r"wait_for_completion\w*|wait_\w+|(?:__|kthread_)?flush_(?:delayed_|rcu_)?work\w*|flush_workqueue|"
    r"drain_workqueue|kthread_stop\w*|schedule_timeout\w*|schedule|io_schedule\w*|__wait_\w+|swait_\w+|"
    r"async_synchronize_\w+|synchronize_irq|down_\w*killable|blk_execute_rq\w*"
)


@lru_cache(maxsize=4096)
def waits(name: str) -> bool:
    """Whether the function waits for what another task or an interrupt does."""
    return _WAITS.fullmatch(plain_name(name)) is not None
