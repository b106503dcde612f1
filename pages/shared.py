"""What every page is built from: header, pickers, cached reads, words for states, number formats; charts and tables
(`drawn.py`)."""

from __future__ import annotations

import gc
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import streamlit as st

from mdaf_core.base import notices, rights
from mdaf_core.base.errors import StudioError
from pages.drawn import MISSING as MISSING
from pages.drawn import edited_rows, screen_spec, show_chart, show_table
from serving.whole import uninterrupted

if TYPE_CHECKING:
    import polars as pl

    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.data.store.schema import Split
    from mdaf_core.queue.launching import Program
    from mdaf_core.runs.tracking import RunRecord

__all__ = ["edited_rows", "screen_spec", "show_chart", "show_table"]  # of `drawn`, for pages to name as `shared`'s

_MARK = """<g fill="none" stroke-width="3.2" stroke-linecap="round">
<path d="M3 22 C10 22 11 14 17 14 L25 14" stroke="#3d7fd0"/><path d="M3 6 C10 6 11 14 17 14" stroke="#ee620f"/></g>"""
ICON = f'<svg xmlns="http://www.w3.org/2000/svg" width="28" height="28" viewBox="0 0 28 28">{_MARK}</svg>'
LOGO = f"""<svg xmlns="http://www.w3.org/2000/svg" width="148" height="28" viewBox="0 0 148 28">{_MARK}
<text x="34" y="19.5" font-family="Helvetica, Arial, sans-serif" font-size="16" font-weight="600" fill="#5d7f9f"
textLength="108">MDAF Studio</text></svg>"""

STATES = {
    "queued": (":material/schedule:", "queued", "gray"),
    "running": (":material/play_arrow:", "running", "blue"),
    "finished": (":material/check:", "finished", "green"),
    "failed": (":material/error:", "failed", "red"),
    "cancelled": (":material/block:", "cancelled", "gray"),
    "missing": (":material/remove:", "not run", "gray"),
}
REFUSAL = "refusal"  # key of the session's state: what a button could not do


# ---- page frame ------------------------------------------------------------------------------------------------------


CHOICES = ("definition", "scope", "seeds_text", "study_title", "plan_", "chosen-", "reference-", "accept-", "also-")


def keep_choices() -> None:
    """What was typed and chosen on the Launch page outlives a look at another page, where Streamlit would forget all
    widgets that are not drawn."""
    for key in [key for key in st.session_state if str(key).startswith(CHOICES)]:
        st.session_state[key] = st.session_state[key]


def header(title: str, question: str) -> None:
    """The page's title and, beside it, the question it answers. The first call of every page."""
    keep_choices()
    _drawing.wait()  # two threads that import pandas and Altair at once can each see half of the other's modules
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.title(title, anchor=False, width="content")
        st.markdown(f":gray[{question}]", width="content")


def section(title: str, help: str | None = None) -> None:
    """A heading inside a page; `help` defines the term."""
    st.subheader(title, anchor=False, help=help)


def empty(message: str, action: str | None = None, page: str | None = None) -> None:
    """What an empty page says: what is missing, and the link to where it comes from (`page`: `pages/launch.py`)."""
    with st.container(border=True, gap="small"):
        st.markdown(message)
        if action and page:
            st.page_link(page, label=action, icon=":material/arrow_forward:")


def no_study() -> None:
    """Where no study is there yet."""
    about = "There is no study yet. A study is a data set, named configurations and seeds."
    empty(about, "Launch a study", "pages/launch.py")


@contextmanager
def guard() -> Iterator[None]:
    """Show a `StudioError` as its sentence; log anything else and say where it is logged. Never a traceback.

    What a button could not do (`act`) is said here too: elements that a callback draws are lost in a fragment. What had
    to be left out (`notices`) is said once, in one warning below.
    """
    if refusal := st.session_state.pop(REFUSAL, None):
        st.toast(sentence(refusal), icon=":material/error:")
    try:
        with notices.collect() as left_out:
            yield
    except StudioError as error:
        left_out.pop(str(error), None)
        st.error(sentence(str(error)), icon=":material/error:")
    except Exception as error:
        logging.getLogger("mdaf.pages").exception("page failed")
        updated = _program()
        updated.look(again=True)
        st.error(
            "The program's files have changed since this app was started (an update, say), and old and new ones do not "
            "fit together: start the app anew. Jobs go on meanwhile."
            if updated.changing
            else f"This part of the page failed ({type(error).__name__}). The app's log holds the details; "
            "the rest of the page, runs and data are not affected.",
            icon=":material/error:",
        )
    if left_out:
        st.warning("Left out:\n" + "\n".join(f"- {sentence(said)}" for said in left_out), icon=":material/warning:")


def act(action: Callable[..., Any], *args: Any) -> None:
    """A button's work, done whole; what cannot be done (any more) is said by the next `guard`, not raised."""
    try:
        with uninterrupted():
            action(*args)
    except StudioError as error:
        st.session_state[REFUSAL] = str(error)


