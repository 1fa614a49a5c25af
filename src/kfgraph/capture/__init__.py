"""Talks to the machine: runs the recorder on a command and leaves everything else as it was."""
