"""What was measured of how long models take to answer, and the file that keeps it with its study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mdaf_core.base.files import check_name, reading, write_text, writing
from mdaf_core.base.settings import get_settings

Way = Literal["raw", "kept"]
WAYS: dict[Way, str] = {"raw": "from the raw history", "kept": "from a kept state, one event appended"}
MOST_EVENTS, MOST_ROWS = 100_000, 100_000


class SpeedSettings(BaseModel):
    """What is measured."""

    model_config = ConfigDict(extra="forbid")

    events: list[Annotated[int, Field(ge=1, le=MOST_EVENTS)]] = Field(
        [10, 100, 1_000, 10_000], min_length=1, max_length=20, description="Events of a user's history."
    )
    candidates: list[Annotated[int, Field(ge=1, le=MOST_ROWS)]] = Field(
        [1, 100, 1_000], min_length=1, max_length=20, description="Candidates of one request."
    )
    threads: list[Annotated[int, Field(ge=1, le=1024)]] = Field(
        [], max_length=8, description="Threads to compute on, one after another; empty: all cores, then one."
    )
    rounds: int = Field(20, ge=1, le=10_000, description="Turns of each model in each cell.")
    calls: int = Field(5, ge=1, le=1_000, description="Requests a turn; fewer where a turn exceeds its time.")
    turn_seconds: float = Field(0.25, gt=0, le=600, description="No further request is begun in a turn after that.")
    users: int = Field(8, ge=1, le=1_000, description="Users whose requests take turns; all of them make up bulk.")
    bulk_rows: int = Field(32, ge=1, le=10_000, description="Rows of each user in bulk scoring.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of the histories, the candidates and the order of turns.")


class Subject(BaseModel):
    """One model that was measured, or why it was not.

    Attributes:
        reads: newest events that it reads; None: it reads no history.
        lacks_state: why it has no kept state, as the end of a sentence; empty: it has one.
        left_out: why it was not measured at all.
        apart: largest difference of its logits from a kept state to those from the raw history.
    """

    configuration: str
    run_id: str
    seed: int
    model: str
    encoding: str = ""
    reads: int | None = None
    lacks_state: str = ""
    left_out: str = ""
    apart: float | None = None


class Cell(BaseModel):
    """The times of one model at one task, in seconds a call.

    Attributes:
        rows: candidates of one user; in bulk the rows of all users.
        p50, p99: of all calls; cpu: median of the processor's time; rounds: the median call of each turn.
    """

    configuration: str
    threads: int
    way: Way
    events: int
    rows: int
    bulk: bool = False
    p50: float
    p99: float
    cpu: float
    calls: int
    rounds: list[float]

    @property
    def task(self) -> tuple[int, Way, int, int, bool]:
        """What was done, whoever did it."""
        return self.threads, self.way, self.events, self.rows, self.bulk

    @property
    def rows_per_second(self) -> float:
        """At the median call."""
        return self.rows / self.p50


class Measured(BaseModel):
    """Times of some models, measured turn by turn in one process."""

    title: str
    dataset: str
    fingerprint: str
    reference: str
    settings: SpeedSettings
    subjects: list[Subject]
    cells: list[Cell]
    conditions: list[str] = Field([], description="How histories were made, and what else must be known.")
    machine: dict[str, Any]
    began: str
    seconds: float

    @property
    def measured(self) -> list[Subject]:
        """Those that have times."""
        return [subject for subject in self.subjects if not subject.left_out]

    def sentences(self) -> list[str]:
        """What must be known beside the times."""
        machine, settings = self.machine, self.settings
        when = self.began[:16].replace("T", " ")
        out = [
            f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}; load {machine['load_before']:.1f} "
            f"at the beginning, {machine['load_after']:.1f} at the end; measured {when} UTC.",
            f"{settings.rounds} rounds: in each, the models take turns at each task in an order drawn anew (seed "
            f"{settings.seed}), with up to {settings.calls} calls a turn, after two that do not count.",
            *self.conditions,
        ]
        for subject in self.subjects:
            if subject.left_out:
                out.append(f"{subject.configuration} was not measured: it {subject.left_out}.")
            elif subject.lacks_state:
                out.append(f"{subject.configuration} has no kept state: it {subject.lacks_state}.")
        cut = sorted({subject.reads for subject in self.measured if subject.reads is not None})
        if any(most < max(settings.events) for most in cut):
            out.append(
                f"Rows read at most their newest {' or '.join(f'{most:,}' for most in cut)} events "
                "(training.max_history); a model that streams encodes the log before them too."
            )
        return out


def path_of(study: str) -> Path:
    """The file of a study's measurement."""
    return get_settings().home / "speed" / f"{check_name(study, 'study')}.json"


def keep(study: str, measured: Measured) -> None:
    """Keep a study's measurement in the place of an earlier one.

    Raises:
        StudioError: it cannot be written.
    """
    with writing(path_of(study)):
        write_text(path_of(study), measured.model_dump_json(indent=1) + "\n")


def kept(study: str) -> Measured | None:
    """The measurement of a study; None: there is none.

    Raises:
        DamagedFileError: its file cannot be read.
    """
    path = path_of(study)
    if not path.exists():
        return None
    with reading(path, "Remove it and measure again."):
        return Measured.model_validate_json(path.read_bytes())