def plain(text: str) -> str:
    """Text from data or users, escaped so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#$~:|])", r"\\\1", text)


def sentence(text: str) -> str:
    """A sentence of the program, such as an error's: as `plain`, with its `commands` set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0 or "\n" in "".join(parts[1::2]):  # one of them is part of somebody's name
        return plain(text)
    return "".join(f"`{part}`" if i % 2 and part else plain(part) for i, part in enumerate(parts))


_drawing = threading.Event()  # set: pandas and Altair are imported, or nobody is importing them
_drawing.set()


def load_libraries() -> None:
    """Import what the pages need and takes long; a page that is opened meanwhile waits for the first two."""
    try:
        import altair  # noqa: F401
        import pandas.io.formats.style  # noqa: F401
        from altair.utils.schemapi import disable_debug_mode

        disable_debug_mode()  # or Altair checks each part of each chart against its schema again, as tests do
    finally:
        _drawing.set()
    import mlflow.entities
    import mlflow.store.tracking.sqlalchemy_store  # most of what opening the run store takes
    import mlflow.tracking  # noqa: F401
    import scipy.stats  # noqa: F401

    from mdaf_core.reporting import conditions, figures  # noqa: F401  (and with them all that compares and draws)

    # Streamlit collects garbage after every run of a page, before the browser hears that it has ended: it need not look
    # through the libraries' half a million objects each time.
    gc.collect()
    gc.freeze()


@st.cache_resource
def _program() -> Program:
    """The program's files as they were when this was first asked for."""
    import mdaf_core
    from mdaf_core.queue.launching import Program

    return Program(Path(mdaf_core.__file__).parent)


@st.cache_resource
def _warm_up_once() -> None:
    _program()
    _drawing.clear()
    threading.Thread(target=load_libraries, name="warm-up", daemon=True).start()


def warm_up() -> None:
    """Import the heavy libraries in the background, once a process, after the first page has been sent."""
    _warm_up_once()


# ---- pickers ---------------------------------------------------------------------------------------------------------


OF_ANOTHER = {
    "study": ("run", "with", "beside")
}  # what a choice takes out of the link: it belonged to the one chosen before


def choose(name: str, value: str) -> None:
    """Make this the choice of `linked_select(name=…)`, in the link and for all pages. Of a callback: at once, since
    another page may be asked for before this one comes to where its box is drawn, and the choice would be lost."""
    st.query_params[name] = st.session_state[f"last_{name}"] = value


def linked_select(
    label: str,
    name: str,
    options: list[str],
    format_func: Callable[[str], str],
    help: str | None,
    gone: Callable[[str], str] = lambda _: "",
) -> str | None:
    """A select box whose value lives in the query string, follows it, and is remembered across pages.

    None, with a sentence, where the link names something that is not there: pages then show nothing else.

    Args:
        gone: what is known of one that is not there, as a sentence; empty for nothing.
    """
    if not options:
        return None
    labels = told_apart({option: format_func(option) for option in options})
    key = f"_{name}"
    wanted = st.query_params.get(name) or st.session_state.get(f"last_{name}")
    stale = wanted not in options and bool(st.query_params.get(name))
    if wanted not in options:
        wanted = None if stale else options[0]
    st.session_state[key] = wanted

    def changed() -> None:
        choose(name, st.session_state[key])
        for other in OF_ANOTHER.get(name, ()):
            st.query_params.pop(other, None)

    chosen = st.selectbox(
        label, options, index=None if stale else 0, key=key, format_func=labels.__getitem__, on_change=changed,
        help=help, placeholder="choose",
    )  # fmt: skip
    if chosen is None:  # never another one's results under a link that names this one
        asked = str(st.query_params.get(name))
        why = gone(asked) or f"There is no {label.lower()} {asked!r} here (any more), so nothing is shown."
        st.warning(f"{plain(why)} Choose one above.", icon=":material/info:")
        return None
    st.session_state[f"last_{name}"] = chosen
    if st.query_params.get(name) != chosen:
        st.query_params[name] = chosen
    return chosen


def told_apart(labels: dict[str, str]) -> dict[str, str]:
    """Key → label, with the key beside a label that others have too: a select box finds its choice by the label."""
    counts = Counter(labels.values())
    return {key: label if counts[label] == 1 else f"{label} ({key})" for key, label in labels.items()}


def warm() -> None:
    """Let the libraries of the jobs load while the reader reads or fills in a form: the first job starts at once."""
    import mdaf_core.tasks  # noqa: F401  (names the program that runs what is queued)
    from mdaf_core.queue import api

    if "warmed" not in st.session_state and rights.may_change():
        st.session_state["warmed"] = True
        api.ensure_supervisor()


def study_picker(place: Any = None) -> str | None:
    """Choose a study (newest first, archived ones only by a link); None, with a way out, where there is none. In the
    link as `study`.

    Args:
        place: a column for the select box; the way out is too wide for one.
    """
    from mdaf_core.studies.store import list_studies

    asked = st.query_params.get("study") or st.session_state.get("last_study")
    shown = [study for study in list_studies() if not study.archived or study.id == asked]
    titles = {study.id: study.title or study.id for study in shown}
    if not titles:
        no_study()
        return None
    with place or nullcontext():
        return linked_select("Study", "study", list(titles), lambda id: titles[id], None, _in_the_bin)


