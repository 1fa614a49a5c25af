"""Where an error was born, on small trees spelt out: each trap of a return value is one of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from builder.tables import Call, call, trace_of
from kfgraph.analyze.outcomes import Outcomes
from kfgraph.analyze.why import why
from kfgraph.analyze.whywords import earlier_calls, may_have_called, path_of, summary
from kfgraph.errors import NoMatchError
from kfgraph.model.companion import Companion, ModuleFunction, ModuleImage, ReturnProbe
from kfgraph.model.symbols import Returned
from kfgraph.passes.given import Given
from kfgraph.passes.return_types import apply
from kfgraph.render.why import WhyView

INT = Returned("int", 32, True, "int", signed=True)
POINTER = Returned("void *", 64, True, "pointer")
VOID = Returned("void", 0, False, "void")
BOOL = Returned("bool", 8, False, "bool")
U32 = Returned("unsigned int", 32, False, "int")


class Types:
    """Prototypes by name, for the symbols of one trace."""

    def __init__(self, names, types) -> None:
        self.names, self.types = names, types

    def returned(self, code):
        return self.types.get(self.names[code])


def error(number: int) -> int:
    """The register of an int function that returned this error."""
    return (1 << 32) - number


def pointer(number: int) -> int:
    """The register of a pointer function that returned ERR_PTR."""
    return (1 << 64) - number


def answer(*roots: Call, types=None, **options):
    trace = trace_of(list(roots))
    if types:
        from dataclasses import replace

        trace = replace(trace, symbols=replace(trace.symbols, prototypes=Types(trace.symbols.names, types)))
    return why(trace, **options)


def ways(found) -> list[tuple[str, int]]:
    return [(step.function, step.error) for step in found.chain]


def test_the_deepest_that_returned_the_error_is_its_birthplace() -> None:
    read = call("foo_read", retval=error(19))
    tree = call(
        "foo_init", 5, call("foo_check", retval=0), call("foo_probe", 5, read, retval=error(19)), retval=error(19)
    )
    found = answer(tree)
    assert (found.outcome, found.exit_code, found.error) == ("cause", 0, -19)
    assert ways(found) == [("foo_init", -19), ("foo_probe", -19), ("foo_read", -19)]
    assert (found.birth.step.function, found.birth.exact, found.birth.sure, found.birth.nth) == (
        "foo_read",
        True,
        True,
        1,
    )


def test_an_ignored_failure_with_the_same_error_before_it_is_not_blamed() -> None:
    tree = call(
        "foo_init", 5, call("foo_find_led", retval=error(19)), call("foo_setup", retval=0),
        call("foo_find_chip", retval=error(19)), call("foo_free", retval=7), retval=error(19),
    )  # fmt: skip
    assert answer(tree).birth.step.function == "foo_find_chip"


def test_a_fallback_that_fails_the_same_way_is_the_one_that_decided() -> None:
    tree = call(
        "foo_open",
        5,
        call("foo_open_first", retval=error(2)),
        call("foo_open_second", retval=error(2)),
        retval=error(2),
    )
    assert answer(tree).birth.step.function == "foo_open_second"


@pytest.mark.parametrize("cleanup", [error(16), error(22), 0, 1])
def test_what_the_clean_up_returns_does_not_matter(cleanup) -> None:
    tree = call(
        "foo_init", 5, call("foo_claim", retval=error(16)), call("foo_unregister", retval=cleanup), retval=error(16)
    )
    found = answer(tree)
    assert (found.birth.step.function, found.birth.sure) == ("foo_claim", True)
    assert [step.function for step in found.after] == ["foo_unregister"]


def test_an_error_of_the_clean_up_that_masks_the_first_is_where_this_error_came_from() -> None:
    tree = call("foo_init", 5, call("foo_map", retval=error(5)), call("foo_unmap", retval=error(16)), retval=error(16))
    assert answer(tree).birth.step.function == "foo_unmap"


@pytest.mark.parametrize(
    ("name", "types", "birth"),
    [
        ("foo_map.isra.0", {}, "foo_claim"),
        ("foo_note", {}, "foo_claim"),
        ("foo_map", {}, "foo_map"),
        ("foo_note", {"foo_note": INT}, "foo_note"),
    ],
)
def test_a_register_may_be_left_over_where_a_name_or_a_clone_says_so_and_no_type_does(name, types, birth) -> None:
    tree = call("foo_init", 5, call("foo_claim", retval=error(16)), call(name, retval=error(16)), retval=error(16))
    found = answer(tree, types={"foo_init": INT, "foo_claim": INT, **types})
    assert (found.birth.step.function, found.birth.sure) == (birth, False)


def test_an_allocation_that_may_be_null_shows_too_that_the_caller_had_gone_on() -> None:
    ring = call("foo_alloc_ring.constprop.0", 2, call("kmalloc_trace"), retval=0)
    tree = call(
        "foo_init", 5, call("foo_probe_eeprom", retval=error(19)), ring, call("foo_find_phy", retval=error(19)),
        call("kfree"), retval=error(19),
    )  # fmt: skip
    found = answer(tree)
    assert (found.birth.step.function, found.birth.sure, found.doubts) == ("foo_find_phy", True, ())


@pytest.mark.parametrize(("number", "exact"), [(33, True), (12, False)])
def test_an_allocator_without_a_value_leaves_doubt_of_too_little_memory_only(number, exact) -> None:
    tree = call("foo_init", 5, call("kmalloc_trace", 2, call("__kmem_cache_alloc_node")), retval=error(number))
    found = answer(tree, types={"foo_init": INT})
    assert (found.birth.step.function, found.birth.exact, found.birth.sure) == ("foo_init", exact, exact)


def test_what_only_warns_and_shows_the_stack_is_no_candidate() -> None:
    stack = call("show_stack", 2, call("show_trace_log_lvl", 2, call("__show_trace_log_lvl", 2, call("get_frame"))))
    warned = call("sysfs_warn_dup", 2, call("print_tainted"), call("kexec_crash_loaded"), stack)
    made = call("kernfs_create_dir_ns", 3, call("kernfs_add_one", 2, call("kernfs_link_sibling")))
    tree = call("class_create", 9, call("sysfs_create_dir_ns", 6, made, warned), retval=pointer(17))
    found = answer(tree, types={"class_create": POINTER})
    assert (found.birth.step.function, found.birth.exact) == ("class_create", False)
    names = [step.function for step in found.candidates]
    assert names == ["kernfs_link_sibling", "kernfs_add_one", "kernfs_create_dir_ns"]


def test_work_that_was_waited_for_leaves_no_doubt_of_its_bool_but_of_another_task() -> None:
    tree = call("foo_init", 5, call("queue_work_on", retval=1), call("flush_work"), retval=error(5))
    found = answer(tree, types={"foo_init": INT, "flush_work": BOOL})
    assert (found.birth.step.function, found.birth.exact, found.birth.sure) == ("foo_init", True, False)
    assert found.reason == "foo_init waited in flush_work: the error may come from another task"
    assert summary(found)[0] == "foo_init = -EIO, first returned by foo_init, or it came from another task"


def test_functions_of_the_module_that_may_have_run_in_the_other_task_are_named() -> None:
    init = call("foo_init [foo]", 5, call("queue_work_on", retval=1), call("flush_work"), retval=error(5))
    trace = trace_of([call("load_module", 5, init, retval=error(5))])
    functions = tuple(ModuleFunction(name, ".text", 0, 16) for name in ("foo_init", "foo_erase", "foo_work"))
    companion = Companion(modules=(ModuleImage("foo", "foo.ko", "", "6.1", functions),), types={"flush_work": BOOL})
    found = why(apply(replace(trace, companion=companion), Given()))
    assert found.never_ran == (("foo", ("foo_erase", "foo_work"), 1),)
    said = "  1 of 3 functions of foo ran in the recorded tasks; not foo_erase, foo_work"
    assert said in [str(line) for line in WhyView(found).lines(100)]
    assert found.next.startswith("sudo trace-cmd record -p function_graph")
    # Where only probes give values, a recording of all tasks would have none.
    probed = replace(companion, probes=(ReturnProbe("kfgraph", "foo_init", "foo_init", "foo"),))
    assert why(apply(replace(trace, companion=probed), Given())).next == ""
    other = call("load_module", 5, call("foo_init [foo]", retval=error(5)), retval=error(5))
    assert why(replace(trace_of([other]), companion=companion)).never_ran == ()


def test_the_wait_before_a_thread_was_ended_is_named() -> None:
    ended = call("kthread_stop", retval=0)
    tree = call("foo_init", 5, call("wake_up_process", retval=1), call("wait_for_completion"), ended, retval=error(5))
    found = answer(tree, types={"foo_init": INT, "kthread_stop": INT})
    assert found.reason == "foo_init waited in wait_for_completion: the error may come from another task"


def test_a_function_that_the_kernel_told_returns_nothing_leaves_no_doubt() -> None:
    trace = trace_of([call("load_module", 5, call("foo_make_list"), retval=error(22))])
    companion = Companion(argv=("insmod", "foo.ko"))
    assert not why(apply(replace(trace, companion=companion), Given())).birth.exact
    told = Companion.from_dict(json.loads(json.dumps(replace(companion, types={"foo_make_list": VOID}).to_dict())))
    assert told.types == {"foo_make_list": VOID} and "types" not in companion.to_dict()
    assert why(apply(replace(trace, companion=told), Given())).birth.exact


def registered(*after: Call) -> Call:
    """A driver's init that registers the driver, whose probe fails, and then looks whether it has a device."""
    get = call("foo_get [foo]", 3, call("regulator_get", retval=pointer(517)), retval=error(517))
    probe = call("foo_probe [foo]", 4, get, retval=error(517))
    register = call("driver_register", 9, call("really_probe", 7, probe), retval=0)
    return call("do_one_initcall", 50, call("foo_init [foo]", 30, call("foo_add", retval=0), register, *after,
                                            retval=error(19)), retval=error(19))  # fmt: skip


