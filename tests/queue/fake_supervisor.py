"""The real supervisor with a short idle time."""

import os
from pathlib import Path

from mdaf_core.queue.supervisor import PROGRAM, main

if __name__ == "__main__":
    main(
        idle_seconds=float(os.environ.get("TEST_IDLE_SECONDS", "60")),
        program=Path(os.environ.get("TEST_PROGRAM", PROGRAM)),
    )