def _in_the_bin(study_id: str) -> str:
    from mdaf_core.studies.shelf import binned

    there = any(study.id == study_id for study in binned())
    return f"Study {study_id!r} is in the bin. The page Studies shows the bin, and puts it back." if there else ""


def start_over(study_id: str, **defaults: Any) -> None:
    """When another study is chosen, put the choices that belong to a study back to its defaults (widget key → value).

    Without it, seeds chosen for one study would silently leave out those that only the next study has.
    """
    last = st.session_state.get("choices_of")
    st.session_state["choices_of"] = study_id
    if last not in (None, study_id):
        st.session_state.update(defaults)


def dataset_picker() -> str | None:
    """Choose a prepared data set; None, with a way out, where there is none. In the link as `dataset`."""
    from mdaf_core.data.store.dataset import list_datasets

    names = list_datasets()
    if not names:
        empty("No data set is prepared yet.", "Prepare a data set", "pages/data.py")
        return None
    return linked_select("Data set", "dataset", names, str, None)


# ---- cached reads: keyed on what changes -----------------------------------------------------------------------------


def is_live(study_id: str) -> bool:
    """Whether jobs of the study are running or queued."""
    from mdaf_core.queue import api

    return bool(api.list_jobs(api.ACTIVE, group=study_id))


def epochs(study_id: str) -> pl.DataFrame:
    """`curve_frames.epochs` of the runs of a study."""
    from mdaf_core.runs import tracking

    return _said_again(_epochs(study_id, tracking.store_version()))


def _said_again(kept: tuple[Any, list[str]]) -> Any:
    """A cached value; what was left out when it was made is said each time it is shown."""
    value, left_out = kept
    notices.add(*left_out)
    return value


@st.cache_data(show_spinner=False, max_entries=16)
def _epochs(study_id: str, version: tuple[Any, ...]) -> tuple[pl.DataFrame, list[str]]:
    from mdaf_core.reporting.topics.curves import frames as curve_frames
    from mdaf_core.studies.results import study_runs
    from mdaf_core.studies.store import get_study

    with notices.collect() as left_out:
        return curve_frames.epochs(study_runs(get_study(study_id))), list(left_out)


def finished_runs(study_id: str) -> list[RunRecord]:
    """The finished runs of a study, one a configuration and seed."""
    from mdaf_core.studies.results import study_runs
    from mdaf_core.studies.store import get_study

    return [run for run in study_runs(get_study(study_id)) if run.state == "finished"]


def comparison(
    study_id: str, reference: str, split: Split, metric: str, margin: str, over_items: bool = False
) -> StudyComparison:
    """`studies.results.compare`; the margin as `parse_margin` takes it, empty for none."""
    from mdaf_core.runs import tracking
    from mdaf_core.studies.store import get_study

    version = (*tracking.store_version(), get_study(study_id).model_dump_json())
    return _comparison(study_id, reference, split, metric, margin, over_items, version)


@st.cache_data(show_spinner=False, max_entries=16)
def _comparison(
    study_id: str, reference: str, split: Split, metric: str, margin: str, over_items: bool, version: tuple[Any, ...]
) -> StudyComparison:
    from mdaf_core.analysis.margins import parse_margin
    from mdaf_core.studies import results
    from mdaf_core.studies.store import get_study

    return results.compare(
        get_study(study_id),
        finished_runs(study_id),
        reference=reference,
        split=split,
        metric=metric,
        margin=parse_margin(margin),
        over_items=over_items,
    )


# ---- words and numbers -----------------------------------------------------------------------------------------------


def state_label(state: str) -> str:
    """A state as icon and word, for Markdown."""
    icon, word, colour = STATES[state]
    return f":{colour}[{icon} {word}]"


def fmt_auc(value: float | None) -> str:
    """Four decimals; a dash where undefined."""
    return MISSING if value is None or value != value else f"{value:.4f}"


def fmt_p(p: float | None) -> str:
    """A p value, as `words.p_value`."""
    from mdaf_core.reporting.words import p_value

    return p_value(p)


def fmt_time(seconds: float | None) -> str:
    """A duration: `8 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds is None or seconds != seconds:
        return MISSING
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def fmt_when(timestamp: float | None) -> str:
    """A moment (Unix seconds) in the reader's time zone: `24 Nov, 08:13`."""
    if timestamp is None:
        return MISSING
    return datetime.fromtimestamp(timestamp, ZoneInfo(st.context.timezone or "UTC")).strftime("%-d %b, %H:%M")


def fmt_count(value: float | None) -> str:
    """A count with thin separators: 31190545 → `31,190,545`."""
    return MISSING if value is None else f"{value:,.0f}"


def fmt_bytes(size: float) -> str:
    """A size in decimal units: `3.7 GB`, `12 kB`."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
