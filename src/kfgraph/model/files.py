"""Names of files that more than one room knows."""

COMPANION_SUFFIX = ".kfgraph.json"
"""Beside TRACE, TRACE with this may stand (see companion.py, which takes longer to import than to look for it)."""