def test_a_failed_probe_that_the_kernel_did_not_pass_on_is_followed_from_the_init_that_gave_up_after_it() -> None:
    found = answer(registered(call("driver_unregister")), types={"driver_register": INT, "foo_add": INT})
    assert ways(found) == [
        ("do_one_initcall", -19), ("foo_init", -19), ("driver_register", 0), ("foo_probe", -517), ("foo_get", -517),
        ("regulator_get", -517),
    ]  # fmt: skip
    assert (found.birth.step.function, found.birth.exact, found.birth.sure) == ("regulator_get", True, False)
    doubt = "foo_probe returned -EPROBE_DEFER, which the kernel did not pass on; foo_init gave up after it"
    assert found.doubts[0] == doubt
    assert "foo_init" in [step.function for step in found.candidates]


def test_a_failed_probe_before_other_work_is_not_followed() -> None:
    types = {"driver_register": INT, "foo_add": INT, "foo_set_mode": INT}
    found = answer(registered(call("foo_set_mode", retval=0)), types=types)
    assert (found.birth.step.function, found.doubts) == ("foo_init", ())


@pytest.mark.parametrize(
    ("after", "birth"), [((), "foo_start_dma"), ((call("kfree"),), "foo_cycle_phy")], ids=["none", "released after"]
)
def test_what_was_given_back_between_two_that_failed_shows_which_was_the_first_of_the_clean_up(after, birth) -> None:
    tree = call(
        "foo_bring", 9, call("foo_cycle_phy", retval=0), call("kmalloc_trace"), call("foo_start_dma", retval=error(19)),
        call("kfree"), call("foo_cycle_phy", retval=error(19)), *after, retval=error(19),
    )  # fmt: skip
    found = answer(tree, types={"foo_bring": INT})
    assert (found.birth.step.function, found.birth.sure) == (birth, False)
    assert {step.function for step in found.candidates} == {"foo_start_dma", "foo_cycle_phy"}


