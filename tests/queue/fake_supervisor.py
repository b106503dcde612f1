"""The real supervisor with the tests' launcher and a short idle time."""

import os
import sys
from pathlib import Path

from mdaf_core.queue.supervisor import main

if __name__ == "__main__":
    main(
        [sys.executable, str(Path(__file__).with_name("fake_launcher.py"))],
        idle_seconds=float(os.environ.get("TEST_IDLE_SECONDS", "60")),
    )
