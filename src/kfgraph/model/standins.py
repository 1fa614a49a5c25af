"""What stands for a drawn character where an encoding, or a terminal, has none: as wide, so that columns stay."""

from __future__ import annotations

import codecs

STAND_INS = {
    "│": "|", "├": "+", "▸": ">", "…": "~", "×": "x", "≥": ">", "≤": "<", "→": ">", "←": "<", "·": ".", "─": "-",
    "┌": "+", "┐": "+", "└": "+", "┘": "+", "█": "#", "↑": "^", "↓": "v", "▏": "|", "▎": "|", "▍": "|", "▌": "|",
    "▋": "#", "▊": "#", "▉": "#", "╷": "|", "╵": "|",
    "≈": "~", "±": "+", "⚡": "=>", "▁": "#", "▂": "#", "▃": "#", "▄": "#", "▅": "#", "▆": "#", "▇": "#",
}  # fmt: skip
ERRORS = "kfgraph.standins"
"""How to encode, as in ``text.encode(encoding, ERRORS)``: other characters, of names in a trace, become escapes."""


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(STAND_INS.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


codecs.register_error(ERRORS, _instead)
