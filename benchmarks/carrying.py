"""How fast files go to a machine that shares no folder with this one, and come back, through an actor of Ray's.

    python -m benchmarks.carrying --folder /tmp/carrying [--megabytes 500]

Both machines are this one, with a Ray of its own: what is measured is Ray, the hashing and the disk. Needs
requirements-ray.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import time
from pathlib import Path

from mdaf_core.queue.elsewhere.courier import Courier
from mdaf_core.queue.elsewhere.executor import Request
from mdaf_core.queue.elsewhere.folder import Attempt
from mdaf_core.queue.elsewhere.ray_cluster import RayCluster

LOOKS = 200
STORE = 100_000_000
"""Bytes of Ray's store of objects, through which pieces go."""


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, required=True, help="a folder of its own, with a short path (Ray's sockets)"
    )
    parser.add_argument("--megabytes", type=int, default=500)
    options = parser.parse_args()
    folder = options.folder.resolve()
    home, file = folder / "home", folder / "home" / "data" / "file"
    shutil.rmtree(folder, ignore_errors=True)
    file.parent.mkdir(parents=True)
    with file.open("wb") as out:
        for _ in range(options.megabytes):
            out.write(os.urandom(1_000_000))
    known = digest(file)
    attempt = Attempt(home / "jobs" / "1-a")
    attempt.path.mkdir(parents=True)

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    import ray

    told = os.fdopen(os.dup(1), "w")  # joining a cluster closes standard output, which Ray prints to
    ray.init(
        num_cpus=1,
        object_store_memory=STORE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=str(folder / "ray"),
    )
    request = Request("carrying", "", str(attempt.path), {}, cores=1, gpus=0, memory=STORE)
    far = RayCluster().outpost(request, str(folder / "node"), "1-a-1")
    courier = Courier(far, attempt, home)
    far.begin("json.tool", courier.folder, {})  # any module: nothing is asked of the process

    begun = time.perf_counter()
    for _ in range(LOOKS):
        far.look(0, ("data",))
    print(f"one look: {(time.perf_counter() - begun) / LOOKS * 1e3:.1f} ms", file=told, flush=True)
    for what in ("there", "there again"):
        begun = time.perf_counter()
        sent, size = courier._give("data/file", known)
        seconds = time.perf_counter() - begun
        print(f"{what}: {sent / 1e6:,.0f} of {size / 1e6:,.0f} MB in {seconds:.2f} s", file=told, flush=True)
    file.unlink()
    courier._kept = ("data",)
    begun = time.perf_counter()
    courier._fetch(far.look(0, courier._kept)["files"], final=False)
    seconds = time.perf_counter() - begun
    same = "the same" if digest(file) == known else "ANOTHER"
    print(f"back: {options.megabytes:,} MB in {seconds:.2f} s, {same} file", file=told)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"largest size of this process, with Ray's store: {most:,.0f} MB", file=told)
    far.close()
    ray.shutdown()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
