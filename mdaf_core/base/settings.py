"""Where things live and how runs are executed. Every setting is an `MDAF_*` environment variable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import ByteSize, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mdaf_core.base.errors import UsageError
from mdaf_core.base.validation import problems

PACKAGE = Path(__file__).resolve().parents[1]
PROJECT_ROOT = PACKAGE.parent
"""The folder of the clone; of an installed package the folder of all packages."""
IN_CLONE = (PROJECT_ROOT / "pyproject.toml").is_file() and (PROJECT_ROOT / "app.py").is_file()


def _usual_home() -> Path:
    """In a clone the clone's own folder, from wherever it is started; of an installed package the working folder's."""
    return (PROJECT_ROOT if IN_CLONE else Path.cwd()) / "artifacts"


UNTOLD = "files:"


class Settings(BaseSettings):
    """Read afresh by `get_settings()` at each use, so that tests and workers see their own environment."""

    model_config = SettingsConfigDict(env_prefix="MDAF_", extra="ignore", env_ignore_empty=True)

    home: Path = Field(default_factory=_usual_home, description="Folder for everything the program writes.")
    scan: Literal["auto", "reference", "numba", "parallel", "mamba_ssm"] = Field(
        "auto", description="Implementation of the selective scan."
    )
    slots: int | None = Field(
        None, ge=1, description="How many jobs run at once; default: one a GPU, else as many as share the cores."
    )
    executor: Literal["local", "ray", "slurm"] = Field(
        "local", description="Where trainings run: on this machine, on a Ray cluster, or through SLURM."
    )
    job_gpus: int = Field(0, ge=0, description="GPUs that a training elsewhere asks for.")
    job_memory: ByteSize | None = Field(
        None, description="Memory that a training elsewhere asks for, such as 8GB; default: what is foreseen, and half."
    )
    node_home: Path | None = Field(
        None,
        description="Folder on a Ray cluster's machines for copies of data and what trainings write there, where they "
        "share none with this one.",
    )
    slurm: str = Field("", description="Options of sbatch for trainings, such as `partition=gpu time=120` (minutes).")
    notify: SecretStr | None = Field(
        None, description="Address, as Apprise takes it, that one message a study is sent to when its runs have ended."
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads a training uses; default: all cores, or a share of them."
    )

    data_memory_limit: ByteSize | None = Field(
        None, description="Memory a preparation of data may use, such as 4GB; default: half of the machine's."
    )

    fonts: Path | None = Field(None, description="Folder of fonts for names in figures, preferred to the machine's.")
    upload_limit: ByteSize = Field(
        ByteSize(8 * 10**9), description="What uploads through the browser may take on disk together, such as 8GB."
    )

    open_without_login: bool = Field(
        False, description="Answer other machines although no login is set up: something before the app has one."
    )

    @property
    def job_threads(self) -> int:
        """CPU threads of a training job: `threads`, else an equal share of the cores for each slot."""
        return self.threads or max((os.cpu_count() or 1) // (self.slots or 1), 1)

    @property
    def datasets_dir(self) -> Path:
        return self.home / "datasets"

    @property
    def work_dir(self) -> Path:
        """What preparations that are going on, or were interrupted, have finished so far."""
        return self.home / "work"

    @property
    def runs_dir(self) -> Path:
        """Artifact root of the run store: one folder a run, named by the run's id."""
        return self.home / "runs"

    @property
    def studies_dir(self) -> Path:
        return self.home / "studies"

    @property
    def searches_dir(self) -> Path:
        return self.home / "searches"

    @property
    def told_dir(self) -> Path:
        return self.home / "told"

    @property
    def jobs_dir(self) -> Path:
        return self.home / "jobs"

    @property
    def cache_dir(self) -> Path:
        return self.home / "cache"

    @property
    def tracking_uri(self) -> str:
        """`MLFLOW_TRACKING_URI` where set, else a SQLite file in `home`; `UNTOLD` on a machine whose trainings are told
        to the run store by another one."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.home / 'mlflow.db'}"


_NAMES = tuple(f"MDAF_{name.upper()}" for name in Settings.model_fields)


class _Elsewhere(Settings):
    """Those of a folder of its own, whose runs no server has."""

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow.db'}"


_elsewhere: ContextVar[Settings | None] = ContextVar("elsewhere", default=None)


@contextmanager
def artifacts_in(folder: Path) -> Iterator[None]:
    """Within it, this thread (task) has its artifacts in `folder`, and others theirs where they were."""
    token = _elsewhere.set(_Elsewhere(**get_settings().model_dump(exclude={"home"}), home=folder.resolve()))
    try:
        yield
    finally:
        _elsewhere.reset(token)


def get_settings() -> Settings:
    """The settings of this process, from the environment as it is now; `home` is absolute. Empty variables are unset.

    Raises:
        UsageError: a variable says what its setting cannot be.
    """
    if (elsewhere := _elsewhere.get()) is not None:
        return elsewhere
    named = os.environ.get("MDAF_HOME")
    settled = IN_CLONE if named is None else named.startswith(("/", "~"))
    return _read(tuple(os.environ.get(name) for name in _NAMES), None if settled else Path.cwd())


@lru_cache(maxsize=8)
def _read(_environment: tuple[str | None, ...], _working_folder: Path | None) -> Settings:
    """Parsed once for each state of the environment: paths are asked for thousands of times."""
    try:
        settings = Settings()
    except ValidationError as error:
        problem = problems(error)[0]
        raise UsageError(problem.sentence(f"The environment variable MDAF_{problem.path[0].upper()}")) from None
    settings.home = settings.home.expanduser().resolve()
    return settings