def test_what_the_birthplace_calls_and_cannot_be_traced_is_said() -> None:
    setter = call("foo_set [foo]", retval=error(22))
    trace = trace_of([call("parse_args", 5, setter, retval=error(22))])
    one = ModuleFunction("foo_set", ".text", 0, 16, untraced=("kstrtoint",))
    companion = Companion(argv=("insmod",), modules=(ModuleImage("foo", "foo.ko", "", "6.1", (one,)),))
    told = Companion.from_dict(json.loads(json.dumps(companion.to_dict())))
    assert told.modules == companion.modules
    found = why(replace(trace, companion=told))
    assert found.birth.untraced == ("kstrtoint",) and found.to_dict()["birth"]["untraced"] == ["kstrtoint"]
    said = "not traceable, but called by foo_set: kstrtoint (the error may come from there)"
    assert may_have_called(found) == said
    assert f"  {said}" in [str(line) for line in WhyView(found).lines(100)]


def test_doubts_name_functions_without_what_the_compiler_appended() -> None:
    rivals = [call(name, retval=error(19)) for name in ("foo_a.constprop.0", "foo_b.part.0")]
    found = answer(call("foo_init", 5, *rivals, retval=error(19)))
    assert found.doubts == ("foo_a had returned the same error before foo_b",)


@pytest.mark.parametrize(
    ("returns", "register", "number"), [(POINTER, 0, 12), (None, 0, 12), (BOOL, 0xFFFF888000001200, 13)]
)
def test_an_error_that_became_null_or_false_is_followed_down(returns, register, number) -> None:
    tree = call(
        "foo_open", 9,
        call("foo_get", 5, call("foo_take", 2, call("foo_slot", retval=pointer(28)), retval=pointer(28)),
             call("foo_warn"), retval=register),
        retval=error(number),
    )  # fmt: skip
    types = {"foo_open": INT, "foo_take": POINTER} | ({"foo_get": returns} if returns else {})
    found = answer(tree, types=types)
    assert ways(found) == [("foo_open", -number), ("foo_get", 0), ("foo_take", -28), ("foo_slot", -28)]
    assert found.chain[2].evidence == "it failed last, and its caller returned NULL or false"
    assert (found.birth.exact, found.birth.sure) == (True, False)
    assert "foo_get" in [step.function for step in found.candidates]


@pytest.mark.parametrize("after", [call("foo_mark", retval=1), call("kmalloc")])
def test_what_failed_before_another_call_succeeded_or_may_have_failed_did_not_become_null(after: Call) -> None:
    got = call("foo_get", 5, call("foo_take", retval=pointer(28)), after, retval=0)
    tree = call("foo_open", 9, got, retval=error(12))
    found = answer(tree, types={"foo_open": INT, "foo_get": POINTER})
    assert ways(found) == [("foo_open", -12), ("foo_get", 0)]


def test_of_several_tries_the_last_is_named_and_the_others_counted() -> None:
    tries = [call("foo_wait", retval=error(110)) for _ in range(5)]
    found = answer(call("foo_reset", 5, *tries, retval=error(110)))
    assert (found.birth.nth, found.birth.n_earlier, found.birth.earlier) == (5, 4, ("-110",) * 4)
    assert earlier_calls(found) == "-ETIMEDOUT × 4"


@pytest.mark.parametrize(
    ("number", "before", "told"),
    [
        (5, (0, 0, 66), "0, 0, 66"),
        (5, (-1, 66, 66), "-1, 66, 66"),
        (5, (-5, -11, -11, 3), "-EIO, -EAGAIN × 2, 3"),
    ],
)
def test_errors_that_it_returned_before_are_told_by_name_and_one_minus_one_as_a_number(number, before, told) -> None:
    calls = [call("foo_try", retval=value & 0xFFFFFFFF) for value in before]
    tree = call("foo_init", 5, *calls, call("foo_try", retval=error(number)), retval=error(number))
    assert earlier_calls(answer(tree, types={"foo_init": INT, "foo_try": INT})) == told


def test_an_error_that_changes_on_the_way_is_followed_when_the_caller_gave_up_at_once() -> None:
    tree = call("foo_init", 5, call("foo_id", 5, call("foo_reg", retval=error(5)), retval=error(6)), retval=error(6))
    found = answer(tree)
    assert ways(found) == [("foo_init", -6), ("foo_id", -6), ("foo_reg", -5)]
    assert "gave up" in found.chain[-1].evidence and found.birth.step.error == -5


def test_another_error_with_work_after_it_is_not_joined() -> None:
    tree = call("foo_init", 5, call("foo_led", retval=error(5)), call("foo_setup", retval=0), retval=error(22))
    found = answer(tree)
    assert found.birth.step.function == "foo_init"


def test_null_becomes_enomem() -> None:
    tree = call("foo_init", 5, call("foo_alloc", retval=0x1000), call("foo_alloc", retval=0), retval=error(12))
    found = answer(tree)
    assert (found.birth.step.function, found.birth.nth) == ("foo_alloc", 2)


def test_null_that_is_no_failure_is_not_blamed() -> None:
    types = {"foo_find": POINTER, "foo_check": INT, "foo_init": INT}
    tree = call("foo_init", 5, call("foo_find", retval=0), call("foo_check", retval=error(22)), retval=error(22))
    assert answer(tree, types=types).birth.step.function == "foo_check"
    # Nor is it where the caller refuses by itself, with something else than -ENOMEM, after more work.
    tree = call("foo_init", 5, call("foo_find", retval=0), call("foo_check", retval=0), retval=error(22))
    assert answer(tree, types=types).birth.step.function == "foo_init"


def test_false_becomes_eperm_only_by_a_bool() -> None:
    tree = call("foo_ioctl", 5, call("foo_allowed", retval=0), retval=error(1))
    told = {"foo_ioctl": INT, "foo_allowed": BOOL}
    found = answer(tree, types=told, error=1)
    assert found.birth.step.function == "foo_allowed" and not found.birth.sure


def test_an_error_pointer_becomes_an_int() -> None:
    types = {"foo_get": POINTER, "foo_init": INT}
    tree = call("foo_init", 5, call("foo_get", retval=pointer(517)), retval=error(517))
    found = answer(tree, types=types)
    assert ways(found) == [("foo_init", -517), ("foo_get", -517)]


