"""Prototypes of functions out of debug info (DWARF), in the terms of BTF.

Source: the DWARF standard, version 5, chapters 3.3 and 5.
"""

from __future__ import annotations

from typing import Any

from kfgraph.kernel.btf import Prototype, Type

_MODIFIERS = ("DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type", "DW_TAG_atomic_type")
_KINDS = {
    "DW_TAG_pointer_type": "pointer", "DW_TAG_enumeration_type": "enum", "DW_TAG_structure_type": "struct",
    "DW_TAG_union_type": "union", "DW_TAG_array_type": "array",
}  # fmt: skip
_ENCODINGS = {
    0x2: ("bool", False), 0x4: ("float", True), 0x5: ("int", True), 0x6: ("int", True), 0x7: ("int", False),
    0x8: ("int", False),
}  # fmt: skip
_DEEPEST = 32


def prototype_of(die: Any) -> Prototype:
    """Of a subprogram's DIE (elftools). What C calls the type that is returned is not told."""
    parameters = tuple(
        (_name(child), _type(child)) for child in die.iter_children() if child.tag == "DW_TAG_formal_parameter"
    )
    return Prototype(parameters, _type(die), "")


def _name(die: Any) -> str:
    given = die.attributes.get("DW_AT_name")
    return given.value.decode("utf-8", "replace") if given is not None else ""


def _type(die: Any) -> Type:
    """The type that a DIE has, its modifiers taken off."""
    alias = ""
    for _ in range(_DEEPEST):
        if "DW_AT_type" not in die.attributes:
            return Type("void")
        die = die.get_DIE_from_attribute("DW_AT_type")
        if die.tag == "DW_TAG_typedef":
            alias = alias or _name(die)
        elif die.tag not in _MODIFIERS:
            return _plain(die, alias)
    return Type("unknown")


def _plain(die: Any, alias: str) -> Type:
    size = die.attributes["DW_AT_byte_size"].value if "DW_AT_byte_size" in die.attributes else 0
    if die.tag == "DW_TAG_base_type":
        kind, signed = _ENCODINGS.get(die.attributes["DW_AT_encoding"].value, ("unknown", False))
        return Type(kind, size, signed, alias)
    kind = _KINDS.get(die.tag, "unknown")
    if kind != "enum":
        return Type(kind, 0 if kind == "pointer" else size, False, alias)
    values = [(one.attributes["DW_AT_const_value"].value, _name(one)) for one in die.iter_children()]
    return Type(kind, size, True, alias, tuple(values))  # printed in decimal
