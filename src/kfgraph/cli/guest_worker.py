"""The program that runs inside a guest: ``kfgraph trace`` with the options in the shared folder."""

from __future__ import annotations

import sys
from pathlib import Path

from kfgraph.capture.guest import worker

if __name__ == "__main__":
    sys.exit(worker.main(Path(sys.argv[1])))
