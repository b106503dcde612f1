"""Why a worker died, what a slot gets, what an exception becomes."""

from __future__ import annotations

import pytest

from mdaf_core.base.errors import StudioError
from mdaf_core.queue import memory, slots
from mdaf_core.queue.supervisor import Supervisor
from mdaf_core.queue.worker import describe


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (-9, "Killed by signal 9 (SIGKILL), not for want of memory: the system counted no such death."),
        (-11, "Killed by signal 11 (SIGSEGV)."),
        (3, "exit code 3"),
        (None, "Its process died; how is not known, for the process that started it had died before."),
    ],
)
def test_the_cause_of_a_death(home, monkeypatch, status, said):
    monkeypatch.setattr(memory, "oom_kills", lambda: 5)
    supervisor = Supervisor(("true",))
    if status is not None:
        supervisor.statuses["t"] = status
    assert said in supervisor._cause("t")


@pytest.mark.parametrize(("status", "memory_said"), [(-9, True), (None, True), (-11, False), (1, False)])
def test_the_kernels_count_decides_whether_memory_ran_out(home, monkeypatch, status, memory_said):
    count = iter([5, 6, 6])
    monkeypatch.setattr(memory, "oom_kills", lambda: next(count))
    supervisor = Supervisor(("true",))
    if status is not None:
        supervisor.statuses["t"] = status
    assert ("because memory ran out" in supervisor._cause("t")) is memory_said
    assert "because memory ran out" not in supervisor._cause("t"), "one kill explains one death"


@pytest.mark.parametrize(
    ("controllers", "file", "text"),
    [
        ("0::/job", "memory.events", "low 0\noom 2\noom_kill 2\n"),
        ("4:memory:/job", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    ],
)
def test_both_kinds_of_control_group_are_read(monkeypatch, controllers, file, text):
    def read(path, *_):
        if str(path) == "/proc/self/cgroup":
            return controllers + "\n"
        if path.name == file and "job" in path.parts:
            return text
        raise FileNotFoundError(path)

    monkeypatch.setattr(memory.Path, "read_text", read)
    assert memory.oom_kills() == 2


def test_no_control_group_is_no_knowledge(monkeypatch):
    def read(path, *_):
        raise FileNotFoundError(path)

    monkeypatch.setattr(memory.Path, "read_text", read)
    assert memory.oom_kills() is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StudioError("A sentence."), "A sentence."),
        (MemoryError(), "Ran out of memory (MemoryError)"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "Ran out of memory (CUDA"),
        (RuntimeError("std::bad_alloc"), "Ran out of memory"),
        (OSError(12, "Cannot allocate memory"), "Ran out of memory"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (KeyError("x"), "KeyError: 'x'"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_what_an_exception_becomes(error, said):
    assert describe(error).startswith(said)
    assert "\n" not in describe(error)


def test_slots(home, monkeypatch):
    monkeypatch.delenv("MDAF_SLOTS", raising=False)
    monkeypatch.delenv("MDAF_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc")
    assert slots.gpus() == ["2", "GPU-abc"]
    assert slots.slot_count() == 2
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    assert slots.slot_environment(1) == {"CUDA_VISIBLE_DEVICES": "GPU-abc", "MDAF_THREADS": "6"}
    assert slots.slot_environment(4)["CUDA_VISIBLE_DEVICES"] == "2"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert slots.threads_for(0) is None and "CUDA_VISIBLE_DEVICES" not in slots.slot_environment(0)
    monkeypatch.setenv("MDAF_SLOTS", "3")
    monkeypatch.setenv("MDAF_THREADS", "2")
    assert slots.slot_count() == 3 and slots.slot_environment(0) == {"MDAF_THREADS": "2"}


def test_trainings_launched_together_share_the_cores(home, monkeypatch):
    for name in ("MDAF_SLOTS", "MDAF_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    assert slots.slot_count() == 12
    assert [slots.threads_for(n) for n in (1, 2, 3, 5, 12, 30)] == [None, 6, 4, 2, 1, 1]
    assert [slots.at_once(slots.threads_for(n)) for n in (1, 2, 3, 5, 12, 30)] == [1, 2, 3, 6, 12, 12]
    assert slots.slot_environment(0, 4) == {"MDAF_THREADS": "4"} and slots.slot_environment(3) == {"MDAF_THREADS": "12"}
    assert "share the 12 cores" in slots.sharing_words()
    monkeypatch.setenv("MDAF_SLOTS", "3")
    assert (slots.threads_for(30), slots.at_once(None), slots.slot_environment(0)) == (None, 3, {"MDAF_THREADS": "4"})
    assert slots.slot_environment(0, 1) == {"MDAF_THREADS": "1"}  # launched before that was set: as it began
    assert slots.sharing_words() == "At most 3 jobs run at a time, each on 4 threads."
    monkeypatch.delenv("MDAF_SLOTS")
    monkeypatch.setenv("MDAF_THREADS", "12")
    assert (slots.slot_count(), slots.threads_for(30)) == (1, None)
    assert slots.sharing_words() == "One job runs at a time, each on 12 threads."
