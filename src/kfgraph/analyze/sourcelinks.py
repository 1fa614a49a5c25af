"""Links from functions to their source: files here, where they are, or a cross-reference on the web."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from kfgraph.analyze.callsites import CallSite, CallSites
from kfgraph.analyze.debuginfo import read
from kfgraph.errors import InputError
from kfgraph.kernel.weblinks import (
    LOCAL,
    WEB,
    checked,
    filled,
    is_of_the_kernel,
    modules_of_the_kernel,
    source_name,
    version_of,
)
from kfgraph.model.names import split_label
from kfgraph.model.trace import Trace

if TYPE_CHECKING:
    from kfgraph.kernel.sourcelines import SourceLine


class SourceLinks:
    """The address of each function's source, by the function's label (``name [module]``).

    A file that is on this machine goes first: as debug info tells it, or found in a source tree. Else it is a page of a
    cross-reference, for the kernel's own functions and those of its modules, where the kernel's version is known. What
    is known of neither has none. ``local``: whether files may be named; they tell where they lie. ``known`` lines of
    functions are not looked for.
    """

    def __init__(
        self,
        trace: Trace,
        *,
        templates: Sequence[str] = (),
        debug_info: Sequence[str | Path] = (),
        trees: Sequence[str | Path] = (),
        local: bool = True,
        known: Mapping[tuple[str, str], SourceLine] = MappingProxyType({}),
    ) -> None:
        """
        Raises:
            InputError: a file is not there, has no debug info, or is another kernel's; no such tree.
            UsageError: a template is none.
        """
        given = [checked(template) for template in templates]
        self._local = [one for one in given if "{path}" in one] + [LOCAL]
        self._web = [one for one in given if "{path}" not in one] or [WEB]
        self._version = version_of(trace.meta.kernel)
        images = trace.companion.modules if trace.companion is not None else ()
        self._paths = {image.name: image.path for image in images}
        self._infos = read(debug_info if local else (), trace)
        self.sites = CallSites(trace, self._infos)
        """Where calls stand in their callers."""
        self._trees = [Path(tree) for tree in trees] if local else []
        for tree in self._trees:
            if not tree.is_dir():
                raise InputError(f"{tree}: not a directory of sources")
        self._lines: dict[str, SourceLine | None] = {
            f"{name} [{module}]" if module else name: line for (name, module), line in known.items()
        }
        self._known: dict[str, str] = {}

    def look_for(self, labels: Iterable[str]) -> None:
        """Find the lines of these functions in one go: a tree is searched once for all of them."""
        wanted = {label: split_label(label) for label in labels if label not in self._lines}
        if not wanted or not (self._infos or self._trees):
            return
        # Most links are to the web: a terminal that gets those does not wait for what reads files.
        from kfgraph.kernel.sourcelines import source_lines

        functions = [(name, module) for name, module in wanted.values() if source_name(name)]
        found = source_lines(functions, self._infos, self._trees)
        self._lines.update({label: found.get(key) for label, key in wanted.items()})

    def of(self, label: str) -> str:
        """The address; "" where there is none."""
        if label not in self._known:
            self.look_for([label])
            self._known[label] = self._made(label)
        return self._known[label]

    def place(self, label: str) -> str:
        """``kernel/module/main.c:2994``, where that is known."""
        self.look_for([label])
        line = self._lines.get(label)
        return str(line) if line else ""

    def of_site(self, site: CallSite) -> str:
        """The address of the line of a call; "" where there is none."""
        name, module = split_label(site.caller)
        function = source_name(name)
        if site.called_in is None:
            return ""
        return self._address({"version": self._version, "function": function}, site.called_in, module, of_lines=True)

    def _made(self, label: str) -> str:
        name, module = split_label(label)
        function = source_name(name)
        if not function:
            return ""
        return self._address({"version": self._version, "function": function}, self._lines.get(label), module)

    def _address(
        self, values: dict[str, str], line: SourceLine | None, module: str, *, of_lines: bool = False
    ) -> str:
        """Of a line, or of what is known of a function; ``of_lines``: no page that tells no line will do."""
        if line is not None:
            values |= {"file": line.file, "line": str(line.line)}
            path = self._file(line)
            if path is not None:
                return next(found for one in self._local if (found := filled(one, {**values, "path": str(path)})))
        if module and not self._is_of_the_kernel(module):
            return ""
        web = [one for one in self._web if "{line}" in one] if of_lines else self._web
        return next((found for one in web if (found := filled(one, values))), "")

    def _file(self, line: SourceLine) -> Path | None:
        """The file on this machine."""
        for folder in (*self._trees, *([Path(line.folder)] if line.folder else [])):
            path = (folder / line.file).absolute()
            if path.is_file():
                return path
        return None

    def _is_of_the_kernel(self, module: str) -> bool:
        if module in self._paths:
            return is_of_the_kernel(self._paths[module])
        return module in modules_of_the_kernel()
