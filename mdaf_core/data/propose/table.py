"""What the columns of a table seem to be, from their names and first rows: a proposal that people correct."""

from __future__ import annotations

from pathlib import Path

from mdaf_core.data.formats.table import TableOptions
from mdaf_core.data.propose.known_files import by_header, by_shape
from mdaf_core.data.propose.look import Look
from mdaf_core.data.propose.proposal import Proposal
from mdaf_core.data.propose.roles import Roles
from mdaf_core.data.reading.table_file import TableFile, read_head

ROWS = 1000
MOST_COLUMNS = 1000


def propose(path: Path) -> Proposal:
    """Propose options for a file.

    Raises:
        BadInputError: it cannot be read as a table.
    """
    file = read_head(path, ROWS)
    proposal = Proposal(rows=file.first)
    known = by_header(file.first.columns)
    if file.names:
        known = by_shape(file.first_records(1)[0], file.delimiter, path)
    if known is not None:
        proposal.findings.append(f"This looks like {known.name}. {known.note}")
        proposal.source, proposal.runs = known.source, not known.refused
        if known.refused or known.source != "table":
            never = {name: why for name, why in known.never.items() if name in file.first.columns}
            proposal.left_out = never or dict.fromkeys(file.first.columns, "not read as a table")
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
            if value == []:
                moved = proposal.options.pop(option, [])
                proposal.reasons.pop(option, None)
                proposal.options["categorical"] = [
                    name for name in columns if name in {*proposal.options.get("categorical", []), *moved}
                ]
            else:
                proposal.take(option, value, f"as {known.name} has it")
    return proposal


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
