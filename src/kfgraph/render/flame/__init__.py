"""Flame graphs on a terminal and as SVG."""
