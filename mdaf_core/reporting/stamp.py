"""Title, caption and provenance id written into figure files, where readers of each format look for them.

PDF: the document's information (`pdfinfo`); SVG: `<title>`, `<desc>` and `<metadata>`; PNG: text chunks; Vega-Lite:
`usermeta`. No times are written, so that the same figure gives the same bytes.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from html import escape
from typing import Any

PROGRAM = "MDAF Studio"


@dataclass(frozen=True)
class Origin:
    """What a figure is and where it comes from."""

    id: str
    title: str = ""
    caption: str = ""


def stamped(content: bytes, kind: str, origin: Origin) -> bytes:
    """A file of `kind` (pdf, svg, png) that also carries its origin; the drawing is the same."""
    return {"pdf": _pdf, "svg": _svg, "png": _png}[kind](content, origin)


def usermeta(origin: Origin) -> dict[str, Any]:
    """For a Vega-Lite specification, which ignores it."""
    return {"program": PROGRAM, "provenance": origin.id, "title": origin.title, "caption": origin.caption}


def _pdf(content: bytes, origin: Origin) -> bytes:
    """An incremental update (PDF 1.7, 7.5.6): a new information dictionary behind the file as it was."""

    def number(pattern: bytes) -> int:
        found = re.findall(pattern, content)
        if not found:
            raise ValueError(f"the PDF has no {pattern!r}")
        return int(found[-1])

    start, size = number(rb"startxref\s+(\d+)"), number(rb"/Size (\d+)")
    root, info = number(rb"/Root (\d+) 0 R"), number(rb"/Info (\d+) 0 R")
    entries = {"Title": origin.title, "Subject": origin.caption, "Keywords": origin.id, "Creator": PROGRAM}
    fields = "".join(f"/{key} <FEFF{value.encode('utf-16-be').hex().upper()}>\n" for key, value in entries.items())
    where = len(content) + 1
    new = f"\n{info} 0 obj\n<<\n{fields}/Producer (svg2pdf)\n>>\nendobj\n".encode()
    table = (
        f"xref\n{info} 1\n{where:010d} 00000 n\r\n"
        f"trailer\n<<\n/Size {size}\n/Root {root} 0 R\n/Info {info} 0 R\n/Prev {start}\n>>\n"
        f"startxref\n{len(content) + len(new)}\n%%EOF\n"
    )
    return content + new + table.encode()


def _svg(content: bytes, origin: Origin) -> bytes:
    head = f"<title>{escape(origin.title)}</title><desc>{escape(origin.caption)}</desc>"
    head += f"<metadata>{PROGRAM}: {escape(origin.id)}</metadata>"
    end = content.index(b">", content.index(b"<svg")) + 1
    return content[:end] + head.encode() + content[end:]


def _png(content: bytes, origin: Origin) -> bytes:
    entries = {"Title": origin.title, "Description": origin.caption, "Source": origin.id, "Software": PROGRAM}
    end = 8 + 4 + 4 + 13 + 4  # signature, and the header chunk, which comes first
    return content[:end] + b"".join(_text_chunk(*entry) for entry in entries.items() if entry[1]) + content[end:]


def _text_chunk(keyword: str, text: str) -> bytes:
    """`iTXt`: keyword, not compressed, no language, UTF-8."""
    body = b"iTXt" + keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def comment(text: str, kind: str, origin: Origin) -> str:
    """A text file (`tex`, `md`) that says in a comment where it comes from; CSV has no comments and stays as it is."""
    line = f"{PROGRAM}: {origin.id}"
    return {"tex": f"% {line}\n", "md": f"<!-- {line} -->\n\n", "csv": ""}[kind] + text
