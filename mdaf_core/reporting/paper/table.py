"""A table for the paper: LaTeX (booktabs), Markdown, CSV and HTML from one description."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import polars as pl

_LATEX_MARKS = {
    "▲": r"$^{\blacktriangle}$",
    "▼": r"$^{\blacktriangledown}$",
    "◆": r"$^{\blacklozenge}$",
    "○": r"$^{\circ}$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
}
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "<": r"$<$",
    ">": r"$>$",
    "⁻": r"$^{-}$",
    "⁴": r"$^{4}$",
    **_LATEX_MARKS,
}


def latex_escape(text: str) -> str:
    """Text for LaTeX: special characters escaped, the app's signs as mathematics.

    Characters that the fonts of plain pdfLaTeX do not have are written as their code point (`[U+4E2D]`).
    """
    return "".join(_latex_character(character) for character in unicodedata.normalize("NFC", text))


def _latex_character(character: str) -> str:
    if character in _LATEX_SPECIAL:
        return _LATEX_SPECIAL[character]
    if character.isspace():
        return " "
    accented = "\u00c0" <= character <= "\u017f" and unicodedata.normalize("NFD", character)[0].isascii()
    return character if accented or (character.isascii() and character.isprintable()) else f"[U+{ord(character):04X}]"


def _markdown_escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


@dataclass(frozen=True)
class PaperTable:
    """A table as it will be printed, and the figures behind it.

    Attributes:
        cells: column heading → texts, one a row.
        data: the figures with full precision.
        best, second: column heading → rows that are printed bold or underlined.
        caption: a sentence or more; what every mark means.
    """

    name: str
    title: str
    caption: str
    cells: dict[str, list[str]]
    data: pl.DataFrame
    best: dict[str, set[int]] = field(default_factory=dict)
    second: dict[str, set[int]] = field(default_factory=dict)

    def latex(self) -> str:
        """A float for a two-column paper, `table` or, where it is too wide for a column, `table*`; needs the packages
        booktabs and amssymb, and graphicx where even a page is too narrow.
        """
        heads = {heading: _broken(heading, values) for heading, values in self.cells.items()}
        environment, size, shrink = self._fit(heads)
        right = [all(_is_numeric(v) for v in values) for values in self.cells.values()]
        titles = [
            _head([latex_escape(part) for part in parts], r) for parts, r in zip(heads.values(), right, strict=True)
        ]
        rows = [
            " & ".join(self._latex_cell(heading, values[row], row) for heading, values in self.cells.items())
            for row in range(len(next(iter(self.cells.values()))))
        ]
        lines = [
            r"\begin{tabular}{@{}" + "".join("r" if r else "l" for r in right) + "@{}}",
            r"\toprule",
            " & ".join(titles) + r" \\",
            r"\midrule",
            *(row + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}" + ("}" if shrink else ""),
        ]
        return "\n".join(
            [
                "% needs \\usepackage{booktabs,amssymb" + (",graphicx}" if shrink else "}"),
                rf"\begin{{{environment}}}[t]",
                r"\centering",
                rf"\caption{{{latex_escape(self.caption)}}}",
                rf"\label{{tab:{self.name}}}",
                rf"\{size}\setlength{{\tabcolsep}}{{{TABCOLSEP}pt}}",
                *([r"\resizebox{\textwidth}{!}{%"] if shrink else []),
                *lines,
                rf"\end{{{environment}}}",
                "",
            ]
        )

    def _latex_cell(self, heading: str, text: str, row: int) -> str:
        text = latex_escape(text)
        if row in self.best.get(heading, ()):
            return rf"\textbf{{{text}}}"
        return rf"\underline{{{text}}}" if row in self.second.get(heading, ()) else text

    def _fit(self, heads: dict[str, list[str]]) -> tuple[str, str, bool]:
        """Environment and size of type that this table fits into, and whether it has to be shrunk all the same."""
        widths = [
            max(
                map(
                    _ems,
                    [
                        *heads[heading],
                        *(text + "x" * (i in self.best.get(heading, ())) for i, text in enumerate(values)),
                    ],
                )
            )
            for heading, values in self.cells.items()
        ]
        gaps = 2 * TABCOLSEP * (len(widths) - 1)
        for environment, size, points, room in _FITS:
            if points * sum(widths) + gaps <= room:
                return environment, size, False
        return "table*", "scriptsize", True

    def html(self) -> str:
        """The table as print sets it, for the screen: black serif on white, three rules. All text is escaped."""
        align = ["right" if all(_is_numeric(v) for v in values) else "left" for values in self.cells.values()]
        heads = [
            _cell("th", escape(h), side, "border-bottom:1px solid") for h, side in zip(self.cells, align, strict=True)
        ]
        rows = []
        for row in range(len(next(iter(self.cells.values())))):
            cells = []
            for (heading, values), side in zip(self.cells.items(), align, strict=True):
                text = escape(values[row])
                if row in self.best.get(heading, ()):
                    text = f"<b>{text}</b>"
                elif row in self.second.get(heading, ()):
                    text = f"<u>{text}</u>"
                cells.append(_cell("td", text, side))
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return (
            '<div style="background:#fff;color:#000;padding:14px 18px;overflow-x:auto;border-radius:6px">'
            "<table style=\"border-collapse:collapse;font:14px 'Source Serif',serif;border-top:2px solid #000;"
            'border-bottom:2px solid #000;margin:auto;white-space:nowrap">'
            f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )

    def markdown(self) -> str:
        """A Markdown table with its caption."""
        rows = len(next(iter(self.cells.values())))
        numeric = [all(_is_numeric(v) for v in values) for values in self.cells.values()]
        lines = [
            "| " + " | ".join(_markdown_escape(heading) for heading in self.cells) + " |",
            "|" + "|".join("---:" if right else "---" for right in numeric) + "|",
        ]
        for row in range(rows):
            texts = []
            for heading, values in self.cells.items():
                text = _markdown_escape(values[row])
                best, second = row in self.best.get(heading, ()), row in self.second.get(heading, ())
                texts.append(f"**{text}**" if best else f"<u>{text}</u>" if second else text)
            lines.append("| " + " | ".join(texts) + " |")
        return "\n".join([*lines, "", _markdown_escape(self.caption), ""])

    def csv(self) -> str:
        """The figures, full precision."""
        return self.data.write_csv()


TABCOLSEP = 4  # points on each side of a column
_FITS = (  # environment, size, its points, points there are in a column of 3.3 in or a page of 7 in
    ("table", "small", 9, 238),
    ("table", "footnotesize", 8, 238),
    ("table*", "small", 9, 504),
    ("table*", "footnotesize", 8, 504),
    ("table*", "scriptsize", 7, 504),
)


def _ems(text: str) -> float:
    """Width of a text in Computer Modern, in units of its size, a little generously."""
    return sum(
        0.3
        if c in " .,:;'|il[]()"
        else 0.8
        if c in "mwMW−±+▲▼◆○%&@"
        else 0.52
        if c.islower()
        else 0.55
        if c.isdigit()
        else 0.75
        for c in text
    )


def _broken(heading: str, values: Sequence[str]) -> list[str]:
    """A heading much longer than its column in two lines, broken where they are most even."""
    if " " not in heading or len(heading) <= max(8, *map(len, values)):
        return [heading]
    words = heading.split(" ")
    halves = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    return list(min(halves, key=lambda pair: max(map(len, pair))))


def _head(lines: Sequence[str], right: bool) -> str:
    if len(lines) == 1:
        return lines[0]
    return rf"\shortstack[{'r' if right else 'l'}]{{" + r" \\ ".join(lines) + "}"


def _cell(tag: str, content: str, align: str, style: str = "") -> str:
    return f'<{tag} style="text-align:{align};padding:3px 12px;border:0;font-weight:normal;{style}">{content}</{tag}>'


def _is_numeric(text: str) -> bool:
    """Whether a cell is set like a number: figures and signs, perhaps a power of ten or a k or M at the end."""
    return not any(c.isalpha() for c in re.sub(r"(?<=\d)(e[+-]\d+|k|M)$", "", text))
