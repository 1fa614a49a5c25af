"""The trace.dat container, versions 6 and 7: sections, options, lists of data, what is left of unfinished files."""