def test_what_was_given_the_error_is_not_its_birthplace() -> None:
    """As path_openat of 7.2 gives an error pointer to link_path_walk, which gives it back at once."""
    types = {"path_openat": POINTER, "atomic_open": POINTER, "link_path_walk": INT, "dput": VOID}
    walk = call("link_path_walk", 5, call("lookup", retval=3), retval=0)
    handed = call("link_path_walk", retval=error(2))
    tree = call(
        "path_openat", 5, walk, call("atomic_open", 5, retval=pointer(2)), call("dput", retval=pointer(2)), handed,
        retval=pointer(2),
    )  # fmt: skip
    assert answer(tree, types=types).birth.step.function == "atomic_open"


@pytest.mark.parametrize(("kind", "register"), [(VOID, error(28)), (BOOL, error(28) & 0xFF), (U32, error(28))])
def test_types_that_cannot_fail_are_not_blamed(kind, register) -> None:
    types = {"foo_init": INT, "foo_reserve": INT, "foo_note": kind}
    tree = call(
        "foo_init", 5, call("foo_reserve", retval=error(28)), call("foo_note", retval=register), retval=error(28)
    )
    assert answer(tree, types=types).birth.step.function == "foo_reserve"


def test_an_interrupt_is_nobodys_callee() -> None:
    tick = call("hrtimer_interrupt", context=2, retval=error(19))
    tree = call("foo_init", 5, call("foo_check", retval=0), tick, retval=error(19))
    assert answer(tree).birth.step.function == "foo_init"


def test_what_was_not_recorded_is_a_bound_and_not_a_culprit() -> None:
    tree = call("foo_init", 5, call("foo_prepare", retval=0), call("__register_chrdev"), retval=error(16))
    found = answer(tree)
    assert (found.birth.step.function, found.birth.exact, found.birth.sure) == ("foo_init", False, False)
    assert [step.function for step in found.candidates] == ["__register_chrdev", "foo_init"]
    assert "or from below it" in found.reason and found.next


def test_what_to_type_next_is_not_what_was_just_done() -> None:
    tree = call("__x64_sys_bind", 5, call("inet_bind"), retval=error(98))
    trace = replace(trace_of([tree]), companion=Companion(argv=("nc", "-l", "80 81")))
    probe = ReturnProbe("kfgraph", "inet_bind", "inet_bind", "")

    def typed(**known: object) -> str:
        return why(replace(trace, companion=replace(trace.companion, **known))).next

    # Values of the graph itself: no probe would add one.
    assert typed() == "sudo kfgraph trace -- nc -l '80 81'"
    assert typed(probes=(probe,)) == "sudo kfgraph why --again -- nc -l '80 81'"
    assert typed(probes=(probe,), options={"returns": ["inet_bind"]}) == ""
    assert typed(argv=()) == "sudo kfgraph trace -- COMMAND"


def test_a_caller_that_goes_on_with_its_work_makes_it_unsure() -> None:
    tree = call(
        "foo_configure", 5, call("foo_try_fast", retval=error(22)), call("foo_load_table", retval=0), retval=error(22)
    )
    found = answer(tree)
    assert not found.birth.sure and {step.function for step in found.candidates} == {"foo_configure", "foo_try_fast"}


def test_minus_one_of_an_unknown_type_is_no_eperm() -> None:
    tree = call("foo_init", 5, call("foo_order", retval=error(1)), call("foo_pick", retval=error(19)), retval=error(19))
    assert answer(tree).birth.step.function == "foo_pick"


def test_names_have_no_suffixes_of_the_compiler() -> None:
    tree = call("foo_init", 5, call("foo_read.constprop.0", retval=error(19)), retval=error(19))
    found = answer(tree)
    assert (found.birth.step.function, found.birth.step.symbol) == ("foo_read", "foo_read.constprop.0")


def test_nothing_failed() -> None:
    found = answer(call("foo_init", 5, call("foo_check", retval=0), retval=0))
    assert (found.outcome, found.exit_code, found.birth) == ("nothing", 6, None)


def test_one_call_can_be_asked_for() -> None:
    led = call("foo_led", 5, call("foo_gpio", retval=error(22)), retval=error(22))
    tree = call("foo_init", 5, led, retval=0)
    assert ways(answer(tree, root=["foo_led"])) == [("foo_led", -22), ("foo_gpio", -22)]
    assert ways(answer(tree, error=22)) == [("foo_led", -22), ("foo_gpio", -22)]
    with pytest.raises(NoMatchError):
        answer(tree, error=5)
    with pytest.raises(NoMatchError):
        answer(tree, root=["foo_init"])


def test_the_json_has_what_its_page_says() -> None:
    tree = call("foo_init", 5, call("foo_read", retval=error(19)), retval=error(19))
    data = answer(tree).to_dict()
    assert data["failure"]["function"] == "foo_init" and data["failure"]["name"] == "ENODEV"
    assert data["birth"]["function"] == "foo_read" and data["birth"]["error"] == "ENODEV"
    assert [step["function"] for step in data["chain"]] == ["foo_init", "foo_read"]


def test_a_caller_that_changes_the_error_after_the_clean_up_is_seen_through() -> None:
    """As 7.2's loader makes -EBUSY of an init's -EEXIST."""
    init = call("do_one_initcall", 5, call("foo_add", retval=error(17)), retval=error(17))
    tree = call(
        "do_init_module", 5, call("kmalloc", retval=0x1000), init, call("free_module", retval=3),
        call("__wake_up", retval=0), retval=error(16),
    )  # fmt: skip
    found = answer(tree)
    assert ways(found) == [("do_init_module", -16), ("do_one_initcall", -17), ("foo_add", -17)]
    assert found.birth.sure
    # What is not known to be a part of giving up makes it unsure.
    tree = call("foo_init", 5, call("foo_led", retval=error(5)), call("foo_blink", retval=0), retval=error(22))
    found = answer(tree)
    assert (found.birth.step.function, found.birth.sure) == ("foo_led", False)
    assert [step.function for step in found.candidates] == ["foo_led", "foo_init"]


