"""Machines that share no folder, as two folders of this one: what is carried, and what is left when something dies."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mdaf_core.base.errors import StudioError
from mdaf_core.queue import api, launching, store, turns
from mdaf_core.queue.elsewhere import courier as couriers
from mdaf_core.queue.elsewhere import ray_cluster
from mdaf_core.queue.elsewhere.apart import Apart, Lost
from mdaf_core.queue.elsewhere.courier import Courier, Ended
from mdaf_core.queue.elsewhere.executor import Gone, Request
from mdaf_core.queue.elsewhere.folder import Attempt, of_job
from mdaf_core.queue.elsewhere.outpost import UNUSED_DAYS, Outpost
from mdaf_core.queue.elsewhere.steward import Steward, executor
from tests.conftest import ROOT
from tests.queue.fake_node import AWAY, Near, Task
from tests.waiting import wait_until

LAST = ("checkpoint", "epochs")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of artifacts with a file of data, a run and an attempt; pieces are small. `said` is the job's log."""
    monkeypatch.setattr(couriers, "PIECE", 100_000)
    monkeypatch.setattr(couriers, "POLL", 0.01)
    said: list[str] = []
    monkeypatch.setattr(couriers.notices, "log", said.append)
    home, data = tmp_path / "here", os.urandom(250_000)
    for name, content in {
        "data/x": data,
        "data/whole": data[:100_000],
        "data/none": b"",
        "runs/r/config": b"c",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    attempt = Attempt(home / "jobs/elsewhere/7-a")
    attempt.path.mkdir(parents=True)
    return SimpleNamespace(home=home, attempt=attempt, said=said, data=data, node=tmp_path / "node")


def tell(here, *steps: tuple[str, ...], plugins: tuple[str, ...] = (), **read: str) -> None:
    names = {"data/x": here.data, "data/whole": here.data[:100_000], "data/none": b""}
    carried = {"read": {name: sha256(of) for name, of in names.items()} | read, "kept": ("runs/r",), "last": LAST}
    here.attempt.write("go", {"life": "1", "plugins": plugins, "told": {"steps": steps}, "carried": carried})


def carry(here, name: str = "7-a-1") -> Courier:
    courier = Courier(Outpost(str(here.node), name), here.attempt, here.home)
    courier.run("tests.queue.fake_far", {"PYTHONPATH": str(ROOT)})
    return courier


def test_what_is_needed_goes_there_once_and_what_is_written_comes_back(here):
    plugin = here.home / "my_plugin.py"
    plugin.write_text("pass")
    (here.home / "runs/r/.config.carried").write_text("of a steward that was killed")
    tell(here, ("copy", "data/x", "runs/r/out"), ("copy", "data/x", "runs/r/.being-written"), ("print", "I print."))
    carry(here)
    run, attempt = here.home / "runs/r", here.attempt.path
    assert (run / "out").read_bytes() == here.data
    assert sorted(path.name for path in run.iterdir()) == ["config", "out"]
    assert here.attempt.read("outcome") == {"life": "1", "state": "finished"} and here.attempt.exit_status() == 0
    assert (attempt / "log").read_text().startswith("I print.")
    assert re.fullmatch(r"Carried there: 0\.\d MB in \d+\.\d s; 0\.0 MB were there\.", here.said.pop())
    assert not list((here.node / "attempts").iterdir()), "nothing of an attempt is left"
    kept = here.node / "content" / sha256(here.data)
    assert kept.read_bytes() == here.data

    went = []
    put, coming = Outpost.put, lambda outpost: outpost._coming[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Outpost, "put", lambda self, *args: went.append(coming(self)) or put(self, *args))
        tell(here, ("copy", "plugins/0/my_plugin.py", "runs/r/out"), ("print",), plugins=(str(plugin),))
        carry(here, "7-a-2")
        assert not went and here.said.pop().endswith("; 0.3 MB were there."), "content that is there stays"
        assert (run / "out").read_text() == "pass"
        assert f"{here.node}/attempts/7-a-2/plugins/0/my_plugin.py" in (attempt / "log").read_text()
        kept.write_bytes(here.data[:-1] + b"?")  # somebody wrote to it
        tell(here, ("copy", "data/x", "runs/r/out"))
        carry(here, "7-a-3")
        assert set(went) == {sha256(here.data)} and (run / "out").read_bytes() == here.data


def test_what_a_finished_task_has_removed_is_removed_here_and_nothing_else(here):
    (here.home / "runs/r/checkpoint").write_text("old")
    tell(here, ("remove", "runs/r/checkpoint"), ("die",))
    carry(here)
    assert here.attempt.exit_status() == -9 and here.attempt.read("outcome") is None
    assert (here.home / "runs/r/checkpoint").exists(), "it goes on from there"
    here.attempt.begin_anew()
    tell(here, ("remove", "runs/r/checkpoint"))
    carry(here, "7-a-2")
    assert not (here.home / "runs/r/checkpoint").exists() and (here.home / "runs/r/config").exists()


def test_the_task_hears_that_its_steward_lives(here, monkeypatch):
    monkeypatch.setattr(couriers, "ALIVE_EVERY", 0.01)
    tell(here, ("wait", "stop"))
    heard, say = [], Outpost.sign

    def sign(self, count):
        say(self, count)
        heard.append(Attempt(self._folder).read("alive"))
        if count == 12:
            here.attempt.ask_to_stop()

    monkeypatch.setattr(Outpost, "sign", sign)
    carry(here)
    assert heard[:13] == [{"count": count} for count in range(13)]


def test_the_task_hears_that_it_should_stop(here):
    tell(here, ("wait", "stop"))
    here.attempt.ask_to_stop()
    carry(here)
    assert here.attempt.exit_status() == 0


def test_a_file_that_is_another_one_now_is_not_used(here):
    (here.home / "data/x").write_bytes(here.data[:-1])
    tell(here, ("wait", "never"))
    with pytest.raises(StudioError, match=r"data/x is not as it was when its SHA-256 was written down"):
        carry(here)
    (here.home / "data/x").unlink()
    with pytest.raises(StudioError, match=r"here/data/x could not be read or written: No such file"):
        carry(here, "7-a-2")
    assert not [*(here.node / "content").iterdir(), *(here.node / "attempts").iterdir()]


def test_a_folder_that_cannot_be_written_there_is_named(here):
    here.node.write_text("a file")
    with pytest.raises(StudioError, match=r"node/content on the other machine could not be .*: Not a directory"):
        carry(here)


def test_a_full_disk_is_waited_for(here, monkeypatch):
    full = [OSError(28, "No space left on device", str(here.home / "runs/r/out"))] * 2
    read = Outpost.read

    def once(self, *args):
        if full:
            raise full.pop()
        return read(self, *args)

    monkeypatch.setattr(Outpost, "read", once)
    tell(here, ("copy", "data/x", "runs/r/out"))
    carry(here)
    assert (here.home / "runs/r/out").read_bytes() == here.data
    monkeypatch.setattr(couriers, "PATIENCE", 0.0)
    full.append(OSError(28, "No space left on device", str(here.home / "runs/r/x")))
    with pytest.raises(StudioError, match=r"runs/r/x could not be read or written: No space left on device"):
        tell(here, ("copy", "data/none", "runs/r/x"))
        carry(here, "7-a-2")
    assert sorted(path.name for path in (here.home / "runs/r").iterdir()) == ["config", "out"]
    assert sum("No space left on device. Trying again." in line for line in here.said) == 1


class Training:
    """Another machine whose task writes an epoch's files anew whenever it is asked for a piece of one."""

    def __init__(self, outpost: Outpost):
        self.outpost, self.epoch = outpost, 0
        self.step()

    def step(self) -> None:
        self.epoch += 1
        for name in ("weights", *LAST):
            self.outpost.write(f"runs/r/{name}", 0, f"{self.epoch:<10}".encode() * 25_000, True)

    def read(self, *args):
        self.step()
        return self.outpost.read(*args)

    def sign(self, count):
        pass


def test_no_file_comes_before_those_that_it_speaks_of(here, monkeypatch):
    outpost = Outpost(str(here.node), "a")
    training = Training(outpost)
    courier = Courier(training, here.attempt, here.home)
    courier._kept, courier._last = ("runs/r",), LAST

    def epoch(name: str) -> int:
        path = here.home / "runs/r" / name
        content = path.read_text().split() if path.exists() else ["0"]
        assert len(set(content)) == 1, "it is one file, not pieces of two"
        return int(content[0])

    placed = []
    replace = Path.replace

    def watched(path: Path, target: Path) -> Path:
        found = replace(path, target)
        if here.home in target.parents:
            placed.append((epoch("epochs"), epoch("checkpoint"), epoch("weights")))
        return found

    monkeypatch.setattr(Path, "replace", watched)
    for _ in range(3):
        courier._fetch(outpost.look(0, ("runs/r",))["files"], final=False)
    assert len(placed) == 9 and len(set(placed)) == 9
    assert all(epochs <= checkpoint <= weights for epochs, checkpoint, weights in placed), placed


def test_a_copy_that_breaks_off_leaves_the_earlier_file(here):
    outpost = Outpost(str(here.node), "a")
    outpost.write("runs/r/weights", 0, b"new" * 100_000, True)
    courier = Courier(SimpleNamespace(read=outpost.read, sign=lambda count: None), here.attempt, here.home)
    courier._kept = ("runs/r",)
    (here.home / "runs/r/weights").write_text("old")
    files = outpost.look(0, ("runs/r",))["files"]
    courier._ended.set()
    with pytest.raises(Ended):
        courier._fetch(files, final=False)
    assert (here.home / "runs/r/weights").read_text() == "old"
    assert sorted(path.name for path in (here.home / "runs/r").iterdir()) == [".weights.carried", "config", "weights"]
    courier._ended.clear()
    courier._fetch(files, final=False)
    assert (here.home / "runs/r/weights").read_text() == "new" * 100_000


def test_names_that_lead_elsewhere_are_refused(here):
    courier = Courier(SimpleNamespace(), here.attempt, here.home)
    courier._kept = ("runs/r",)
    for name in ("runs/r/../../queue.db", "runs/rr/x", "/etc/passwd"):
        with pytest.raises(StudioError, match="none of this job's"):
            courier._fetch({name: (1, 1, 1)}, final=False)


def test_content_comes_once_however_many_want_it(here):
    one, other = Outpost(str(here.node), "a"), Outpost(str(here.node), "b")
    (here.node / "content").mkdir(parents=True)
    digest = sha256(b"12")
    assert one.take("data/x", digest) is False and other.take("data/x", digest) is None
    assert one.put(b"1", False)
    one._coming[1].close()  # it is killed
    one._coming = None
    assert other.take("data/x", digest) is False
    assert other.put(b"1", False) and other.put(b"2", True)
    assert other.take("data/x", digest) is True and one.take("data/x", digest) is True
    assert (other.home / "data/x").read_bytes() == b"12"
    assert other.take("data/y", sha256(b"3")) is False and not other.put(b"4", True)
    assert [path.name for path in (here.node / "content").iterdir()] == [digest]


def test_what_nobody_uses_any_more_is_removed(here):
    left, living = here.node / "attempts/1-left", Outpost(str(here.node), "2-living")
    living.begin("tests.queue.fake_far", "f", {"PYTHONPATH": str(ROOT)})
    left.mkdir()
    left.with_name("1-left.lock").touch()
    for name, days in (("old", UNUSED_DAYS + 1), ("new", UNUSED_DAYS - 1), ("read", UNUSED_DAYS + 1)):
        path = here.node / "content" / name
        path.touch()
        os.utime(path, (time.time() - days * 86400, 0))
    os.link(path, living.home / "x")
    third = Outpost(str(here.node), "3")
    third.begin("tests.queue.fake_far", "f", {"PYTHONPATH": str(ROOT)})
    there = sorted(path.name for path in (here.node / "attempts").iterdir())
    assert there == ["2-living", "2-living.lock", "3", "3.lock"]
    assert sorted(path.name for path in (here.node / "content").iterdir()) == ["new", "read"]
    third.close()
    living.close()
    assert not list((here.node / "attempts").iterdir())


def test_an_executor_of_such_machines_ends_when_all_is_here(here, monkeypatch):
    monkeypatch.setenv("MDAF_HOME", str(here.home))
    near = Near()
    apart = Apart(near, here.node)
    assert isinstance(apart.look(), Gone)
    request = Request("n", "tests.queue.fake_far", str(here.attempt.path), {"PYTHONPATH": str(ROOT)}, 1, 0, 1)
    apart.start(request)
    wait_until(lambda: here.attempt.read("begun"), lambda: None)
    assert apart.look() is None
    pid = here.attempt.read("begun")["pid"]
    apart.end()
    assert apart.look() == Gone("It was ended.") and not Path(f"/proc/{pid}").exists()

    here.attempt.begin_anew()
    apart.start(request)
    wait_until(lambda: here.attempt.read("begun"), lambda: None)
    near.lost = True
    wait_until(lambda: apart.look() is not None, lambda: None)
    assert apart.look() == Gone("It is lost.", again=True)
    apart.end()

    here.attempt.begin_anew()
    near.lost = False
    tell(here)
    apart.start(request)
    wait_until(lambda: apart.look() is not None, lambda: None)
    assert apart.look() == Gone("Its process has ended.") and here.attempt.read("outcome")
    assert Lost(Gone("x")).gone == Gone("x")


def test_what_ray_says_of_an_actor():
    class RayError(Exception):
        cause = OSError(28, "No space left on device", "/node/x")

    names = ("RayTaskError", "RayActorError", "NodeDiedError", "WorkerCrashedError", "ObjectLostError")
    kinds = {name: type(name, (RayError,), {}) for name in (*names, "OutOfMemoryError", "TaskCancelledError")}
    ray = SimpleNamespace(exceptions=SimpleNamespace(RayError=RayError, **kinds), get=lambda found: found())

    def answer(error: Exception | None) -> object:
        def found() -> str:
            if error is not None:
                raise error
            return "a piece"

        actor = SimpleNamespace(read=SimpleNamespace(remote=lambda *_: found))
        return ray_cluster._InActor(ray, actor).read("x", 0, 1)

    assert answer(None) == "a piece"
    with pytest.raises(OSError, match="No space left"):
        answer(kinds["RayTaskError"]())
    for name in names[1:]:
        with pytest.raises(Lost) as lost:
            answer(kinds[name]())
        assert lost.value.gone.again
    for error, said in ((kinds["OutOfMemoryError"](), "MDAF_JOB_MEMORY"), (RayError("no\n place"), "in Ray: no place")):
        with pytest.raises(Lost, match=said) as lost:
            answer(error)
        assert not lost.value.gone.again


def test_what_needs_a_shared_folder_is_refused(home, monkeypatch):
    monkeypatch.setenv("MDAF_NODE_HOME", "/scratch/mdaf")
    monkeypatch.setenv("MDAF_EXECUTOR", "slurm")
    with pytest.raises(StudioError, match="MDAF_EXECUTOR=slurm needs MDAF_HOME on a folder that all machines share"):
        executor()
    monkeypatch.setenv("MDAF_EXECUTOR", "ray")
    monkeypatch.setenv("MDAF_NODE_HOME", "scratch")
    with pytest.raises(StudioError, match="MDAF_NODE_HOME is a whole path on the other machines"):
        monkeypatch.setattr("mdaf_core.queue.elsewhere.ray_cluster.RayCluster.__init__", lambda self: None)
        executor()


def test_another_version_of_the_program_is_refused(home, monkeypatch):
    monkeypatch.setenv("MDAF_EXECUTOR", "ray")
    monkeypatch.setenv("MDAF_NODE_HOME", "/scratch/mdaf")
    (job_id,) = api.submit([store.NewJob("away", "a", payload={})], serve=False)
    job = turns.claim(1)
    assert job.id == job_id
    steward = Steward(job, AWAY, Task(), "m", Apart(Near(), Path("/scratch/mdaf")))
    steward.attempt.path.mkdir(parents=True)
    begun = {"life": "1", "machine": "node1", "pid": 7, "folder": "/opt/mdaf_core"}
    steward.attempt.write("begun", begun | {"program": launching.digest()})
    assert steward._new_life()
    steward.attempt.write("begun", begun | {"program": "b" * 64})
    with pytest.raises(StudioError, match=r"on node1 \(/opt/mdaf_core\) is not the one here .* b{12} there"):
        steward._new_life()
    assert of_job(job_id)


@pytest.mark.slow
def test_a_job_goes_on_from_what_came_back(queue, tmp_path, monkeypatch):
    monkeypatch.setenv("MDAF_EXECUTOR", "ray")
    monkeypatch.setenv("MDAF_NODE_HOME", str(tmp_path / "node"))
    (job_id,) = api.submit([queue.new("apart", resumable=True)])
    epochs = queue.home / "runs/r1/epochs"
    queue.wait_until(lambda: epochs.exists())
    (queue.home / "lose").touch()
    queue.wait_until(lambda: store.get_job(job_id).progress.get("resumed"))
    assert epochs.read_text() == ".."
    queue.go()
    queue.wait_until(lambda: queue.ended(job_id))
    job = store.get_job(job_id)
    assert (job.state, job.attempts, job.run_id) == ("finished", 1, "r1"), "\n".join(api.log_tail(job_id))
    assert (queue.home / "concluded").read_text() == "r1 1"
    log = "\n".join(api.log_tail(job_id))
    assert log.count("The data: 123") == 2 and "It is lost. It goes on" in log and log.count("Runs on") == 2
    assert not of_job(job_id) and not list((tmp_path / "node/attempts").iterdir())

    (queue.home / "go").unlink()
    (cancelled,) = api.submit([queue.new("apart", resumable=True)])
    queue.wait_until(lambda: store.get_job(cancelled).progress.get("fraction"))
    api.cancel(cancelled)
    queue.wait_until(lambda: queue.ended(cancelled))
    assert store.get_job(cancelled).state == "cancelled"
    assert not of_job(cancelled) and not list((tmp_path / "node/attempts").iterdir())
