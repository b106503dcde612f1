"""The texts of a bundle: results, `paper.tex` (two columns that hold all of it), `README.md` (how to make each)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mdaf_core.reporting.paper.table import PaperTable, latex_escape
from mdaf_core.reporting.stamp import PROGRAM, Origin
from mdaf_core.reporting.theme import PRINTS

if TYPE_CHECKING:
    from mdaf_core.reporting.figure import Figure
    from mdaf_core.reporting.material import Material
    from mdaf_core.reporting.paper.paragraph import Sentence

_PREAMBLE = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[letterpaper,textwidth=7in,textheight=9.2in,columnsep=0.34in]{geometry}
\usepackage{graphicx,booktabs,amssymb}
\usepackage[font=small,labelfont=bf]{caption}
\captionsetup[table]{skip=5pt}
% Figures come in at their own size. These let floats share pages with text.
\setlength{\textfloatsep}{14pt plus 2pt minus 4pt}
\renewcommand{\topfraction}{0.95}
\renewcommand{\dbltopfraction}{0.95}
\renewcommand{\textfraction}{0.05}
\renewcommand{\floatpagefraction}{0.8}
\renewcommand{\dblfloatpagefraction}{0.8}
\setcounter{topnumber}{4}
\setcounter{dbltopnumber}{3}
\setcounter{totalnumber}{6}
\emergencystretch=1em
"""


def paper_tex(material: Material, figures: Sequence[Figure], tables: Sequence[PaperTable], origin: Origin) -> str:
    """A document that compiles inside the bundle with `pdflatex paper.tex` (twice, for the references)."""
    refs = [
        *_range("Figure", [f"fig:{figure.name}" for figure in figures]),
        *_range("Table", [f"tab:{table.name}" for table in tables]),
    ]
    body = [
        rf"\title{{{latex_escape(material.study.title or material.study.id)}}}",
        rf"\author{{Study {latex_escape(material.study.id)}}}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        r"\section{Results}",
        r"\input{results.tex}",
        *([f"Details: {' and '.join(refs)}."] if refs else []),
        "",
        *(rf"\input{{tables/{table.name}.tex}}" for table in tables),
        *(_figure(figure) for figure in figures),
        r"\end{document}",
        "",
    ]
    column, page = PRINTS[material.typeface].widths.values()
    wider = _PREAMBLE
    if page > 7:  # else figures fit as it is
        geometry = f"textwidth={page:.3f}in,textheight=9.2in,columnsep={page - 2 * column:.3f}in"
        wider = _PREAMBLE.replace("textwidth=7in,textheight=9.2in,columnsep=0.34in", geometry)
    return f"% {PROGRAM}: {origin.id}\n{wider}" + "\n".join(body)


def _range(noun: str, labels: Sequence[str]) -> list[str]:
    """`Figures 1 to 5`, as references."""
    if len(labels) < 2:
        return [rf"{noun}~\ref{{{label}}}" for label in labels]
    return [rf"{noun}s~\ref{{{labels[0]}}} to~\ref{{{labels[-1]}}}"]


def _figure(figure: Figure) -> str:
    return "\n".join(
        [
            rf"\begin{{figure}}[tbp]  % {figure.origin.id}",
            r"\centering",
            rf"\includegraphics{{figures/{figure.file}-1col.pdf}}",
            rf"\caption{{{latex_escape(figure.caption)}}}",
            rf"\label{{fig:{figure.name}}}",
            r"\end{figure}",
        ]
    )


def results_tex(sentences: Sequence[Sentence], origin: Origin) -> str:
    """The results paragraph for LaTeX, one sentence a line."""
    return f"% {PROGRAM}: {origin.id}\n" + "\n".join(latex_escape(sentence.text) for sentence in sentences) + "\n"


def results_markdown(title: str, sentences: Sequence[Sentence], origin: Origin) -> str:
    """The results paragraph, and below it where each sentence comes from."""
    text = " ".join(sentence.text for sentence in sentences)
    sources = "\n".join(f"{i}. {s.text}\n   Source: {s.source}." for i, s in enumerate(sentences, 1))
    head = f"<!-- {PROGRAM}: {origin.id} -->\n\n# Results: {title}"
    return f"{head}\n\n{text}\n\n## Where each sentence comes from\n\n{sources}\n"


def readme(
    material: Material,
    figures: Sequence[Figure],
    tables: Sequence[tuple[str, PaperTable, Origin]],
    manifest: dict[str, Any],
) -> str:
    """What is in the bundle, and the command that makes each figure, each table and each run again."""
    study, widths = material.study, PRINTS[material.typeface].widths
    made = [f"{figure.title}: `figures/{figure.file}`" for figure in figures]
    drawn = [f"python -m mdaf_core figure {figure.origin.id} --out {figure.file}.pdf" for figure in figures]
    drawn += [f"python -m mdaf_core figure {origin.id} --out {table.name}.tex" for _, table, origin in tables]
    made += [f"{title}: `tables/{table.name}`" for title, table, _ in tables]
    lines = [
        f"# {study.title or study.id}",
        "",
        f"Figures, tables and the results paragraph of study `{study.id}` on data set `{study.dataset}`, from "
        f"{len(material.runs)} finished runs. `manifest.json` lists each file with its SHA-256 and provenance id, the "
        "settings, the data's fingerprint, the versions, and the runs. `pdflatex paper.tex` (twice) shows all of it "
        "in two columns; `results.md` says where each sentence comes from.",
        "",
        "## What to know beside every result",
        "",
        *(f"- {condition.sentence}" for condition in material.conditions),
        "",
        "## What is here",
        "",
        *(f"- {line}" for line in made),
        "",
        f"Figures are PDF, SVG and PNG, {widths[1]:.3g} in wide (one column) and {widths[2]:.3g} in (two): include "
        "them unscaled. "
        "`.csv` holds the figures behind each, `.vl.json` its Vega-Lite specification. PDF, SVG, PNG and Vega-Lite "
        "files carry their provenance id inside, LaTeX and Markdown in a comment, CSV files in `manifest.json` alone.",
        "",
        "## Make one again from the stored runs",
        "",
        "Where the runs are stored (`MDAF_HOME` names the folder), with the ending choosing the format: pdf, svg, png, "
        "csv, vl.json for figures; tex, md, csv for tables. `--columns 2` draws a figure at the width of two columns. "
        "An id whose runs have changed since is refused.",
        "",
        *_block(drawn),
        "## Make all of it again",
        "",
        *_block([f"python -m mdaf_core export {study.id} --out paper" + _options(material)]),
        "## Run everything again from the raw data",
        "",
        *_block(
            [
                manifest["data"]["command"] or f"# data set {study.dataset}: it was removed since",
                *(run["command"] for run in manifest["runs"]),
            ]
        ),
    ]
    if manifest["left_out"]:
        lines += ["## What this study does not give", ""]
        lines += [f"- {name}: {reason}" for name, reason in manifest["left_out"].items()] + [""]
    return "\n".join(lines)


def _options(material: Material) -> str:
    margin = material.comparison.margin
    chosen = ["--split", material.split, "--metric", material.metric, "--margin", margin.text if margin else "none"]
    return f" {shlex.join(chosen)}" + (f" --type {material.typeface}" if material.typeface != "sans" else "")


def _block(commands: Sequence[str]) -> list[str]:
    return ["```sh", *commands, "```", ""]
