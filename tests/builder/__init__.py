"""Small traces spelt out: the same literal as a table, as report text, as trace.dat bytes."""
