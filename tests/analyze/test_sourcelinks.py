"""Where the names of functions lead: files here, a cross-reference on the web, or nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kfgraph
from builder.tables import call, trace_of
from kfgraph.analyze import sourcelinks
from kfgraph.analyze.sourcelinks import SourceLinks
from kfgraph.errors import InputError, UsageError
from kfgraph.kernel import sourcelines, weblinks
from kfgraph.kernel.weblinks import checked, filled, modules_of_the_kernel, source_name, version_of
from kfgraph.model.companion import Companion, ModuleImage
from kfgraph.model.trace import Trace

REPOSITORY = Path(__file__).resolve().parents[2]
FOO = REPOSITORY / "examples" / "foo"
ELIXIR = "https://elixir.bootlin.com/linux"


def of_kernel(release: str, companion: Companion | None = None) -> Trace:
    trace = trace_of([call("vfs_open")])
    return replace(trace, meta=replace(trace.meta, kernel=release), companion=companion)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One kernel is installed here, with one module of its own and one of somebody else."""
    (tmp_path / "modules" / "6.1.0-1-amd64").mkdir(parents=True)
    (tmp_path / "modules" / "6.1.0-1-amd64" / "modules.dep").write_text(
        "kernel/net/netfilter/nf_tables.ko.xz: kernel/lib/x.ko\nkernel/drivers/snd-hda.ko:\nupdates/dkms/nvidia.ko:\n"
    )
    found = modules_of_the_kernel(str(tmp_path / "modules"))
    monkeypatch.setattr(sourcelinks, "modules_of_the_kernel", lambda: found)


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.1.0-56-amd64", "6.1"), ("6.12.43+deb13-amd64", "6.12.43"), ("6.11.4-301.fc41.x86_64", "6.11.4"),
        ("7.2.0-rc3+", "7.2-rc3"), ("7.2.0-rc3-00012-gabcdef", "7.2-rc3"), ("5.14.0-503.el9.x86_64", "5.14"),
        ("5.15.167.4-microsoft-standard-WSL2", "5.15.167"), ("3.10.0-1160.el7", "3.10"), ("2.6.34.7", "2.6.34.7"),
        ("2.6.32-754.el6", "2.6.32"), ("6.9", "6.9"), ("7.2.13-kfgraph", "7.2.13"), ("", ""), ("kernel", ""), ("6", ""),
        ("../../6.1", ""), ("\x1b]8;;http://evil\x07", ""),
    ],
)  # fmt: skip
def test_versions_are_called_as_the_kernel_calls_them(release, version) -> None:
    assert version_of(release) == version


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("vfs_open", "vfs_open"), ("slab_free.isra.0", "slab_free"), ("f.constprop.0.cold", "f"),
        ("__x64_sys_openat", "sys_openat"), ("__arm64_compat_sys_ioctl", "sys_ioctl"), ("sys_tz", "sys_tz"),
        ("0xffffffffc0b08014", ""), ("?", ""), ("", ""), ("cat-122", ""), ("a b", ""), ("f\x1b\\", ""), ("ﬀ", ""),
        ("__proto__", "__proto__"), ("f/../../x", ""), ("'><script>", ""), (".isra.0", ""),
    ],
)  # fmt: skip
def test_functions_are_called_as_in_the_source(function, name) -> None:
    assert source_name(function) == name


def test_a_page_of_the_web_where_nothing_else_is_known() -> None:
    links = SourceLinks(of_kernel("6.12.43+deb13-amd64"))
    assert links.of("vfs_open") == f"{ELIXIR}/v6.12.43/A/ident/vfs_open"
    assert links.of("slab_free.isra.0") == f"{ELIXIR}/v6.12.43/A/ident/slab_free"
    assert links.of("0xffffffffc0b08014") == links.of("?") == "" == links.place("vfs_open")
    assert SourceLinks(of_kernel("")).of("vfs_open") == ""


def test_modules_of_others_have_no_page() -> None:
    images = [ModuleImage("foo", "/home/me/foo.ko", "", "", ()),
              ModuleImage("dummy", "/lib/modules/6.1.0-1-amd64/kernel/drivers/net/dummy.ko", "", "", ()),
              ModuleImage("nf_tables", "/root/nf_tables.ko", "", "", ())]  # fmt: skip
    links = SourceLinks(of_kernel("6.1.0-1-amd64"))
    known = SourceLinks(of_kernel("6.1.0-1-amd64", Companion(argv=("insmod",), modules=tuple(images))))
    found = {name: (bool(links.of(f"f [{name}]")), bool(known.of(f"f [{name}]")))
             for name in ("nf_tables", "snd_hda", "nvidia", "foo", "dummy")}  # fmt: skip
    assert found == {
        "nf_tables": (True, False), "snd_hda": (True, True), "nvidia": (False, False), "foo": (False, False),
        "dummy": (False, True),
    }  # fmt: skip
    assert modules_of_the_kernel("/nowhere") == frozenset()


