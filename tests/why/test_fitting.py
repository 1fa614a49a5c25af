"""The functions of a vanished module: named only where their place is proved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.tables import call, trace_of
from kfgraph import passes
from kfgraph.kernel import module as module_file
from kfgraph.kernel.fitting import PAGE, fit
from kfgraph.kernel.module import Module, Text
from kfgraph.model.companion import Companion, ModuleFunction, ModuleImage
from kfgraph.model.symbols import SymbolTable
from kfgraph.passes import Given, module_names

CORE, INIT = 0xFFFFFFFFC0A10000, 0xFFFFFFFFC0B20000
RELEASE = "6.1.0-56-amd64"


def module(name: str = "foo", *, core=(0, 0x40, 0x90), init=(4,), size: int = 0x200, build_id: str = "") -> Module:
    """A module with functions at these places of .text and .init.text; the first of init is its init function."""
    texts = (
        Text(".text", False, 0, size, tuple((at, f"{name}_{at:x}") for at in core)),
        Text(
            ".init.text",
            True,
            0,
            0x80,
            tuple((at, f"{name}_init" if at == init[0] else f"{name}_i{at:x}") for at in init),
        ),
    )
    image = ModuleImage(name, f"/{name}.ko", build_id, f"{RELEASE} SMP", ())
    return Module(image, tuple(n for t in texts for _, n in t.sites), frozenset(), f"{name}_init", texts)


def names(fits) -> dict[int, str]:
    return {address: name for one in fits for address, name in one.names.items()}


def test_several_addresses_prove_a_page() -> None:
    found = fit([module()], [CORE + 0x40, CORE + 0x90])
    assert names(found) == {CORE + 0x40: "foo_40", CORE + 0x90: "foo_90"}
    assert [one.base for one in found] == [CORE]


def test_one_address_alone_proves_nothing() -> None:
    assert fit([module()], [CORE + 0x40]) == []
    assert fit([module()], [INIT + 4]) == []


def test_the_init_function_is_the_one_that_the_kernel_called_as_such() -> None:
    assert names(fit([module()], [INIT + 4], inits=[INIT + 4])) == {INIT + 4: "foo_init"}


def test_what_the_init_function_called_is_the_modules() -> None:
    unknown, callers = [INIT + 4, CORE + 0x40], {CORE + 0x40: frozenset({INIT + 4})}
    assert names(fit([module()], unknown, inits=[INIT + 4], callers=callers)) == {
        INIT + 4: "foo_init", CORE + 0x40: "foo_40",
    }  # fmt: skip


def test_what_the_init_functions_are_the_others_are_not() -> None:
    # One function each, at the same place of its page: either address could be either.
    alone = module(core=(4,))
    unknown, callers = [INIT + 4, CORE + 4], {CORE + 4: frozenset({INIT + 4})}
    assert names(fit([alone], unknown, inits=[INIT + 4], callers=callers)) == {
        INIT + 4: "foo_init", CORE + 4: "foo_4",
    }  # fmt: skip


def test_what_the_loader_called_to_set_a_parameter_is_the_modules() -> None:
    alone = module(core=(4,))
    assert names(fit([alone], [CORE + 4], by_loader=[CORE + 4])) == {CORE + 4: "foo_4"}
    assert fit([alone], [CORE + 4]) == []
    assert fit([alone, module("bar", core=(8,))], [CORE + 4], by_loader=[CORE + 4]) == []


def test_an_address_that_is_no_function_refutes_the_page() -> None:
    assert fit([module()], [CORE + 0x40, CORE + 0x90, CORE + 0x94]) == []


def test_two_modules_that_claim_one_place_get_none() -> None:
    assert fit([module("foo"), module("bar")], [CORE + 0x40, CORE + 0x90]) == []


def test_two_pages_that_fit_are_no_proof() -> None:
    # One address fits as the first function's, and as the second's from the page before.
    long = module(core=(0x40, 0x60, 0x40 + PAGE, 0x60 + PAGE), size=2 * PAGE)
    assert fit([long], [CORE + 0x40, CORE + 0x60]) == []
    assert names(fit([module(core=(0x40, 0x60))], [CORE + 0x40, CORE + 0x60])) == {
        CORE + 0x40: "foo_40", CORE + 0x60: "foo_60",
    }  # fmt: skip


@given(
    st.sets(st.integers(0, 0x1F0).map(lambda n: n & ~0xF), min_size=2, max_size=12),
    st.integers(0, 200),
    st.data(),
)
def test_whatever_is_named_is_named_right(places, page, data) -> None:
    shown = data.draw(st.sets(st.sampled_from(sorted(places)), min_size=1))
    base = CORE + page * PAGE
    found = names(fit([module(core=tuple(sorted(places)))], [base + at for at in shown]))
    assert found in ({}, {base + at: f"foo_{at:x}" for at in shown})
    assert bool(found) == (len(shown) > 1)


def traced(*addresses: int, kernel: str = RELEASE):
    """do_one_initcall calls the first, which calls the others."""
    inner = [call(f"{a:#x}") for a in addresses[1:]]
    trace = trace_of([call("do_one_initcall", 5, call(f"{addresses[0]:#x}", 5, *inner))])
    at = np.array([int(n, 16) if n.startswith("0x") else 0 for n in trace.symbols.names], np.uint64)
    return replace(trace, symbols=replace(trace.symbols, addresses=at), meta=replace(trace.meta, kernel=kernel))


@pytest.fixture
def files(monkeypatch):
    """read_module reads these."""
    known: dict[str, Module] = {}
    monkeypatch.setattr(module_names, "read_module", lambda path: known[str(path)])
    return known


def test_a_file_names_the_functions_of_a_trace(files) -> None:
    files["foo.ko"] = module()
    trace = module_names.apply(traced(INIT + 4, CORE + 0x40, CORE + 0x90), Given(("foo.ko",)))
    assert trace.symbols.labels[1:] == ("do_one_initcall", "foo_init [foo]", "foo_40 [foo]", "foo_90 [foo]")
    assert trace.symbols.resolved[1:].all() and not trace.notices
    trace.check()


def test_return_addresses_in_a_module_are_in_the_function_that_they_are_in(files) -> None:
    """ftrace's places are 4 bytes behind the functions' beginnings, which offsets count from."""
    made = module(core=(0x44, 0x94))
    sections = ((".init.text", "foo_init", 0, 0x30), (".text", "foo_44", 0x40, 0x30), (".text", "foo_94", 0x90, 0x40))
    functions = tuple(ModuleFunction(name, section, at, size) for section, name, at, size in sections)
    files["foo.ko"] = replace(made, image=replace(made.image, functions=functions))
    trace = traced(INIT + 4, CORE + 0x44, CORE + 0x94)
    symbols, n = trace.symbols, len(trace.symbols)
    # The last is in no function that is known, though behind one.
    returns = [INIT + 0x20, CORE + 0x55, CORE + 0x7F]
    names = [*symbols.names, *(f"{at:#x}" for at in returns)]
    symbols = SymbolTable.build(names, addresses=[*symbols.addresses.tolist(), *returns])
    code = {name: at for at, name in enumerate(symbols.names)}
    caller = np.array([0, code["do_one_initcall"], n, n + 1], np.int32)
    calls = trace.calls.with_columns(caller=caller, caller_offset=np.array([-1, 0x56, -1, -1], np.int32))
    named = module_names.apply(replace(trace, symbols=symbols, calls=calls), Given(("foo.ko",)))
    named.check()
    assert named.calls.caller is not None and named.calls.caller_offset is not None
    assert named.calls.caller.tolist() == [0, *named.calls.func[:3].tolist()]
    assert named.calls.caller_offset.tolist() == [-1, 0x56, 0x20, 0x15]
    calls = calls.with_columns(caller=np.array([0, 0, n, n + 2], np.int32), caller_offset=None)
    named = module_names.apply(replace(trace, symbols=symbols, calls=calls), Given(("foo.ko",)))
    assert named.calls.caller_offset is not None and named.calls.caller_offset.tolist() == [-1, -1, 0x20, -1]


def test_a_file_of_another_kernel_or_build_is_refused_with_its_reason(files) -> None:
    files["foo.ko"] = module()
    trace = module_names.apply(traced(INIT + 4, CORE + 0x40, kernel="7.2.13"), Given(("foo.ko",)))
    assert trace.symbols.labels[2] == f"{INIT + 4:#x}"
    assert [n.code for n in trace.notices] == ["module-refused"]
    assert RELEASE in trace.notices[0].text and "7.2.13" in trace.notices[0].text


def test_a_file_that_does_not_fit_is_said(files) -> None:
    files["foo.ko"] = module()
    trace = module_names.apply(traced(INIT + 8, CORE + 0x44), Given(("foo.ko",)))
    assert [n.code for n in trace.notices] == ["module-not-found"]
    assert not trace.symbols.resolved[2:].any()


@pytest.mark.parametrize(
    ("build_id", "recorded", "place", "named"),
    [
        ("ab12", "ab12", "foo.ko", True),
        ("ab12", "cd34", "foo.ko", False),
        ("", "", "foo.ko", False),
        ("ab12", "ab12", "foo.bin", False),
        ("ab12", "ab12", "gone/foo.ko", False),
    ],
)
def test_the_module_that_was_loaded_is_read_where_the_same_build_still_lies(
    build_id: str, recorded: str, place: str, named: bool, files, tmp_path
) -> None:
    file = tmp_path / place
    (tmp_path / place.rpartition("/")[2]).write_bytes(b"ELF")
    files[str(file)] = module(build_id=build_id)
    image = ModuleImage("foo", str(file), recorded, f"{RELEASE} SMP", ())
    trace = replace(traced(INIT + 4, CORE + 0x40), companion=Companion(modules=(image,)))
    trace = passes.apply(trace, Given())
    assert trace.symbols.labels[2] == ("foo_init [foo]" if named else f"{INIT + 4:#x}")
    assert not trace.notices


def test_a_file_that_is_given_comes_before_the_one_that_was_loaded(files, tmp_path) -> None:
    loaded = tmp_path / "foo.ko"
    loaded.write_bytes(b"ELF")
    files[str(loaded)], files["foo.ko"] = module(build_id="ab"), module(core=(0x40,), build_id="ab")
    image = ModuleImage("foo", str(loaded), "ab", f"{RELEASE} SMP", ())
    trace = replace(traced(INIT + 4, CORE + 0x40), companion=Companion(modules=(image,)))
    # Were both read, they would claim the same addresses, and none would be named.
    assert passes.apply(trace, Given(("foo.ko",))).symbols.labels[3] == "foo_40 [foo]"


def test_no_file_is_read_where_every_function_has_a_name(files, tmp_path) -> None:
    (tmp_path / "foo.ko").write_bytes(b"ELF")  # it is not among the known: to read it fails
    image = ModuleImage("foo", str(tmp_path / "foo.ko"), "ab", f"{RELEASE} SMP", ())
    trace = replace(trace_of([call("do_one_initcall")]), companion=Companion(modules=(image,)))
    named = replace(trace.symbols, addresses=np.array([0, 0x8000], np.uint64))
    assert passes.apply(replace(trace, symbols=named), Given()).symbols.names[1] == "do_one_initcall"


def test_who_sets_a_parameter_calls_the_modules_function(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module_names, "read_module", lambda path: module(core=(4,)))
    tree = call("load_module", 5, call("parse_args", 5, call(f"{CORE + 4:#x}")))
    trace = trace_of([tree])
    addresses = [0, 0x8000, 0x9000, CORE + 4]
    trace = replace(trace, symbols=replace(trace.symbols, addresses=np.array(addresses, np.uint64)))
    named = module_names.apply(trace, Given(modules=("foo.ko",)))
    assert named.symbols.labels[3] == "foo_4 [foo]"


def test_sections_are_laid_out_as_the_loader_does(tmp_path) -> None:
    class Section(dict):
        def __init__(self, name, flags, size, align) -> None:
            super().__init__(sh_flags=flags, sh_size=size, sh_addralign=align)
            self.name = name

    class Elf:
        def iter_sections(self):
            return [
                Section(".text", 6, 0x105, 16), Section(".exit.text", 6, 0x15, 16), Section(".init.text", 6, 0x5C, 16),
                Section(".data", 3, 9, 8), Section(".text.unlikely", 6, 4, 1),
            ]  # fmt: skip

    found = list(module_file._texts(Elf(), {".exit.text": [(4, "foo_exit")]}))
    assert [(t.name, t.init, t.offset) for t in found] == [
        (".text", False, 0), (".exit.text", False, 0x110), (".init.text", True, 0), (".text.unlikely", False, 0x125),
    ]  # fmt: skip
    assert found[1].sites == ((4, "foo_exit"),)
