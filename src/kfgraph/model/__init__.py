"""The ground floor: what a trace is. numpy only; no I/O, no printing."""