def test_a_handler_in_an_interrupt_is_nobodys_callee_whatever_its_name() -> None:
    late = call("foo_timer", context=2, retval=error(19))
    tree = call("foo_init", 5, call("foo_check", retval=error(19)), late, retval=error(19))
    assert answer(tree).birth.step.function == "foo_check"


def test_false_is_no_other_error_than_a_refusal() -> None:
    told = {"foo_init": INT, "foo_is_old": BOOL}
    found = answer(call("foo_init", 5, call("foo_is_old", retval=0), retval=error(22)), types=told)
    assert found.chain[-1].row == 0 and not found.birth.sure
    assert [step.function for step in found.candidates] == ["foo_init", "foo_is_old"]
    assert found.doubts == ("foo_is_old returned false last, which may be the cause",)


@pytest.mark.parametrize(("name", "others", "blamed"), [
    ("foo_layout_valid", (), "foo_layout_valid"), ("foo_id_matches", (), "foo_id_matches"),
    ("foo_layout_valid", ("foo_count",), "foo_init"), ("foo_layout", (), "foo_init"), ("foo_capable", (), "foo_init"),
])  # fmt: skip
def test_false_of_what_says_that_all_is_well_becomes_any_error(name: str, others: tuple[str, ...], blamed: str) -> None:
    after = [call(other, retval=7) for other in others]
    told = {"foo_init": INT, name: BOOL}
    found = answer(call("foo_init", 5, call(name, retval=0), *after, retval=error(22)), types=told)
    assert (found.birth.step.function, found.birth.sure) == (blamed, bool(others) or name == "foo_capable")
    yes = answer(call("foo_init", 5, call(name, retval=1), retval=error(22)), types=told)
    assert (yes.birth.step.function, yes.birth.sure) == ("foo_init", True)


@pytest.mark.parametrize(("value", "number", "blamed", "sure"), [
    (0x9A1A833B00, 1, "foo_query", False), (0x9A1A833B00, 22, "foo_init", True), (0x9A1A833B01, 1, "foo_init", True),
    (0xFFFF888100000100, 1, "foo_init", False), (0x300, 13, "foo_init", False),
])  # fmt: skip
def test_an_untyped_register_whose_lowest_byte_is_zero_may_hold_false(
    value: int, number: int, blamed: str, sure: bool
) -> None:
    found = answer(call("foo_init", 5, call("foo_query", retval=value), retval=error(number)), root=["foo_init"])
    assert (found.birth.step.function, found.birth.sure) == (blamed, sure)


def test_null_that_the_caller_had_got_before_and_went_on_is_no_failure() -> None:
    """link_path_walk: step_into's NULL means that there is no symbolic link to follow."""
    told = {"foo_walk": INT, "foo_into": POINTER}
    one, two = call("foo_into", retval=0), call("foo_mark", retval=7)
    found = answer(call("foo_walk", 5, one, two, call("foo_into", retval=0), retval=error(20)), types=told)
    assert (found.birth.step.function, found.birth.sure) == ("foo_walk", False)
    assert found.doubts == ("foo_into returned NULL last, which may be the cause",)
    found = answer(call("foo_walk", 5, two, call("foo_into", retval=0), retval=error(20)), types=told)
    assert found.birth.step.function == "foo_into"
    memory = answer(call("foo_walk", 5, one, two, call("foo_into", retval=0), retval=error(12)), types=told)
    assert memory.birth.step.function == "foo_into"


def test_what_failed_before_something_unrecorded_is_not_joined() -> None:
    tree = call("foo_init", 5, call("foo_led", retval=error(5)), call("foo_register"), retval=error(22))
    found = answer(tree)
    assert ways(found) == [("foo_init", -22)] and not found.birth.exact
    assert found.candidates[0].function == "foo_register"


def test_a_callback_below_what_was_not_recorded_is_found() -> None:
    veto = call("foo_veto [foo]", retval=error(99))
    tree = call("foo_init [foo]", 5, call("call_all", 5, call("call_one", 5, veto)), retval=error(99))
    found = answer(tree)
    assert ways(found) == [("foo_init", -99), ("call_all", 0), ("call_one", 0), ("foo_veto", -99)]
    assert (found.birth.step.function, found.birth.sure) == ("foo_veto", False)
    assert found.doubts == ("what call_all returned was not recorded",)
    assert [step.value for step in found.chain][1:3] == ["?", "?"]


def test_what_returned_the_error_below_a_callee_that_succeeded_is_no_callback() -> None:
    inner = call("foo_veto [foo]", retval=error(99))
    tree = call("foo_init [foo]", 5, call("call_all", 5, inner, retval=0), retval=error(99))
    assert answer(tree).birth.step.function == "foo_init"


def test_work_that_went_on_after_an_unrecorded_callback_speaks_against_it() -> None:
    inner = call("call_all", 5, call("foo_veto [foo]", retval=error(99)))
    tree = call("foo_init [foo]", 5, inner, call("foo_register", retval=0), retval=error(99))
    assert answer(tree).birth.step.function == "foo_init"


@pytest.mark.parametrize(
    ("register", "born"), [(0x8000 | 100, "foo_veto"), (0x8000 | 1, "foo_init"), (100, "foo_init")]
)
def test_a_notifiers_answer_holds_its_error(register: int, born: str) -> None:
    chain = call("notifier_call_chain", 5, call("foo_veto [foo]", retval=register), retval=register)
    tree = call("foo_init [foo]", 5, call("blocking_notifier_call_chain", 5, chain, retval=register), retval=error(99))
    assert answer(tree).birth.step.function == born


