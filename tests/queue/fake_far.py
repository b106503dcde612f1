"""What does, on the other machine, the steps that `go.json` tells: `python -P -m tests.queue.fake_far FOLDER`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    signal.alarm(600)  # where the test has failed
    folder, home = Path(sys.argv[1]), Path(os.environ["MDAF_HOME"])
    (folder / "begun.json").write_text(json.dumps({"life": "1", "pid": os.getpid()}))
    while not (folder / "go.json").exists():
        time.sleep(0.01)
    go = json.loads((folder / "go.json").read_text())
    for step, *arguments in go["told"]["steps"]:
        if step == "copy":
            (home / arguments[1]).write_bytes((home / arguments[0]).read_bytes())
        elif step == "remove":
            (home / arguments[0]).unlink()
        elif step == "print":
            print(*arguments, go["plugins"], flush=True)
        elif step == "wait":
            while not (folder / arguments[0]).exists():
                time.sleep(0.01)
        elif step == "die":
            os.kill(os.getpid(), signal.SIGKILL)
    (folder / "outcome.json").write_text(json.dumps({"life": "1", "state": "finished"}))
