"""The script for a machine with a GPU, where there is none: what can be measured is, the rest is skipped by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu


def test_a_part_is_read_as_it_prints_and_ended_when_its_time_is_over() -> None:
    lines: list[str] = []

    def watched(code: str, limit: float = 60) -> str:
        return gpu.watch([sys.executable, "-c", f"print('begun', flush=True); {code}"], limit, lines.append)

    assert watched("print('done')") == ""
    assert watched("raise SystemExit('there is no driver')") == "failed (1): there is no driver"
    assert lines == ["begun\n", "done\n", "begun\n"]
    assert watched("import time; time.sleep(600)", 1) == "cut off after 1 s"


def test_the_table_has_what_was_measured_when_a_part_is_cut_off(tmp_path: Path, monkeypatch, capsys) -> None:
    out, asked = tmp_path / "gpu.md", []

    def watch(command: list[str], limit: float, take: Callable[[str], None], **_: Any) -> str:
        asked.append((part := command[command.index("--part") + 1], limit))
        take("advice of a library\n")
        take(json.dumps({"part": part, "what": "scan", "deviation": 1.25e-7, "rows/s": 1234.5}))
        return "cut off after 30 s" if part == "machine" else ""

    monkeypatch.setattr(gpu, "watch", watch)
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(out), "--minutes", "1", "--parts", "install,machine,kernels"])
    gpu.main()
    head, _, *rows = out.read_text().splitlines()
    assert head.split(" | ")[:2] == ["| part", "what"]
    assert [row.split(" | ")[:2] for row in rows] == [
        *(["| install", "scan"], ["| machine", "scan"], ["| machine", ""], ["| kernels", "scan"]),
    ]
    assert "1.25e-07" in rows[0] and "1.23e+03" in rows[0] and "cut off after 30 s" in rows[2]
    assert [part for part, _ in asked] == ["install", "machine", "kernels"]
    assert all(limit <= 60 for _, limit in asked)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_all_parts_run_on_the_cpu_and_name_what_they_skip(tiny) -> None:
    from benchmarks import gpu_parts

    parts = [name for name in gpu.LIMITS if name not in ("install", "report")]  # an epoch is measured as of `stream`
    found = {name: list(getattr(gpu_parts, name)(True)) for name in parts}
    notes = {row["what"]: row.get("note", "") for rows in found.values() for row in rows}
    assert "none" in notes["GPU"]
    for name in ("scan, mamba-ssm", "every preset"):
        assert notes[name].startswith("skipped: no GPU")
    assert not [note for note in notes.values() if note.startswith("failed")]
    compared = [row for row in found["kernels"] if "deviation" in row]
    assert len(compared) == 10
    for row in compared:
        most = 1e-4 if row["precision"] == "float32" else 0.1
        assert row["deviation"] < most and row["of gradients"] < most, row
    epochs = [row for row in found["stream"] if row["what"].startswith("epoch")]
    assert len(epochs) == 3 and all("2 of" in row["note"] and row["rows/s"] > 0 for row in epochs)
