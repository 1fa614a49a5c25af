"""--btf: types from a file, for a trace that has none; those of another kernel are refused."""

from __future__ import annotations

import gzip
import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from builder import btf
from builder.btf import ENUM, FUNC, FUNC_PROTO, PTR, TYPEDEF, BtfWriter
from builder.elf import elf
from builder.tables import call, trace_of
from builder.tracedat import TEXT, Cpu, Kernel, trace_dat
from contract.test_commands import kfgraph
from kfgraph import load
from kfgraph.analyze.retval import errors_of
from kfgraph.errors import InputError
from kfgraph.kernel.argument_text import of_values, word_by_name
from kfgraph.kernel.btf import Btf, Type
from kfgraph.model.trace import Trace
from kfgraph.passes import Given
from kfgraph.passes import user_types as pass_

RELEASE = "6.16.0-lab"
GFP_KERNEL = 0xCC0


def types(*more: str, long_size: int = 8, big_endian: bool = False) -> bytes:
    """``count`` returns unsigned, ``probe`` int, and so do ``more``; ``mode_set`` has parameters of several types."""
    out = BtfWriter(big_endian=big_endian)
    number, unsigned = out.int("int", 4, btf.SIGNED), out.int("unsigned int", 4)
    out.int("long unsigned int", long_size)
    short = out.add(TYPEDEF, "umode_t", out.int("unsigned short", 2))
    mode = out.add(ENUM, "mode", 4, [out.name("MODE_OFF"), 0, out.name("MODE_FAST"), 3], n=2)
    named = ((1, "BIT_A"), (2, "BIT_B"), (8, "BIT_D"))
    bits = out.add(ENUM, "bits", 4, [w for b, n in named for w in (out.name(n), b)], n=3)
    gfp = "DMA HIGHMEM DMA32 MOVABLE RECLAIMABLE HIGH IO FS ZERO UNUSED DIRECT_RECLAIM KSWAPD_RECLAIM".split()  # noqa: SIM905
    out.add(ENUM, "", 4, [w for bit, n in enumerate(gfp) for w in (out.name(f"___GFP_{n}_BIT"), bit)], n=len(gfp))
    gfp_t, pointer = out.add(TYPEDEF, "gfp_t", unsigned), out.add(PTR, "", 0)
    out.function("count", unsigned)
    out.function("probe", number)
    given = (("mode", mode), ("bits", bits), ("gfp", gfp_t), ("perm", short), ("where", pointer))
    out.function("mode_set", number, *given)
    for name in more:
        out.function(name, number)
    return out.section()


def vmlinux(release: str = RELEASE, *more: str) -> bytes:
    banner = f"Linux version {release} (root@lab) (gcc)".encode()
    return elf({".rodata": b"\0" * 8 + banner + b"\0", ".BTF": types(*more)})


def failing(kernel: str = RELEASE, arch: str = "x86_64") -> Trace:
    register = (1 << 32) - 19
    trace = trace_of([call("probe", 5, call("count", retval=register), retval=register)])
    return replace(trace, meta=replace(trace.meta, kernel=kernel, arch=arch))


