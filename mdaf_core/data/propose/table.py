"""What the columns of a table seem to be, from their names and first rows: a proposal that people correct."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from mdaf_core.base.errors import StudioError
from mdaf_core.data.formats.base import Source
from mdaf_core.data.formats.registry import get_source, sources
from mdaf_core.data.formats.table import TableOptions
from mdaf_core.data.propose.known_files import Known, by_header, by_shape
from mdaf_core.data.propose.look import Look
from mdaf_core.data.propose.proposal import Proposal
from mdaf_core.data.propose.roles import Roles
from mdaf_core.data.reading.blocks import fingerprint_file
from mdaf_core.data.reading.parts import parts_beside, parts_in
from mdaf_core.data.reading.reczoo_sets import FILES, Published, by_columns
from mdaf_core.data.reading.table_file import TableFile, read_head
from mdaf_core.data.store.schema import EVALUATED, Split

ROWS = 1000
MOST_COLUMNS = 1000
_HASHED_AT_ONCE = 64 << 20  # bytes
_BY_COLUMNS = ("table", "reczoo")  # sources that know a folder by the columns of its files


def propose(path: Path) -> Proposal:
    """Propose options for a file, or for a folder: of a published data set, or with the files of the parts.

    Raises:
        BadInputError: it cannot be read as a table.
    """
    in_parts = path.is_dir() and _finds(get_source("reczoo"), path)  # of files of other publishers, too
    if path.is_dir() and not in_parts and (of_folder := published_folders(path)):
        return _of_folder(of_folder)
    parts = parts_in(path) if path.is_dir() else parts_beside(path)
    file = read_head(parts["train"] if path.is_dir() else path, ROWS)
    proposal = Proposal(rows=file.first)
    known = by_header(file.first.columns)
    if known is not None and known.source != "table" and not _finds(get_source(known.source), path):
        known = by_header(file.first.columns, native=False) or known  # written otherwise, as Parquet, say
    if file.text and (file.names or known is None):  # quotes in published files without a header mean nothing
        known = by_shape(file.first_line().rstrip("\r\n").split(file.delimiter), file.delimiter)
    published = by_columns(file.first.columns) if parts and (path.is_dir() or parts["train"] == path) else None
    if published is not None:
        return _published(published, parts, proposal)
    if known is not None:
        proposal.findings.append(f"This looks like {known.name}. {known.note}")
        proposal.source, proposal.runs = known.source, not known.refused
        if known.source != "table" and (missing := _missing(get_source(known.source), path)):
            proposal.runs = False
            proposal.findings.append(missing)
        if known.refused or known.source != "table":
            never = {name: why for name, why in known.never.items() if name in file.first.columns}
            named = file.first.columns if known.columns or file.names else []  # else values taken for names
            proposal.left_out = never or dict.fromkeys(named, "not read as a table")
            return proposal
    _form(file, proposal)
    columns = {name: Look(file.first[name]) for name in file.first.columns[:MOST_COLUMNS]}
    if len(file.first.columns) > MOST_COLUMNS:
        proposal.findings.append(
            f"The file has {len(file.first.columns):,} columns; the first {MOST_COLUMNS:,} were looked at. Name the "
            "ones "
            "you need."
        )
    Roles(columns, proposal, known).fill()
    if known is not None:
        for option, value in known.options.items():
            if option == "numeric":
                _as_numbers(value, list(columns), proposal, known)
            else:
                proposal.take(option, value, f"as {known.name} has it")
    _parts(path, parts, proposal)
    return proposal


def _as_numbers(numeric: list[str], columns: list[str], proposal: Proposal, known: Known) -> None:
    """Of all inputs these are numbers, the others ids."""
    inputs = {name for option in ("categorical", "numeric") for name in proposal.options.pop(option, [])}
    for option, names in (("numeric", inputs.intersection(numeric)), ("categorical", inputs.difference(numeric))):
        proposal.reasons.pop(option, None)
        if names:
            proposal.take(option, [name for name in columns if name in names], f"as {known.name} has it")


def published_folders(folder: Path) -> list[Source]:
    """The sources that find the files of a published data set in a folder."""
    return [source for source in sources().values() if source.name not in _BY_COLUMNS and _finds(source, folder)]


def _finds(source: Source, path: Path) -> bool:
    """Whether a source finds its files there, by its own check."""
    with suppress(ValidationError):
        return source.check is not None and not _missing(source, path)
    return False


def _missing(source: Source, path: Path) -> str:
    """Why a source cannot read what is there, by its own check; '' where it can."""
    try:
        if source.check is not None:
            source.check(path, source.options())
    except StudioError as error:
        return str(error)
    return ""


def _of_folder(sources: list[Source]) -> Proposal:
    first, *others = sources
    findings = [f"The source {first.name!r} finds its files in this folder: {first.title}."]
    findings += [f"So does the source {other.name!r}: {other.title}." for other in others]
    return Proposal(findings=findings, source=first.name)


def _published(published: Published, parts: dict[Split, Path], proposal: Proposal) -> Proposal:
    """A folder of reczoo's: its source knows the columns."""
    proposal.source = "reczoo"
    proposal.findings = [f"This looks like {published.name} of reczoo: the source 'reczoo' reads it.", *published.notes]
    proposal.left_out = {name: published.columns[name].why for name in published.of("never")}
    for split, path in parts.items():
        wanted = published.md5.get(FILES[split])
        if path.stat().st_size < _HASHED_AT_ONCE and fingerprint_file(path)["md5"] != wanted:
            proposal.take("accept_md5", True, f"{path.name} is not the published file, by its md5")
    return proposal


def _parts(path: Path, parts: dict[Split, Path], proposal: Proposal) -> None:
    """The files beside a training file that are its parts by their names."""
    if not parts or "part" in proposal.options:
        return
    if not path.is_dir() and parts["train"] != path:
        proposal.findings.append(
            f"By its name this is a part of {parts['train'].name}: prepare that file, or the folder, to keep the parts."
        )
        return
    label = proposal.options.get("label", TableOptions.model_fields["label"].default)
    if label not in read_head(parts["test"], 1).first.columns:
        proposal.findings.append(
            f"{parts['test'].name} has no column {label}: its rows are to be predicted, and are no test part."
        )
        return
    if path.is_dir():
        proposal.take("split", "given", f"the files {', '.join(file.name for file in parts.values())}")
    else:
        for split in EVALUATED:
            if split in parts:
                proposal.take(f"{split}_path", parts[split].name, "it lies beside, called that part")
    if "val" not in parts:
        proposal.findings.append("There is no validation file: a tenth of the training rows becomes it, none of test.")


def _form(file: TableFile, proposal: Proposal) -> None:
    """What is particular about how the file is written."""
    usual = TableOptions.model_fields["delimiter"].default
    if file.text and file.delimiter not in (usual, "\t" if file.path.suffix.lower() == ".tsv" else usual):
        proposal.take("delimiter", file.delimiter, f"the header is parted by {file.delimiter!r}")
    if file.names:
        proposal.take("names", file.names, "the first line holds values")
        proposal.findings.append(
            "The file has no header: its first line holds values. The columns are called column_1 and so on; set "
            "names to "
            "what they are, and correct what is proposed for them."
        )
