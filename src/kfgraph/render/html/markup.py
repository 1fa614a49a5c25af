"""Text in HTML, and a page of parts whose script and style are known by their hashes."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files

from kfgraph.model.spelling import spelt_out

MODULES = (
    "units", "links", "decode", "tree", "fold", "merge", "search", "dom", "canvas", "treegrid", "functions", "flame",
    "timeline", "details", "main",
)  # fmt: skip
"""The modules of ``app``, each behind those that it imports."""
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.mjs";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def text(value: str) -> str:
    """``value`` as text of a page, or of an attribute in quotes: the one way of a name into markup."""
    return html.escape(spelt_out(value))


def _asset(name: str) -> str:
    return (files("kfgraph.render.html") / "app" / name).read_text(encoding="utf-8")


def script() -> str:
    """The page's program."""
    return program(MODULES)


@cache
def program(modules: tuple[str, ...]) -> str:
    """Modules of ``app`` as one program: each a function that returns what the module exports."""
    parts = "".join(_as_function(name, _asset(f"{name}.mjs")) for name in modules)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _as_function(name: str, code: str) -> str:
    exports = ", ".join(exported for _, exported in _EXPORT.findall(code))
    code = _IMPORT.sub(lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = module_{found[2]};", code)
    code = _EXPORT.sub(r"\1", code)
    return f"const module_{name} = (() => {{\n{code}return {{ {exports} }};\n}})();\n"


@cache
def style() -> str:
    """The style sheet."""
    return _asset("page.css")


def hash_source(code: str) -> str:
    """What a Content-Security-Policy calls an inline script or style (CSP Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def policy() -> str:
    """Nothing is loaded from anywhere, and nothing runs but this script."""
    return (
        f"default-src 'none'; script-src {hash_source(script())}; style-src {hash_source(style())}; "
        "base-uri 'none'; form-action 'none'"
    )


def document(*, title: str, body: str, data: str) -> str:
    """The page. ``title`` is text, ``body`` markup, ``data`` base64."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{text(title)}</title>
<style>{style()}</style>
</head>
<body>
{body}
<script type="text/plain" id="data">{data}</script>
<script>{script()}</script>
</body>
</html>
"""
