"""Where functions stand in the source: debug info of files that gcc makes here, and the text of a tree."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kfgraph.errors import InputError
from kfgraph.kernel.sourcelines import DebugInfo, SourceLine, find_in_tree, source_lines

FOO = """\
#include "foo.h"
int proto(int a);
/* foo_read_id(x) { */
static int __attribute__((noinline)) foo_read_id(int slot)
{
	return -19 + slot;
}

static __attribute__((noinline)) int
foo_probe(int a,
	int b)
{
	return foo_read_id(a) + b;
}
int proto(int a) { return helper(a); }
int init_foo(void) { return foo_probe(1, 2) + proto(3); }
"""
HEADER = "static inline __attribute__((noinline)) int helper(int a) { return a * 3; }\n"
MAIN = 'const char banner[] = "Linux version 6.1.0-test (gcc)";\nint init_foo(void);\n'
MAIN += "static int twice(void) { return 1; }\nint main(void) { return init_foo() + banner[0] + twice(); }\n"
MODINFO = '.section .modinfo,"a"\n.asciz "name=foo"\n.asciz "vermagic=6.1.0-test SMP"\n'
LINES = {"foo_read_id": "drivers/foo.c:4", "foo_probe": "drivers/foo.c:10", "proto": "drivers/foo.c:15",
         "init_foo": "drivers/foo.c:16", "helper": "drivers/foo.h:1"}  # fmt: skip

Built = Callable[..., Path]


@pytest.fixture(scope="module")
def built(program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """``built("foo.ko" or "vmlinux", *options)``: the file; the sources are beside it, in drivers/."""
    gcc = program("gcc", "gcc")
    folder = tmp_path_factory.mktemp("build")
    (folder / "drivers").mkdir()
    for name, text in {"drivers/foo.c": FOO, "drivers/foo.h": HEADER, "main.c": MAIN, "info.s": MODINFO}.items():
        (folder / name).write_text(text)

    def build(name: str, *options: str) -> Path:
        run = [gcc, "-O1", *options]
        if name == "vmlinux":
            subprocess.run([*run, "-o", name, "main.c", "drivers/foo.c"], cwd=folder, check=True)
        else:
            subprocess.run([*run, "-c", "drivers/foo.c", "info.s"], cwd=folder, check=True)
            subprocess.run(["ld", "-r", "-o", name, "foo.o", "info.o"], cwd=folder, check=True)
        return folder / name

    return build


def found(info: DebugInfo, *more: str) -> dict[str, str]:
    return {name: str(line) for name, line in info.find([*LINES, *more]).items()}


@pytest.mark.parametrize("options", [("-gdwarf-4",), ("-gdwarf-5",), ("-gdwarf-5", "-gz"), ("-gdwarf-4", "-gz")])
def test_a_module(options, built: Built) -> None:
    info = DebugInfo(built("foo.ko", *options))
    assert (info.module, info.release) == ("foo", "")
    assert found(info, "no_such") == LINES
    assert info.find(["foo_read_id.isra.0"]) == {"foo_read_id": SourceLine("drivers/foo.c", 4, "debug info")}


@pytest.mark.parametrize("more", [(), ("-gno-as-locview-support",), ("-no-pie",)])
@pytest.mark.parametrize("options", [("-gdwarf-4",), ("-gdwarf-5", "-gz")])
def test_a_kernel(options, more, built: Built) -> None:
    info = DebugInfo(built("vmlinux", *options, *more))
    assert (info.module, info.release) == ("", "6.1.0-test")
    assert found(info, "main", "no_such") == {**LINES, "main": "main.c:4"}


def test_a_kernel_without_the_table_of_addresses(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    info = DebugInfo(built("vmlinux", "-gdwarf-5"))
    from elftools.dwarf.dwarfinfo import DWARFInfo

    monkeypatch.setattr(DWARFInfo, "get_aranges", lambda self: None)
    assert found(info, "main") == {**LINES, "main": "main.c:4"}


def test_of_two_functions_of_one_name_none_is_chosen(built: Built) -> None:
    folder = built("foo.ko", "-g").parent
    for name in ("one", "two"):
        text = f"\nstatic int same(void) {{ return 1; }}\nint {name}(void) {{ return same(); }}\n"
        (folder / f"{name}.c").write_text(text)
        subprocess.run(["gcc", "-O0", "-g", "-c", f"{name}.c"], cwd=folder, check=True)
    subprocess.run(["ld", "-r", "-o", "two.ko", "one.o", "two.o", "info.o"], cwd=folder, check=True)
    lines = DebugInfo(folder / "two.ko").find(["same", "one", "two"])
    assert {name: str(line) for name, line in lines.items()} == {"one": "one.c:3", "two": "two.c:3"}


def test_what_has_none_is_refused(built: Built, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no debug info"):
        DebugInfo(built("foo.ko", "-g0"))
    (tmp_path / "text").write_text("no ELF")
    with pytest.raises(InputError, match="not an ELF file"):
        DebugInfo(tmp_path / "text")
    with pytest.raises(InputError, match="No such file"):
        DebugInfo(tmp_path / "none")
    whole = built("foo.ko", "-g").read_bytes()
    damaged = bytearray(whole)
    damaged[200 : len(whole) // 2] = b"\xff" * (len(whole) // 2 - 200)
    (tmp_path / "damaged.ko").write_bytes(damaged)
    with contextlib.suppress(InputError):
        assert DebugInfo(tmp_path / "damaged.ko").find(LINES) == {}


TREE = {
    "fs/open.c": "SYSCALL_DEFINE4(openat, int, dfd, const char __user *, filename)\n{\n}\n"
    "int do_open(struct nameidata *nd,\n\t    int flags); \n"
    "int do_open(struct nameidata *nd, int (*cb)(int, int)) /* why */ __must_hold(x)\n{\n\tdo_open(nd);\n}\n",
    "fs/read.c": "COMPAT_SYSCALL_DEFINE2(pread, int, fd, int, n)\n{\n}\nstatic int same(void)\n{\n}\n",
    "fs/write.c": "static int same(void)\n{\n}\nstruct file *\nalloc_file(int n)\n{\n}\n#define do_open(x) y\n",
    "fs/odd.mod.c": "int alloc_file(int n)\n{\n}\n",
    ".git/old.c": "int alloc_file(int n)\n{\n}\n",
    "entry.S": "not C\n",
}


def test_definitions_in_a_tree(tmp_path: Path) -> None:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    names = ["__x64_sys_openat", "__do_sys_openat", "do_open", "same", "alloc_file.constprop.0", "none", "pread"]
    lines = find_in_tree(tmp_path, names)
    assert {name: str(line) for name, line in lines.items()} == {
        "__x64_sys_openat": "fs/open.c:1",
        "__do_sys_openat": "fs/open.c:1",
        "do_open": "fs/open.c:6",
        "alloc_file": "fs/write.c:5",
    }
    assert {line.origin for line in lines.values()} == {"source tree"}
    assert find_in_tree(tmp_path, []) == {}
    with pytest.raises(InputError, match="not a directory"):
        find_in_tree(tmp_path / "none", ["f"])


def test_debug_info_goes_first_and_only_for_its_own_module(built: Built, tmp_path: Path) -> None:
    ko, vmlinux = DebugInfo(built("foo.ko", "-g")), DebugInfo(built("vmlinux", "-g"))
    asked = [("foo_probe", "foo"), ("foo_probe", "bar"), ("main", ""), ("foo_probe.part.0", "")]
    assert source_lines(asked, [ko], []) == {("foo_probe", "foo"): SourceLine("drivers/foo.c", 10, "debug info")}
    (tmp_path / "bar.c").write_text("\nint foo_probe(void)\n{\n}\n")
    lines = source_lines(asked, [ko, vmlinux], [tmp_path])
    assert {key: (str(line), line.origin) for key, line in lines.items()} == {
        ("foo_probe", "foo"): ("drivers/foo.c:10", "debug info"),
        ("foo_probe", "bar"): ("bar.c:2", "source tree"),
        ("main", ""): ("main.c:4", "debug info"),
        ("foo_probe.part.0", ""): ("drivers/foo.c:10", "debug info"),
    }