@pytest.mark.parametrize(
    ("register", "above", "born"),
    [
        (0x8000 | 100, error(99), "foo_admit"),
        (0x8000 | 100, None, "foo_admit"),  # a probe tells nothing of what called it
        (0x8000 | 99, error(99), "tell_of_those"),  # another error
        (99 << 16 | 0x8000 | 100, error(99), "tell_of_those"),
        (1 << 40 | 0x8000 | 100, error(99), "tell_of_those"),  # no int
    ],
)
def test_a_notifier_that_is_called_without_a_chain(register: int, above: int | None, born: str) -> None:
    """As register_netdevice_notifier does, for each interface that is there."""
    event = call("foo_event [foo]", 5, call("foo_admit [foo]", retval=error(99)), retval=register)
    tree = call("register_foo_notifier", 5, call("tell_of_those", 5, event, retval=above), retval=error(99))
    found = answer(tree)
    assert found.birth.step.function == born
    if above is not None and born == "foo_admit":
        chain = ["register_foo_notifier", "tell_of_those", "foo_event", "foo_admit"]
        assert [step.function for step in found.chain] == chain and found.birth.sure


def test_a_notifiers_answer_whose_caller_returned_no_error_is_a_number() -> None:
    event = call("foo_event [foo]", 5, call("foo_admit [foo]", retval=error(99)), retval=0x8000 | 100)
    tree = call("foo_init [foo]", 5, call("tell_of_those", 5, event, retval=0), call("foo_last"), retval=error(5))
    seen = Outcomes(trace_of([tree]))
    assert seen.errors.tolist() == [-5, 0, 0, -99, 0]


def test_a_callee_that_turned_the_sign_of_an_error_is_not_its_birthplace() -> None:
    """As really_probe does, for who binds a device by hand."""
    probe = call("foo_probe", 5, call("foo_calibrate", retval=error(121)), retval=error(121))
    really = call("really_probe", 5, call("foo_links", retval=0), probe, call("foo_put", retval=0), retval=121)
    tree = call("bind_store", 5, call("__probe_device", 5, really, retval=121), retval=error(121))
    found = answer(tree)
    names = ["bind_store", "__probe_device", "really_probe", "foo_probe", "foo_calibrate"]
    assert [step.function for step in found.chain] == names and not found.birth.sure
    assert (found.birth.step.function, found.birth.step.error, found.birth.exact) == ("foo_calibrate", -121, True)


def test_of_many_swallowed_errors_the_last_eight_are_told() -> None:
    probes = [call(f"foo_probe{i} [foo]", retval=error(1 + i)) for i in range(1, 12)]
    found = answer(call("load", 5, *probes, retval=0)).swallowed
    assert [(step.function, step.error) for step in found] == [(f"foo_probe{i}", -1 - i) for i in range(4, 12)]


def test_what_another_task_swallowed_is_not_the_commands() -> None:
    probe = call("driver_probe", 5, call("foo_probe [foo]", retval=error(5)), retval=0)
    trace = trace_of([call("f", retval=0)], [probe])
    assert [step.function for step in why(trace).swallowed] == ["foo_probe"]
    assert why(replace(trace, command_lanes=frozenset({0}))).swallowed == ()
    assert [s.function for s in why(replace(trace, command_lanes=frozenset({1}))).swallowed] == ["foo_probe"]


def test_a_caller_that_tried_another_way_had_ignored_the_same_error() -> None:
    """The first way failed, the second failed in another way, and the caller says what the first had said."""
    types = {"foo_init": INT, "foo_try_fast": INT, "foo_setup_slow": INT, "foo_stop": INT, "foo_reset_link": INT}

    def found(*later: Call) -> tuple[str, bool, list[str]]:
        tree = call("foo_init", 5, call("foo_try_fast", retval=error(5)), *later, retval=error(5))
        told = answer(tree, types=types)
        return told.birth.step.function, told.birth.sure, [step.function for step in told.candidates]

    slow = call("foo_setup_slow", retval=error(110))
    three = ["foo_setup_slow", "foo_init", "foo_try_fast"]
    assert found(slow) == found(slow, call("foo_stop", retval=0)) == ("foo_setup_slow", False, three)
    # What is done after a failure may fail, too.
    assert found(call("foo_stop", retval=error(16)))[:2] == ("foo_try_fast", True)
    assert found(call("foo_reset_link", retval=error(16)))[:2] == ("foo_try_fast", True)


def test_a_caller_that_went_on_had_ignored_the_same_error() -> None:
    tree = call(
        "foo_configure", 5, call("foo_try_fast", retval=error(22)), call("foo_load_table", retval=0),
        call("foo_read_size", retval=3), retval=error(22),
    )  # fmt: skip
    found = answer(tree)
    assert (found.birth.step.function, found.birth.exact, found.birth.sure) == ("foo_configure", True, False)
    assert [step.function for step in found.candidates] == ["foo_configure", "foo_try_fast"]
    doubt = "foo_try_fast had returned the same error, but foo_load_table ran after it and did not fail"
    assert found.doubts == (doubt,)


def test_a_question_answered_with_false_became_eperm() -> None:
    tree = call("foo_unlock_device", 5, call("foo_allowed", retval=0), retval=error(13))
    found = answer(tree)
    assert (found.birth.step.function, found.birth.step.value, found.birth.sure) == ("foo_allowed", "0", False)
    for name, number in (("foo_prepared", 13), ("foo_allowed", 5)):
        tree = call("foo_open", 5, call(name, retval=0), retval=error(number))
        assert answer(tree).birth.step.function == "foo_open"


def by_shape(*children: Call, number: int = 19) -> list[str]:
    load = call("__x64_sys_finit_module", 5, call("foo_init [foo]", 5, *children), retval=error(number))
    found = answer(load)
    assert (found.outcome, found.birth) == ("unknown", None)
    return [step.function for step in found.candidates]


def test_without_values_the_last_that_was_done_is_the_first_candidate() -> None:
    probe = call("foo_probe [foo]", 5, call("foo_read [foo]"), call("foo_log [foo]"))
    assert by_shape(probe, call("foo_teardown [foo]"), call("kfree")) == ["foo_read", "foo_probe", "foo_init"]


def test_without_values_what_a_module_called_last_of_the_kernel_counts() -> None:
    register = call("misc_register", 5, call("device_create", 5, call("kmalloc_trace"), call("get_device")))
    assert by_shape(call("foo_setup [foo]", 5, register)) == ["misc_register", "device_create", "get_device"]
    # What only calls one other is less likely than what that calls.
    wrapped = call("misc_register", 5, call("device_create_vargs", 5, call("mutex_lock"), call("device_add", 5)))
    assert by_shape(call("foo_setup [foo]", 5, wrapped)) == ["misc_register", "device_add", "foo_setup"]


