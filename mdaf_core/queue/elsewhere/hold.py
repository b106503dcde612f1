"""What the executor itself runs on the other machine: it starts the process that does the job, and waits for it.

It needs nothing but Python, so that a Ray worker does not have to load the program (Ray is given its text).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def begin(module: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `python -P -m module folder`, which prints into the file `log` of the folder and dies with this process."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment, "MDAF_HELD_BY": str(os.getpid())},
            start_new_session=True,  # as workers here
        )


def hold(module: str, folder: str, environment: dict[str, str]) -> None:
    """Run the module and keep how it ended in the file `exit` of the folder; not where it is itself what is ended, by
    SIGTERM or an exception: then the machine is wanted back."""
    place = Path(folder)
    if not place.is_dir():  # the job was cancelled while this waited for a machine
        return
    child = begin(module, place, environment)

    def give_way(*_: object) -> None:
        child.kill()
        os._exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, give_way)
    try:
        status = child.wait()
        aside = place / f".exit.{os.getpid()}"
        aside.write_text(str(status), "utf-8")
        aside.rename(place / "exit")
    except OSError:  # the folder is gone: nobody waits any more
        pass
    finally:
        child.kill()
