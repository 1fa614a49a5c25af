"""Reading a module's ELF: against nm and modinfo, packed and broken."""

from __future__ import annotations

import gzip
import lzma
import platform
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from kfgraph.errors import InputError
from kfgraph.kernel.module import read_module


@pytest.fixture(scope="session")
def any_modules(program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Network drivers of this machine's kernels, in RELEASE/kernel/drivers/net; unpacked where they are packed."""
    program("nm", "binutils")
    found = sorted(Path("/lib/modules").glob("*/kernel/drivers/net/*.ko"))[:12]
    if found:
        return found
    packed = sorted(Path("/lib/modules").glob("*/kernel/drivers/net/*.ko.xz"))
    if not packed:
        pytest.skip("no modules here: apt-get install linux-image-amd64")
    folder = tmp_path_factory.mktemp("modules")
    for path in packed[:11] + [path for path in packed if path.name == "dummy.ko.xz"]:
        target = folder / path.relative_to("/lib/modules").with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(lzma.decompress(path.read_bytes()))
    return sorted(folder.glob("*/kernel/drivers/net/*.ko"))


def test_functions_are_those_of_nm(any_modules: list[Path]) -> None:
    for path in any_modules:
        module = read_module(path)
        lines = subprocess.run(["nm", "-f", "posix", path], capture_output=True, text=True, check=True).stdout
        text = {tuple(f) for line in lines.splitlines() if (f := line.split()[:3])[1] in "tT"}
        ours = {(f.name, f.offset) for f in module.image.functions}
        # Every function is a text symbol of nm's at the same place.
        assert ours <= {(name, int(value, 16)) for name, _, value in text}
        assert len(module.image.functions) > 5
        assert set(module.traceable) <= {f.name for f in module.image.functions}
        assert module.image.vermagic.startswith(path.parents[3].name)
        # An init function is known by its own name; a library may have none.
        at = {f.name: (f.section, f.offset) for f in module.image.functions}
        assert (module.init in module.traceable) == ("init_module" in at)
        assert at.get(module.init) == at.get("init_module")
    assert read_module(any_modules[0].with_name("dummy.ko")).init == "dummy_init_module"


def test_what_each_function_calls_is_what_objdump_shows(
    any_modules: list[Path], program: Callable[[str, str], str]
) -> None:
    objdump, path = program("objdump", "binutils"), any_modules[0]
    command = [objdump, "-dr", "--no-show-raw-insn", path]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    module = read_module(path)
    found: dict[str, set[str]] = {}
    for line in out.splitlines():
        if line.endswith(">:"):
            name = line.split("<")[1].partition(">")[0].partition(".cold")[0]
        elif "R_" in line:
            symbol = line.split()[-1].partition("-0x")[0].partition("+0x")[0]
            if symbol in module.imports:
                found.setdefault(name, set()).add(symbol)
    # The init and exit functions have two names.
    places = Counter((f.section, f.offset) for f in module.image.functions)
    once = {f.name for f in module.image.functions if places[f.section, f.offset] == 1}
    told = {name: set(called) for name, called in module.calls.items() if name in once}
    assert told == {name: called for name, called in found.items() if name in once} and len(told) > 5
    assert "__fentry__" in module.calls[module.init]


def test_traceable_functions_call_the_tracer(any_modules: list[Path], program: Callable[[str, str], str]) -> None:
    objdump = program("objdump", "binutils")
    path = any_modules[0]
    out = subprocess.run(
        [objdump, "-dr", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout
    hooked, current = set(), ""
    for line in out.splitlines():
        if line.endswith(">:"):
            current = line.split("<")[1][:-2]
        elif "__fentry__" in line:
            hooked.add(current)
    assert hooked
    # objdump may show the other name of an init function.
    assert set(read_module(path).traceable) - {"init_module", "cleanup_module"} >= hooked - {
        "init_module",
        "cleanup_module",
    }
    assert len(read_module(path).traceable) == len(hooked)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".xz", lzma.compress), (".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress)],
)
def test_packed_modules_are_the_same(
    any_modules: list[Path], tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = tmp_path / f"{any_modules[0].name}{suffix}"
    packed.write_bytes(pack(any_modules[0].read_bytes()))
    plain, unpacked = read_module(any_modules[0]), read_module(packed)
    assert unpacked.image.functions == plain.image.functions
    assert unpacked.image.build_id == plain.image.build_id != ""
    assert (unpacked.image.name, unpacked.traceable) == (plain.image.name, plain.traceable)


def test_what_is_no_module(any_modules: list[Path], tmp_path: Path) -> None:
    whole = any_modules[0].read_bytes()
    cases = {
        "text.ko": b"hello",
        "empty.ko": b"",
        "cut.ko": whole[:1000],
        "bad.ko.xz": b"\xfd7zXZ\0garbage",
        "bad.ko.gz": b"\x1f\x8bgarbage",
        "bad.ko.zst": b"\x28\xb5\x2f\xfdgarbage",
        "program.ko": Path("/bin/true").read_bytes(),
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: (not a kernel module|cannot be unpacked)"):
            read_module(tmp_path / name)
    with pytest.raises(InputError, match="No such file"):
        read_module(tmp_path / "missing.ko")


def test_a_damaged_module_is_refused_or_read(any_modules: list[Path], tmp_path: Path) -> None:
    whole = any_modules[0].read_bytes()
    target = tmp_path / "x.ko"
    n_refused = 0
    headers = int.from_bytes(whole[0x28:0x30], "little")  # e_shoff: the section headers, to the end of the file
    places = {*range(0, 64, 2), *range(0, headers, headers // 60), *range(headers, len(whole), 24)}
    for at in sorted(places):
        target.write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
        try:
            read_module(target)
        except InputError:
            n_refused += 1
    assert n_refused > 0


@pytest.mark.parametrize("folder", ["6.1", "7.2-retval"])
def test_the_widget_of_the_lab(shared_traces: Path, folder: str) -> None:
    module = read_module(shared_traces / folder / "widget.ko")
    assert module.image.name == "widget"
    names = {n.partition(".")[0] for n in module.traceable}
    assert {"widget_init", "widget_probe", "widget_probe_slot", "widget_read_id", "widget_register"} <= names
    assert "init_module" not in names
    assert [f.name for f in module.image.functions if f.name.startswith("__pfx_")] == []


PADDED = """
static const char info[] __attribute__((section(".modinfo"), used)) = "vermagic=6.12.0 SMP\\0name=padded";
int traced(int x) { return x * 3; }
__attribute__((no_instrument_function)) int untraced(int x) { return x * 5; }
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="extra: the padding is a matter of x86")
def test_padding_before_functions_is_no_traceable_place(program: Callable[[str, str], str], tmp_path: Path) -> None:
    # As x86 kernels from 6.2 on are built: both tables are there, and only one is the tracer's.
    gcc = program("gcc", "gcc")
    (tmp_path / "padded.c").write_text(PADDED)
    flags = ["-O2", "-fno-pie", "-pg", "-mfentry", "-mrecord-mcount", "-fpatchable-function-entry=16,16"]
    subprocess.run([gcc, *flags, "-c", "padded.c", "-o", "padded.ko"], cwd=tmp_path, check=True)
    argv = ["readelf", "-SW", tmp_path / "padded.ko"]
    sections = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "__mcount_loc" in sections and "__patchable_function_entries" in sections
    module = read_module(tmp_path / "padded.ko")
    assert {f.name for f in module.image.functions} == {"traced", "untraced"}
    assert module.traceable == ("traced",)


NAMELESS = """
static const char info[] __attribute__((section(".modinfo"), used)) = "vermagic=4.9.0 SMP";
int my_init(void) { return 3; }
int init_module(void) __attribute__((alias("my_init")));
__attribute__((patchable_function_entry(0, 0))) int untraced(int x) { return x * 5; }
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="extra: the bytes before a function are x86's here")
def test_a_name_from_the_file_and_places_before_the_entry(program: Callable[[str, str], str], tmp_path: Path) -> None:
    # As arm64 has it: the patched place lies before the function. Before 4.13 a file did not say its module's name.
    gcc = program("gcc", "gcc")
    (tmp_path / "nameless.c").write_text(NAMELESS)
    flags = ["-O2", "-fno-pie", "-fpatchable-function-entry=16,8", "-fcf-protection=none"]
    subprocess.run([gcc, *flags, "-c", "nameless.c", "-o", "my-odd-mod.ko"], cwd=tmp_path, check=True)
    module = read_module(tmp_path / "my-odd-mod.ko")
    assert module.image.name == "my_odd_mod"
    assert (module.traceable, module.init) == (("my_init",), "my_init")
    (text,) = (text for text in module.texts if text.sites)
    entry = next(f.offset for f in module.image.functions if f.name == "my_init")
    assert text.sites == ((entry - 8, "my_init"),)