def test_a_source_tree_goes_first() -> None:
    links = SourceLinks(of_kernel("6.1.0-1-amd64"), trees=[FOO])
    line = next(n for n, text in enumerate((FOO / "foo.c").read_text().splitlines(), 1) if "foo_probe(" in text)
    assert links.of("foo_probe [foo]") == f"file://{FOO}/foo.c#L{line}"
    assert links.place("foo_probe [foo]") == f"foo.c:{line}"
    assert links.of("vfs_open") == f"{ELIXIR}/v6.1/A/ident/vfs_open"
    editor = SourceLinks(of_kernel(""), templates=["vscode://file{path}:{line}"], trees=[FOO])
    assert editor.of("foo_probe [foo]") == f"vscode://file{FOO}/foo.c:{line}"
    assert SourceLinks(of_kernel("6.1"), trees=[FOO], local=False).of("foo_probe [foo]") == ""
    with pytest.raises(InputError, match="not a directory of sources"):
        SourceLinks(of_kernel(""), trees=["/nowhere"])


def test_a_tree_is_searched_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    real = sourcelines.source_lines
    monkeypatch.setattr(sourcelines, "source_lines", lambda *args: searched.append(1) or real(*args))
    links = SourceLinks(of_kernel("6.1"), trees=[FOO])
    labels = ["foo_probe [foo]", "foo_init [foo]", "vfs_open", "0xffffffffc0b08014"]
    links.look_for(labels)
    assert [bool(links.of(label)) for label in labels] == [True, True, True, False] and searched == [1]


def test_a_path_is_spelt_for_an_address(tmp_path: Path) -> None:
    tree = tmp_path / "a b\x1b]8;;x\x07#%\"'><é"
    tree.mkdir()
    (tree / "f.c").write_text("int f(void)\n{\n}\n")
    url = SourceLinks(of_kernel(""), trees=[tree]).of("f")
    assert re.fullmatch(r"[!-~]+", url) and not set(url) & set("\"'<> \\")
    assert unquote(url) == f"file://{tree}/f.c#L1"


def test_debug_info(program: Callable[[str, str], str], tmp_path: Path) -> None:
    import subprocess

    gcc = program("gcc", "gcc")
    (tmp_path / "drivers").mkdir()
    source = tmp_path / "drivers" / "bar.c"
    source.write_text("\nint bar_probe(int a)\n{\n\treturn a;\n}\n")
    info = '.section .modinfo,"a"\n.asciz "name=bar"\n.asciz "vermagic=6.1.0-test SMP"\n'
    (tmp_path / "info.s").write_text(info)
    subprocess.run([gcc, "-g", "-c", "drivers/bar.c", "info.s"], cwd=tmp_path, check=True)
    subprocess.run(["ld", "-r", "-o", "bar.ko", "bar.o", "info.o"], cwd=tmp_path, check=True)

    def link(**given: list[Path]) -> tuple[str, str]:
        links = SourceLinks(of_kernel("6.1.0-test"), debug_info=[tmp_path / "bar.ko"], **given)
        return links.of("bar_probe [bar]"), links.place("bar_probe [bar]")

    assert link() == (f"file://{source}#L2", "drivers/bar.c:2")
    # The sources have moved: nothing here, and no page of a module of somebody else; then they are found again.
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "drivers").rename(moved / "drivers")
    assert link() == ("", "drivers/bar.c:2")
    assert link(trees=[moved]) == (f"file://{moved}/drivers/bar.c#L2", "drivers/bar.c:2")


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert({function})", "JavaScript:{function}", "data:text/html,{function}", "no scheme {function}",
        "https://x/{nothing}", "https://x/{function", "https://x/{function!r}", "https://x/{function:>9}", "https://x/",
        "https://x/{}", "https://x/ {function}", "https://x/{function}\x1b\\", "https://x/{function}'onclick='",
        "https://x/{function.__class__}", "{function}", "https://é/{function}", "https://x/<{function}>",
    ],
)  # fmt: skip
def test_a_template_is_the_address_of_a_page(template) -> None:
    with pytest.raises(UsageError, match="--link"):
        checked(template)


def test_own_templates_take_the_place_of_the_default() -> None:
    links = SourceLinks(of_kernel("6.1"), templates=["http://x/{version}/{file}#{line}", "http://y/{function}"])
    assert links.of("vfs_open") == "http://y/vfs_open"
    assert SourceLinks(of_kernel("6.1"), templates=["http://x/{file}"]).of("vfs_open") == ""
    assert SourceLinks(of_kernel(""), templates=["http://y/{function}"]).of("vfs_open") == "http://y/vfs_open"
    assert checked(weblinks.WEB) and checked(weblinks.LOCAL)


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_whatever_a_trace_says_an_address_is_plain(name: str, module: str, release: str) -> None:
    links = SourceLinks(of_kernel(release))
    for label in (name, f"{name} [{module}]", f"f{name}"):
        url = links.of(label)
        assert url == "" or re.fullmatch(rf"{re.escape(ELIXIR)}/v[\w.-]+/A/ident/[A-Za-z_]\w*", url, re.ASCII)
    assert re.fullmatch(r"[!-~]*", filled("http://x/{function}/{path}", {"function": f"f{name}", "path": f"/{module}"}))


def test_the_example_has_links_to_both() -> None:
    trace = kfgraph.load(REPOSITORY / "examples" / "insmod-foo-fail19.dat")
    links = SourceLinks(trace, trees=[FOO])
    assert links.of("load_module") == f"{ELIXIR}/v6.1/A/ident/load_module"
    assert links.of("foo_read_id [foo]").startswith(f"file://{FOO}/foo.c#L")
    assert SourceLinks(trace).of("foo_read_id [foo]") == ""
