"""The real supervisor with a short idle time."""

import os

from mdaf_core.queue.supervisor import main

if __name__ == "__main__":
    main(idle_seconds=float(os.environ.get("TEST_IDLE_SECONDS", "60")))