def given(trace: Trace, folder: Path, data: bytes, name: str = "vmlinux") -> Trace:
    (folder / name).write_bytes(data)
    return pass_.apply(trace, Given(btf=(str(folder / name),)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_types_of_a_file_tell_what_cannot_fail(pack, tmp_path: Path) -> None:
    plain = failing()
    assert errors_of(plain.calls, plain.symbols).codes.tolist() == [-19, -19]
    trace = given(plain, tmp_path, pack(vmlinux()))
    assert errors_of(trace.calls, trace.symbols).codes.tolist() == [-19, 0]
    assert trace.symbols.returns(trace.symbols.names.index("count")) == "unsigned int"
    assert trace.notices == ()


def test_types_of_another_kernel_are_refused_with_the_reason(tmp_path: Path) -> None:
    trace = given(failing(), tmp_path, vmlinux("6.16.1-lab"))
    assert [n.code for n in trace.notices] == ["types-refused"]
    assert trace.notices[0].text == f"vmlinux was not used for types: it is of 6.16.1-lab, the trace is of {RELEASE}"
    assert trace.symbols.prototypes is None


def test_what_does_not_tell_its_kernel_is_used_and_said(tmp_path: Path) -> None:
    trace = given(failing(), tmp_path, types(), "types")
    assert [(n.code, n.severity) for n in trace.notices] == [("types-unproved", "note")]
    assert "it knows 2 of 2 functions" in trace.notices[0].text
    assert errors_of(trace.calls, trace.symbols).codes.tolist() == [-19, 0]


@pytest.mark.parametrize(("n_known", "refused"), [(50, False), (47, False), (45, True), (0, True)])
def test_what_knows_too_few_functions_is_of_another_kernel(n_known: int, refused: bool, tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(50)]
    trace = trace_of([call(name) for name in (*names, "clone.constprop.0")])
    out = given(trace, tmp_path, types(*names[:n_known]), "types")
    assert [n.code for n in out.notices] == ["types-refused" if refused else "types-unproved"]
    assert (f"{n_known} of 50 functions" in out.notices[0].text) is True


@pytest.mark.parametrize(
    ("arch", "data", "why"),
    [
        ("s390x", types(), "its byte order is not that of s390x"),
        ("x86_64", types(big_endian=True), "its byte order is not that of x86_64"),
        ("i686", types(), "its long has 64 bits, the trace is of i686"),
        ("x86_64", types(long_size=4), "its long has 32 bits, the trace is of x86_64"),
    ],
)
def test_types_of_another_architecture_are_refused(arch: str, data: bytes, why: str, tmp_path: Path) -> None:
    trace = given(failing("", arch), tmp_path, data, "types")
    assert trace.notices[0].text.endswith(why)


@pytest.mark.parametrize("arch", ["ppc64le", "aarch64", "riscv64"])
def test_other_architectures_of_64_bits_and_little_endian(arch: str, tmp_path: Path) -> None:
    assert given(failing("", arch), tmp_path, types(), "types").symbols.prototypes is not None


def test_what_holds_no_types_is_an_error(tmp_path: Path) -> None:
    for name, data, said in (
        ("a", b"text", "holds no types (BTF)"),
        ("b", elf({".text": b"\x90"}), "no section .BTF"),
        ("c", elf({".BTF": b"\x9f\xeb\x01"}), "cannot be read"),
        ("d", b"\x7fELF", "cannot be read"),
        ("e", gzip.compress(b"text")[:-6], "cannot be read"),
    ):
        with pytest.raises(InputError, match=r"no types|cannot be") as problem:
            given(failing(), tmp_path, data, name)
        assert said in str(problem.value), name
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError):
            pass_.apply(failing(), Given(btf=(str(path),)))


def split() -> bytes:
    """A module's types on those of ``types()``: ``foo_probe`` returns unsigned."""
    base = types()
    whole = BtfWriter()
    # The numbers of types and the offsets of strings go on where the base ends.
    n = len(Btf(base)._places)
    strings = int.from_bytes(base[20:24], "little")
    proto = whole.add(FUNC_PROTO, "", 2)
    assert proto == 1
    name = strings + whole.name("foo_probe")
    whole.add_word(name=0, info=FUNC << 24, size=n + 1, tail=[])
    data = bytearray(whole.section())
    at = 24 + 12
    data[at : at + 4] = name.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize("own_base", [True, False])
def test_types_of_a_module_tell_of_its_functions_alone(own_base: bool, tmp_path: Path) -> None:
    register = (1 << 32) - 19
    trace = trace_of([call("foo_probe [foo]", 5, call("foo_probe", retval=register), retval=register)])
    trace = replace(trace, meta=replace(trace.meta, kernel=RELEASE, arch="x86_64"))
    sections = {".modinfo": f"name=foo\0vermagic={RELEASE} SMP\0".encode(), ".BTF": split()}
    if own_base:
        sections[".BTF.base"] = types()
    (tmp_path / "foo.ko").write_bytes(elf(sections))
    (tmp_path / "vmlinux").write_bytes(vmlinux())
    files = [str(tmp_path / "foo.ko")]
    if not own_base:
        with pytest.raises(InputError, match="go on where its kernel's end"):
            pass_.apply(trace, Given(btf=tuple(files)))
        files.insert(0, str(tmp_path / "vmlinux"))
    out = pass_.apply(trace, Given(btf=tuple(files)))
    assert out.symbols.returns(out.symbols.labels.index("foo_probe [foo]")) == "unsigned int"
    assert out.symbols.returns(out.symbols.labels.index("foo_probe")) == ""
    assert errors_of(out.calls, out.symbols).codes.tolist() == [0, -19]


def recorded(folder: Path) -> Path:
    """A trace with argument registers and no types of its own."""
    kernel = Kernel(args=True)
    cpu = Cpu(kernel, 0)
    cpu.entry(1_000, 42, TEXT, 0, args=[3, 9, GFP_KERNEL, 0o644, (1 << 64) - 2, 0])
    cpu.exit(2_000, 42, TEXT, 0, 1_000, 2_000)
    file = folder / "trace.dat"
    file.write_bytes(trace_dat(kernel, [cpu], symbols={TEXT: ("T", "mode_set", "")}))
    return file


def test_names_and_words_of_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    file = recorded(tmp_path)
    (tmp_path / "types").write_bytes(types())
    raw = "0x3, 0x9, 0xcc0, 0x1a4, 0xfffffffffffffffe, 0x0"
    assert load(file).calls.args.text(0) == raw
    trace = load(file, btf=tmp_path / "types")
    text = "mode=3, bits=9, gfp=0xcc0, perm=0x1a4, where=0xfffffffffffffffe"
    assert trace.calls.args.text(0) == text
    code, out, err = kfgraph("show", file, "--root", "mode_set", "--with", "args", "--btf", tmp_path / "types")
    words = "mode_set(mode=MODE_FAST, bits=BIT_A|BIT_D, gfp=GFP_KERNEL, perm=0644, where=ERR_PTR(-ENOENT))"
    assert words in out and code == 0
    assert "types does not tell which kernel it is from" in err
    # Filters and JSON keep the numbers.
    _, out, _ = kfgraph("show", file, "--root", "mode_set", "--json", "--arg", "bits & 8", "--btf", tmp_path / "types")
    assert text in out


@pytest.mark.parametrize("command", ["show", "top", "why", "errors", "syscalls", "info"])
def test_every_reading_command_has_it(command: str, tmp_path: Path) -> None:
    code, _, err = kfgraph(command, recorded(tmp_path), "--btf", tmp_path / "nothing")
    assert code == 5 and "nothing: No such file" in err


def test_words_of_enumerations() -> None:
    names = ((0, "NONE"), (1, "A"), (2, "B"), (2, "ALSO_B"), (4, "C"))
    assert [of_values(names, value) for value in (0, 2, 5, 8, -1)] == ["NONE", "B", "A|C", "", ""]
    assert of_values(((1, "ONE"), (2, "TWO"), (3, "THREE")), 4) == ""
    assert of_values(((1, "ONE"), (3, "THREE")), 2) == ""
    assert Type("enum", 4, True).names == ()


def test_words_by_the_names_alone() -> None:
    assert word_by_name("do_sys_open", "flags", 0o102, arch="x86_64") == "O_RDWR|O_CREAT"
    assert word_by_name("filp_open", "flags", 0, arch="x86_64") == "O_RDONLY"
    assert word_by_name("filp_open", "flags", 0o102, arch="aarch64") == ""
    assert word_by_name("kmem_cache_create", "flags", 2, arch="x86_64") == ""
    assert word_by_name("finish", "err", -19, arch="x86_64") == "-ENODEV"
    assert word_by_name("finish", "err", 19, arch="x86_64") == ""
    assert word_by_name("finish", "len", -19, arch="x86_64") == ""
