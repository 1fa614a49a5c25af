"""The program that runs inside a guest: ``kfgraph trace`` on the job in the shared folder."""

from __future__ import annotations

import sys
from pathlib import Path

from kfgraph.capture import inside
from kfgraph.cli.readback import look_at

if __name__ == "__main__":
    sys.exit(inside.main(Path(sys.argv[1]), look=look_at))
