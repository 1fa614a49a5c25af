"""Trace -> the formats of others, on a stream."""
