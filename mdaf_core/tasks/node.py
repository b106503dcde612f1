"""What does a job on another machine: `python -P -m mdaf_core.tasks.node FOLDER` (see `queue.elsewhere`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mdaf_core.queue.elsewhere import node

if __name__ == "__main__":
    node.die_with_holder()
    from mdaf_core.tasks.kinds import KINDS

    code = node.work(Path(sys.argv[1]), KINDS)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # torch takes its time to tear down, and the steward waits
