"""From a source to a prepared data set: read, write (`write.py`), audit, statistics; going on; nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from mdaf_core.base.errors import StudioError
from mdaf_core.base.files import check_name, new_folder, reading, replace_folder, write_json
from mdaf_core.base.progress import Progress, no_progress, with_time_left
from mdaf_core.base.settings import get_settings
from mdaf_core.data.audit.audit import audit_dataset, load_libraries
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.base import Source, check_path, parse_options
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.prepare import resources
from mdaf_core.data.prepare.sums import check_sums, expected_sums
from mdaf_core.data.prepare.work import request_of, work_folder
from mdaf_core.data.prepare.write import write_dataset
from mdaf_core.data.reading.stages import stages_in
from mdaf_core.data.store.content import check_unaltered, content_hashes
from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
from mdaf_core.data.store.statistics import write_statistics
from mdaf_core.forms.text import as_text

_LONGEST_NAME = 60


def prepare(
    source: str,
    *,
    path: Path | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    progress: Callable[[float, str], None] | None = None,
    memory_limit: int | None = None,
    again: bool = False,
    may_replace: Callable[[str], None] | None = None,
) -> PreparedDataset:
    """Prepare a data set and open it. One of the same name is replaced, at the end and at once.

    The same input with the same options is not prepared twice: what is there is used, under the new name too. A
    preparation that was interrupted goes on from its last finished stage.

    Args:
        source: see `formats.registry.sources`.
        path: the input, where the source needs one.
        name: of the data set; default: made of the source and its main option.
        options: of the source (see its options class).
        progress: called with a share from 0 to 1 and a sentence.
        memory_limit: bytes; default: the setting `data_memory_limit`, else half of the machine's memory.
        again: prepare even what is prepared already.
        may_replace: called with the name where a data set is there that was prepared otherwise, at the beginning and
            again before it is replaced; raises to keep it (see `studies.data_sets.refuse_replacing`).

    Raises:
        UsageError: unknown source or option, bad name, a split the rows do not allow, or too little memory allowed.
        BadInputError: the input cannot be read as it is.
        StudioError: too little space on the disk.
    """
    found = get_source(source)
    chosen = parse_options(found, options or {})
    path = check_path(found, path, chosen)
    chosen = chosen.at(path)
    if path is not None and found.check is not None:
        found.check(path, chosen)
    name = check_name(name or default_name(found, path, chosen), "data set name")
    limit = resources.memory_limit(memory_limit)
    report = with_time_left(progress or no_progress)

    report(0.0, f"Looking at {path.name}" if path else "Generating")
    Thread(target=load_libraries, daemon=True).start()  # while files are read and hashed, the other processor is free
    request = request_of(found, path, chosen, _part(report, 0.0, 0.02))
    same = None if again else prepared_as(request, name)

    def ask() -> None:
        if may_replace is not None and _would_replace(name, request):
            may_replace(name)

    ask()
    if same is not None:
        return _reuse(same, name, report)
    resources.check(resources.estimate(found, path, chosen), limit)

    def watched(share: float, message: str) -> None:
        resources.guard(limit)
        report(share, message)

    with _disk_errors_in_words(), work_folder(request) as work:
        folder = work / "prepared"
        if not (folder / "dataset.json").exists():
            with stages_in(work / "read"):
                raw = found.read(path, chosen, _part(watched, 0.02, 0.4))
            raw.notes += check_sums(expected_sums(found, path, chosen), raw.inputs, path, chosen.accept_md5)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            meta = write_dataset(folder, name, found, chosen, raw, _part(watched, 0.4, 0.7))
            watched(0.7, "Taking fingerprints")
            meta.fingerprint, meta.request = _fingerprint(folder, raw.inputs), request
            meta.path = str(path.resolve()) if path else ""
            del raw
            write_json(folder / "dataset.json", meta.model_dump(mode="json"))
        _rename(folder, name)
        shutil.rmtree(work / "read", ignore_errors=True)
        dataset = PreparedDataset(folder)
        _judge(dataset, limit, watched)
        ask()  # a study may have been launched on it meanwhile
        replace_folder(folder, get_settings().datasets_dir / name)
    report(1.0, f"Prepared {name}")
    return PreparedDataset.open(name)


def _judge(dataset: PreparedDataset, limit: int, progress: Progress) -> None:
    """Write audit and statistics, beside each other where memory is ample."""
    ample = resources.is_ample(sum(part.rows for part in dataset.meta.splits.values()), limit)
    with ThreadPoolExecutor(1) as beside:
        statistics = beside.submit(write_statistics, dataset) if ample else None
        audit = audit_dataset(dataset, _part(progress, 0.72, 0.95), limit)
        write_json(dataset.path / "audit.json", audit.model_dump(mode="json"))
        progress(0.95, "Computing statistics")
        statistics.result() if statistics else write_statistics(dataset)


def default_name(source: Source, path: Path | None, options: Any) -> str:
    """The name of a data set that is given none: its source, and every option that differs from its default. What is
    not said by words in it (columns of a table, or where it grows too long) a hash of the options says, where a data
    set of that name is there with other options."""
    name = source.default_name(path, options)
    values, dump = [], options.model_dump(mode="json")
    implied = type(options).implied(options.model_dump())
    for key, field in type(options).model_fields.items():
        extra = field.json_schema_extra
        named = isinstance(extra, dict) and ("column" in extra or "file" in extra)
        value = getattr(options, key)
        usual = implied[key].value if key in implied else field.get_default()
        if named or key in ("expect_md5", "accept_md5") or value == usual or value in (None, [], ""):
            continue
        words = as_text(value) if not isinstance(value, bool) else key if value else f"no-{key}"
        word = re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")
        if word and word not in name.split("-", 1)[-1]:
            values.append(word if isinstance(value, str | bool) else f"{key}-{word}")
    full = "-".join([name, *values]).replace("_", "-")
    digest = hashlib.sha256(json.dumps(dump, sort_keys=True).encode()).hexdigest()[:6]
    if len(full) > _LONGEST_NAME:
        return f"{name[: _LONGEST_NAME - 7]}-{digest}"
    if full in list_datasets():
        with suppress(StudioError, OSError):
            other = PreparedDataset.open(full).meta
            if other.source != source.name or any(
                other.options.get(key, value) != value for key, value in dump.items()
            ):
                return f"{full[: _LONGEST_NAME - 7]}-{digest}"
    return full


def _would_replace(name: str, request: str) -> bool:
    """Whether there is a data set of this name that another request made."""
    if not (get_settings().datasets_dir / name).exists():
        return False
    try:
        return PreparedDataset.open(name).meta.request != request
    except (StudioError, OSError):
        return True


def prepared_as(request: str, prefer: str = "") -> PreparedDataset | None:
    """A data set that this request made and that is as it was written; the one named `prefer`, if it is among them."""
    for name in sorted(list_datasets(), key=lambda other: other != prefer):
        with suppress(StudioError, OSError):  # one of an older format, or being replaced just now
            dataset = PreparedDataset.open(name)
            if dataset.meta.request == request:
                check_unaltered(dataset)
                stored_audit(dataset)
                return dataset
    return None


def _reuse(same: PreparedDataset, name: str, report: Progress) -> PreparedDataset:
    """The data set under `name`: its files once more under that name, without a copy where the disk can do that."""
    if same.name == name:
        report(1.0, f"{name} is prepared already, from the same input with the same options")
        return same
    with new_folder(get_settings().datasets_dir / name) as folder:
        shutil.copytree(same.path, folder, copy_function=_link, dirs_exist_ok=True)
        _rename(folder, name)
    report(1.0, f"{same.name} is prepared already from the same input with the same options: {name} is the same")
    return PreparedDataset.open(name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _rename(folder: Path, name: str) -> None:
    """Write the name into the folder's JSON files (anew: they may be links)."""
    for file, key in (("dataset.json", "name"), ("audit.json", "dataset")):
        path = folder / file
        if path.exists():
            with reading(path, "What the interrupted preparation had written is removed: prepare again."):
                content = json.loads(path.read_text("utf-8"))
                renamed = content | {key: name}
            if renamed != content:
                write_json(path, renamed)


@contextmanager
def _disk_errors_in_words() -> Iterator[None]:
    """A full disk, or a folder that may not be written, as a sentence."""
    try:
        yield
    except OSError as error:
        home = get_settings().datasets_dir
        words = (error.strerror or str(error)).split("Detail: ")[-1].rstrip(".")
        raise StudioError(
            f"The data set could not be written to {home} ({words}): free some space, allow writing there, or set "
            "MDAF_HOME to another disk. Nothing of it was left behind."
        ) from error


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda fraction, message: progress(start + (end - start) * fraction, message)


def _fingerprint(folder: Path, inputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was read (bytes and sha256 of each file) and what was written (sha256 of each, and of all together)."""
    content = content_hashes(folder)
    together = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"sha256": together, "inputs": inputs, "content": content}