def test_without_values_memory_is_only_what_was_too_little() -> None:
    children = call("foo_read [foo]"), call("kmem_cache_alloc")
    assert by_shape(*children)[0] == "foo_read"
    assert by_shape(*children, number=12)[0] == "kmem_cache_alloc"


def test_of_two_that_failed_alike_the_last_is_named_and_not_sure() -> None:
    both = call("foo_open_first", retval=error(2)), call("foo_open_second", retval=error(2))
    found = answer(call("foo_init", 5, *both, retval=error(2)))
    assert (found.birth.step.function, found.birth.sure) == ("foo_open_second", False)
    assert [step.function for step in found.candidates] == ["foo_open_second", "foo_open_first"]
    assert found.doubts == ("foo_open_first had returned the same error before foo_open_second",)
    went_on = call("foo_find_led", retval=error(2)), call("foo_setup", retval=0), call("foo_find_chip", retval=error(2))
    assert answer(call("foo_init", 5, *went_on, retval=error(2))).birth.sure
    tries = [call("foo_wait", retval=error(2))] * 3
    assert answer(call("foo_init", 5, *tries, retval=error(2))).birth.sure


def test_another_error_is_an_inference_but_for_the_loader() -> None:
    read = call("foo_read", retval=error(5))
    assert not answer(call("foo_identify", 5, read, retval=error(6))).birth.sure
    exists = call("foo_init [foo]", 5, call("sysfs_create", retval=error(17)), retval=error(17))
    tree = call("do_init_module", 5, call("do_one_initcall", 5, exists, retval=error(17)), retval=error(16))
    found = answer(tree)
    assert (found.birth.step.function, found.birth.step.error, found.birth.sure) == ("sysfs_create", -17, True)


def test_what_puts_right_after_a_failure_does_not_speak_against_it() -> None:
    tree = call("foo_init", 5, call("foo_probe", retval=error(5)), call("foo_reset_config", retval=0), retval=error(5))
    found = answer(tree)
    assert found.birth.step.function == "foo_probe"
    tree = call("foo_init", 5, call("foo_probe", retval=error(5)), call("foo_unregister", retval=0), retval=error(5))
    assert answer(tree).birth.sure


def test_a_look_up_that_found_nothing_may_be_the_origin() -> None:
    found = answer(call("foo_probe", 5, call("foo_find_port", retval=0), retval=error(19)))
    assert (found.birth.step.function, found.birth.sure) == ("foo_find_port", False)
    assert [step.function for step in found.candidates] == ["foo_find_port", "foo_probe"]
    # An error that says nothing of what was looked for, a type that holds no NULL, and another function.
    for name, number, types in (
        ("foo_find_port", 22, {}), ("foo_find_port", 19, {"foo_find_port": INT}), ("foo_load_port", 19, {}),
    ):  # fmt: skip
        tree = call("foo_probe", 5, call(name, retval=0), retval=error(number))
        assert answer(tree, types=types).birth.step.function == "foo_probe"


def test_a_zero_before_eperm_may_be_false() -> None:
    found = answer(call("foo_open", 5, call("foo_check_owner", retval=0), retval=error(13)))
    assert (found.birth.step.function, found.birth.sure) == ("foo_open", False)
    assert [step.function for step in found.candidates] == ["foo_open", "foo_check_owner"]
    tree = call("foo_open", 5, call("foo_check_owner", retval=0), retval=error(13))
    assert answer(tree, types={"foo_check_owner": INT}).birth.sure


def test_a_nothing_that_no_module_passed_on_is_told_of_callbacks_only() -> None:
    def swallowed(*children: Call):
        return [step.function for step in answer(call("load", 5, *children, retval=0)).swallowed]

    probe = call("foo_probe [foo]", 5, call("foo_power [foo]", retval=error(5)), retval=error(5))
    assert swallowed(call("really_probe", 5, probe)) == ["foo_probe"]
    # The module's own function went on; -1 of an unknown type; what gives back; what tells.
    assert swallowed(call("foo_init [foo]", 5, call("foo_led [foo]", retval=error(19)), retval=0)) == []
    for name, number in (("foo_order", 1), ("foo_release", 5), ("foo_report", 5)):
        assert swallowed(call("really_probe", 5, call(f"{name} [foo]", retval=error(number)), retval=0)) == []


def test_of_an_error_that_nobody_passed_on_the_origin_is_told() -> None:
    power = call("foo_power [foo]", 5, call("regulator_get", retval=pointer(517)), retval=error(19))
    probe = call("foo_probe [foo]", 5, power, retval=error(19))
    types = {"load": INT, "regulator_get": POINTER}
    found = answer(call("load", 5, call("really_probe", 5, probe), retval=0), types=types)
    said = "foo_probe [foo] returned -ENODEV (began as -EPROBE_DEFER of regulator_get, as it seems)"
    assert summary(found) == [f"no system call failed, but {said}: nobody passed it on"]
    (told,) = found.to_dict()["swallowed"]
    birth = told["birth"]
    assert (told["function"], birth["function"], birth["error"]) == ("foo_probe", "regulator_get", "EPROBE_DEFER")
    assert (birth["exact"], birth["sure"]) == (True, False)
    lines = [str(line) for line in WhyView(found).lines(200)]
    assert lines[0] == f"no system call failed, but {said}: nobody passed it on"
    assert lines[-1].endswith("--root 'foo_probe [foo]'") or lines[-1].endswith("--root foo_probe")


