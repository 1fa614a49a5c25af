"""The table of errors that functions of the kernel make: how it is made, and what why says by it."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from builder.tables import call, trace_of
from kfgraph.analyze.why import why
from kfgraph.kernel.errors_made import makes
from kfgraph.render.why import answer_lines, in_words

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = """
/* -EBUSY in a comment */
static int
take(struct a *a)
{
\tpr_err("no: -EIO\\n");
\tif (a->taken)
\t\treturn -EBUSY;
\treturn 0;
}
#define NOT(x) \\
\treturn -EROFS
int open_it(struct a *a) __must_hold(&a->lock)
{
\tint err = take(a);
\tif (err == -EBUSY || err != -ENODEV)
\t\treturn err;
\treturn a ? -ENXIO : PTR_ERR(ERR_PTR(-EPERM));
}
int far(struct a *a)
{
\treturn open_it(a) ?: -EINVAL;
}
int farther(struct a *a)
{
\tswitch (far(a)) {
\tcase -ESRCH:
\t\treturn 0;
\t}
\tif (other(a) == ERR_PTR(-EXDEV))
\t\treturn 1;
\treturn far(a) < -ELOOP;
}
BPF_CALL_2(bpf_tell, int, a, int, b)
{
	return -ENOSYS;
}
SYSCALL_DEFINE2(tell, int, a, int, b)
{
\treturn -ENOSYS;
}
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("errors_made_script", REPOSITORY / "scripts" / "errors_made.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_what_a_function_makes_is_told_from_its_text(script: ModuleType) -> None:
    assert script.errors_made(SOURCE) == {
        "take": {"EBUSY"},
        "open_it": {"EBUSY", "ENXIO", "EPERM"},
        # Two calls deep: the compiler may have inlined these.
        "far": {"EBUSY", "ENXIO", "EPERM", "EINVAL"},
        "farther": {"ENXIO", "EPERM", "EINVAL"},
        "sys_tell": {"ENOSYS"},
    }


def test_the_table_is_what_the_script_writes(script: ModuleType, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "one" / "fs").mkdir(parents=True)
    (tmp_path / "two" / "fs").mkdir(parents=True)
    (tmp_path / "one" / "fs" / "a.c").write_text(SOURCE)
    (tmp_path / "two" / "fs" / "a.c").write_text("int take(int a)\n{\n\treturn -EINVAL + -ENOMEM + -EAGAIN;\n}\n")
    monkeypatch.setattr(script, "TABLE", tmp_path / "table")
    monkeypatch.setattr(sys, "argv", ["errors_made.py", str(tmp_path / "one"), str(tmp_path / "two")])
    script.main()
    # EINVAL and ENOMEM say nothing: they are left out.
    lines = ["far 1 6 16", "farther 1 6", "open_it 1 6 16", "sys_tell 38", "take 11 16"]
    assert (tmp_path / "table").read_text().splitlines() == lines


def test_what_the_kernels_source_says() -> None:
    for name, number in [("generic_read_dir", 21), ("__x64_sys_chroot", 1), ("cap_capable", 1), ("pipe_write", 32)]:
        assert makes(name, -number), name
    # With a suffix of the compiler it is the same function; of a handler the system call counts.
    assert makes("generic_read_dir.cold", -21) and makes("__se_sys_chroot", -1)
    assert not makes("generic_read_dir", -1) and not makes("kfree", -21)


def candidates(*children: object, number: int, name: str = "__x64_sys_rmdir") -> list[str]:
    answer = why(trace_of([call(name, 9, *children, retval=-number & 0xFFFFFFFFFFFFFFFF)]))
    assert (answer.outcome, answer.birth) == ("unknown", None)
    return [step.function for step in answer.candidates]


def test_without_values_what_is_known_to_make_the_error_comes_first() -> None:
    # EXDEV is made by do_linkat; what it called last makes no such error.
    link = call("do_linkat", 8, call("filename_create", 2), call("d_lookup", 2, call("d_same_name")))
    assert candidates(link, number=18, name="__x64_sys_link")[:2] == ["do_linkat", "d_same_name"]
    # Beside it something else may make it, too: what is on the way of what ran last is likelier.
    link = call("do_linkat", 8, call("complete_walk"), call("d_lookup", 2, call("d_same_name")))
    assert candidates(link, number=18, name="__x64_sys_link") == ["do_linkat", "complete_walk", "d_same_name"]
    # What makes it may have run before what ran last; of caller and callee the callee counts.
    refused = call("security_inode_permission", 3, call("mnt_want_write", 2, call("__mnt_want_write")), call("dput"))
    found = candidates(call("filename_parentat", 2, call("path_init")), refused, call("lookup_one_len"), number=30)
    assert found[0] == "__mnt_want_write"
    # A name that says that it gives back does not matter where the function is known to make the error.
    kill = call("kill_something_info", 5, call("find_vpid"), call("kill_pid_info", 2, call("pid_task")))
    found = candidates(call("from_kuid"), kill, number=3, name="__x64_sys_kill")
    assert found == ["kill_pid_info", "pid_task", "kill_something_info"]


def test_what_returned_something_else_is_no_candidate() -> None:
    fine = call("mnt_want_write", 2, call("__mnt_want_write", retval=0), retval=0)
    assert "__mnt_want_write" not in candidates(fine, call("lookup_one_len"), number=30)


def test_what_ran_in_an_interrupt_in_clean_up_or_to_print_is_no_candidate() -> None:
    tick = call("asm_sysvec_apic_timer_interrupt", 3, call("__mnt_want_write"))
    assert "__mnt_want_write" not in candidates(call("path_init", 2, tick), call("lookup_one_len"), number=30)
    for name in ("dput", "_printk"):
        aside = call(name, 2, call("other", 2, call("__mnt_want_write")))
        assert candidates(call("mnt_want_write"), aside, call("lookup_one_len"), number=30)[0] == "mnt_want_write"


def test_what_is_below_another_value_is_no_candidate() -> None:
    for value in (0, -2 & 0xFFFFFFFFFFFFFFFF):
        other = call("mnt_want_write", 2, call("__mnt_want_write"), retval=value)
        assert candidates(other, call("lookup_one_len"), number=30) == ["lookup_one_len", "__x64_sys_rmdir"]
    # A false or NULL may be what the error was made of.
    refused = call("ns_capable", 2, call("cap_capable"), retval=0)
    assert "cap_capable" in candidates(refused, call("do_other"), number=1)


@pytest.mark.parametrize("arch", ["mips", "sparc64", "parisc", "alpha"])
def test_the_numbers_of_other_architectures_are_others(arch: str) -> None:
    made = call("inet_create")
    trace = trace_of([call("__x64_sys_socket", 9, made, call("d_x"), retval=-93 & 0xFFFFFFFFFFFFFFFF)])
    told = {a: why(replace(trace, meta=replace(trace.meta, arch=a))) for a in ("x86_64", arch)}
    assert [told[a].candidates[0].function for a in told] == ["inet_create", "d_x"]
    assert [in_words(told[a]) for a in told] == ["Protocol not supported", f"{arch} has its own numbers of errors"]
    refused = trace_of([call("__x64_sys_connect", 9, made, retval=-111 & 0xFFFFFFFFFFFFFFFF)])
    assert why(refused).meaning and not why(replace(refused, meta=replace(refused.meta, arch=arch))).meaning
    # Up to ERANGE they are the same.
    assert makes("generic_read_dir", -21, arch=arch)


def test_a_module_of_ones_own_is_judged_by_order() -> None:
    inside = call("foo_ioctl [foo]", 5, call("cap_capable"), call("foo_set [foo]"))
    assert candidates(call("vfs_ioctl", 6, inside), number=1, name="__x64_sys_ioctl")[0] == "foo_set"
    # A module whose functions are in the table is not.
    inside = call("ovl_write_iter [overlay]", 5, call("cap_capable"), call("ovl_copyattr [overlay]"))
    assert candidates(call("vfs_ioctl", 6, inside), number=1, name="__x64_sys_ioctl")[0] == "cap_capable"


def test_where_a_line_is_short_the_likeliest_function_stays() -> None:
    link = call("do_linkat", 8, call("d_lookup", 2, call("d_same_name")))
    answer = why(trace_of([call("__x64_sys_link", 9, link, retval=-18 & 0xFFFFFFFFFFFFFFFF)]))
    said = "  perhaps it began in (inferred, the likeliest first): do_linkat"
    assert answer_lines(answer, width=70)[1].plain.startswith(said)


def test_a_function_is_one_candidate() -> None:
    twice = call("search_binary_handler", 5, call("load_elf_binary"), call("load_elf_binary [compat]"))
    found = candidates(twice, number=8, name="__x64_sys_execve")
    assert len(found) == len(set(found)) and "load_elf_binary" in found
