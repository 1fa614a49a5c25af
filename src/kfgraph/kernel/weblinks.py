"""Where the source of a kernel function can be read: addresses (URLs) from templates, safe whatever a name holds.

Source of the default: Elixir, a public cross-reference of the kernel, which has a page for each name of each version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from urllib.parse import quote

from kfgraph.errors import UsageError
from kfgraph.kernel.syscall_handlers import system_call_of
from kfgraph.model.spelling import plain_name

WEB = "https://elixir.bootlin.com/linux/v{version}/A/ident/{function}"
LOCAL = "file://{path}#L{line}"
FIELDS = ("version", "function", "file", "line", "path")
"""What a template may hold: the kernel's version, the function's name, its file and line in the sources, and its path
on this machine."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_NO_PLACES = ("javascript", "vbscript", "data")
"""What runs in a page that is opened."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RELEASE = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(\.\d+)?(?:[-~](rc\d+))?")


def version_of(release: str) -> str:
    """``6.12.43`` of ``6.12.43+deb13-amd64``, ``6.1`` of ``6.1.0-56-amd64``, ``7.2-rc3`` of ``7.2.0-rc3+``: as the
    kernel's own versions are called; "" where it is none."""
    found = _RELEASE.match(release)
    if found is None:
        return ""
    major, minor, patch, more, candidate = found.groups()
    version = f"{major}.{minor}"
    if int(major) < 3:
        # 2.6.34, and 2.6.34.7 is one of its stable versions.
        return f"{version}.{patch or 0}{more or ''}"
    if candidate:
        return f"{version}-{candidate}"
    return f"{version}.{patch}" if patch and int(patch) else version


def source_name(function: str) -> str:
    """What a function is called in the source: without the suffixes of the compiler, a system call's handler as
    ``sys_openat``. "" for what is no name: an address, a hostile text."""
    name = plain_name(function)
    if call := system_call_of(name):
        name = f"sys_{call}"
    return name if _NAME.fullmatch(name) else ""


def checked(template: str) -> str:
    """``template``, which has fields of FIELDS only.

    Raises:
        UsageError: it has others, or is no address that a terminal and a page may hold.
    """
    hint = "--link 'https://cross.reference/{version}/{function}'"
    try:
        fields = [(name, spec, how) for _, name, spec, how in Formatter().parse(template) if name is not None]
    except ValueError as problem:
        raise UsageError(f"--link {template}: {problem}", hint) from None
    if any(spec or how or name not in FIELDS for name, spec, how in fields):
        raise UsageError(f"--link {template}: its fields are {', '.join(FIELDS)}", hint)
    scheme = _SCHEME.match(template)
    plain = template.isascii() and template.isprintable() and not set(template) & set(" \"'<>\\^`|")
    if scheme is None or not plain or scheme[1].lower() in _NO_PLACES or not fields:
        raise UsageError(f"--link {template}: not the address of a page for each function", hint)
    return template


def filled(template: str, values: Mapping[str, str]) -> str:
    """The address; "" where a value is not known."""
    needed = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    if any(not values.get(name) for name in needed):
        return ""
    return template.format(**{name: quote(value, safe="/" if name in ("file", "path") else "") for name, value in
                              values.items()})  # fmt: skip


@cache
def modules_of_the_kernel(folder: str = "/lib/modules") -> frozenset[str]:
    """The modules that the kernels installed here brought along; others may be anybody's."""
    found: set[str] = set()
    for table in sorted(Path(folder).glob("*/modules.dep")):
        try:
            lines = table.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        paths = [line.partition(":")[0] for line in lines]
        found.update(module_of(path) for path in paths if path.startswith("kernel/"))
    return frozenset(found)


def is_of_the_kernel(path: str) -> bool:
    """Whether a module's file lies where a kernel's own modules are installed."""
    return re.match(r"(?:/usr)?/lib/modules/[^/]+/kernel/", path) is not None


def module_of(path: str) -> str:
    """``nf_tables`` for ``kernel/net/netfilter/nf-tables.ko.xz``."""
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")