@pytest.mark.parametrize(
    ("number", "after", "sure"), [(12, (), True), (12, ("foo_log",), False), (22, (), False), (22, ("foo_log",), False)]
)
def test_null_is_sure_only_as_enomem_with_nothing_after_it(number: int, after: tuple[str, ...], sure: bool) -> None:
    types = {"foo_init": INT, "foo_get": POINTER, "foo_log": INT}
    tree = call("foo_init", 5, call("foo_get", retval=0), *(call(n, retval=0) for n in after), retval=error(number))
    found = answer(tree, types=types)
    assert (found.birth.step.function, found.birth.sure) == ("foo_get", sure)
    assert found.doubts == tuple(f"{name} ran after foo_get had failed, and succeeded" for name in after)


def test_the_way_is_the_modules_part_or_the_ends_of_a_long_one() -> None:
    def chain(*names: str) -> Call:
        *above, last = names
        tree = call(last, retval=error(5))
        for name in reversed(above):
            tree = call(name, 5, tree, retval=error(5))
        return tree

    for n, way in ((2, "f0 f1"), (5, "f0 f1 f2 f3 f4"), (6, "f0 … f2 f3 f4 f5"), (9, "f0 … f5 f6 f7 f8")):
        assert path_of(answer(chain(*(f"f{i}" for i in range(n))))) == way.split()
    long = [f"f{i}" for i in range(9)]
    assert path_of(answer(chain(*long, "g [foo]", "h [foo]", "kmalloc"))) == ["g", "h", "kmalloc"]


def test_of_calls_of_one_function_that_failed_the_last_counts_though_it_returned_at_once() -> None:
    """Another one that failed before them is not looked at: between the two of one function the caller tried again."""
    worked = call("foo_get", 5, call("lookup", retval=3), retval=0)
    tree = call(
        "foo_init", 5, worked, worked, call("foo_setup", 5, call("lookup", retval=3), retval=error(19)),
        call("foo_get", retval=error(19)), call("foo_get", retval=error(19)), retval=error(19),
    )  # fmt: skip
    assert answer(tree).birth.step.function == "foo_get"


def test_a_positive_number_of_the_error_is_followed_to_where_it_was_returned() -> None:
    """A caller negates what a function returned; a count that happens to be small proves nothing."""
    deep = call("bus_xfer", 5, call("bus_cycle", retval=71), retval=71)
    tree = call("foo_init", 5, call("foo_reset", retval=0), deep, call("mutex_unlock"), retval=error(71))
    found = answer(tree)
    assert [step.function for step in found.chain] == ["foo_init", "bus_xfer", "bus_cycle"]
    assert [step.value for step in found.chain] == ["-71", "71", "71"]
    assert found.birth is not None and not found.birth.sure
    assert [step.function for step in found.candidates] == ["bus_cycle", "foo_init"]
    # Another number, a small one, or one that something succeeded after: its caller is the origin.
    for number, last in ((70, ()), (2, ()), (71, (call("foo_start", retval=0),))):
        same = number if number == 2 else 71
        tree = call("foo_init", 5, call("foo_count", retval=number), *last, retval=error(same))
        assert answer(tree).chain[-1].function == "foo_init"


def test_an_error_that_may_come_from_another_task_is_not_sure() -> None:
    tree = call("foo_init", 5, call("queue_work_on", retval=1), call("flush_work", retval=1), retval=error(67))
    found = answer(tree)
    assert found.birth is not None and found.birth.step.function == "foo_init" and found.birth.exact
    assert not found.birth.sure and "another task" in found.reason
    without = call("foo_init", 5, call("foo_reset", retval=1), retval=error(67))
    assert answer(without).birth.sure


@pytest.mark.parametrize(
    "wait", ["kthread_flush_work", "kthread_flush_worker", "flush_delayed_work", "drain_workqueue", "flush_workqueue"]
)
def test_every_way_to_wait_for_a_work_item_is_one(wait: str) -> None:
    found = answer(call("foo_init", 5, call(wait, retval=1), retval=error(67)))
    assert not found.birth.sure and found.reason == f"foo_init waited in {wait}: the error may come from another task"


def test_who_does_nothing_just_after_a_wait_may_have_read_what_another_task_left() -> None:
    """As a module that lets the kernel probe its parts, waits for all, and then looks at what came of them."""
    wait, printed = call("async_synchronize_full_domain", retval=1), call("_printk", retval=error(67))
    collect = call("foo_collect", 5, call("__const_udelay"), retval=error(67))

    def told(*children: Call) -> tuple[str, bool, str]:
        found = answer(call("foo_init", 5, *children, retval=error(67)))
        return found.birth.step.function, found.birth.sure, found.reason

    said = "async_synchronize_full_domain ran just before foo_collect: the error may come from another task"
    assert told(wait, printed, collect) == ("foo_collect", False, said)
    # Between the two it did something else, or it did something itself.
    assert told(wait, call("foo_next", retval=0), collect) == ("foo_collect", True, "")
    assert told(wait, call("foo_collect", 5, call("foo_read", retval=0), retval=error(67))) == ("foo_collect", True, "")
    assert told(collect, wait)[2] == ""


def candidates(*children: Call) -> list[str]:
    """What is named where no value tells: the module's init called these."""
    found = answer(call("do_one_initcall", 5, call("foo_init [foo]", 5, *children), retval=error(22)))
    return [step.function for step in found.candidates]


def test_without_values_what_the_kernel_called_back_counts_more_than_what_it_did_itself() -> None:
    back = call("__read_clock", 5, call("foo_read_time [foo]", 5, call("foo_from_bcd [foo]")))
    tell = call("clock_to_seconds", 5, call("make_seconds"))
    assert candidates(call("read_clock", 5, back, tell)) == ["foo_from_bcd", "foo_read_time", "__read_clock"]
    # Another module's function is no callback of this one.
    others = call("__read_clock", 5, call("bar_read_time [bar]"))
    assert candidates(call("read_clock", 5, others, tell)) == ["read_clock", "make_seconds", "foo_init"]


def test_without_values_who_waited_is_among_the_candidates() -> None:
    ask = call("request_image", 5, call("__request_image", 5, call("find_image"), call("read_image")))
    load = call("foo_load [foo]", 5, ask, call("wait_for_completion"))
    assert "foo_load" in candidates(load)
    assert "foo_load" not in candidates(call("foo_load [foo]", 5, call("wait_for_completion"), ask))
