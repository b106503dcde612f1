"""Rows out, predictions in: models that were trained elsewhere, compared like those that were trained here."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from mdaf_core.base import rights
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import LONGEST_HISTORY, MAX_HISTORY, SPLIT_NAMES, SPLITS
from pages import access, shared, uploading

UPLOAD = "import-upload"
SCALES = {None: "Recognised", "probability": "Probabilities", "logit": "Log-odds (logits)"}
OF = {None: "Recognised", "test": "Test rows", "val": "Validation rows"}
FORMATS = {"parquet": "Parquet", "csv": "CSV", "fuxictr": "FuxiCTR", "libsvm": "LIBSVM"}
FOLDERS = {
    "fuxictr": "A folder with train.csv, valid.csv, test.csv and both files of settings: FuxiCTR 2.3.10 trains on the "
    "same rows and inputs as models here.",
    "libsvm": "A folder with a sparse line a row and index.csv, which says what each index is. Ids are one-hot, "
    "histories counts of their ids.",
}
DOWNLOAD_ROWS = 500_000  # more are written to a path


def rows(dataset: PreparedDataset) -> None:
    """Rows of a data set as a file, for programs elsewhere."""
    with st.popover("Export rows", icon=":material/download:", type="tertiary"):
        st.caption(
            "Row ids, ids, labels and fields, for a program elsewhere. Its scores come back under Import predictions, "
            "matched by row_id."
        )
        kind = st.segmented_control(
            "Format", FORMATS, format_func=FORMATS.__getitem__, default="parquet", required=True, key="rows-kind"
        )
        if kind in FOLDERS:
            _folder(dataset, kind)
            return
        split = st.segmented_control(
            "Rows of",
            list(SPLITS),
            default="test",
            required=True,
            key="rows-split",
            format_func=lambda name: SPLIT_NAMES[name].capitalize(),
        )
        labels = st.checkbox("With labels", value=True, key="rows-labels")
        history = bool(dataset.meta.history_fields) and st.checkbox(
            "With histories", key="rows-history", help="Each row's newest events, oldest first, as a list a field."
        )
        most = _most() if history else 0
        usual = f"{dataset.name}-{split}.{kind}"
        many = dataset.meta.splits[split].rows > DOWNLOAD_ROWS
        if many and access.only_owners("So many rows are written on the machine that runs the app, which is"):
            return
        typed = rights.may_change() and st.text_input(
            "Write to", key="rows-path", placeholder=usual if many else "empty: download",
            help="A file on the machine that runs the app.",
        ).strip()  # fmt: skip
        if typed or many:
            if st.button("Write", type="primary", key="rows-go", disabled=not typed):
                _write(dataset, split, Path(typed).expanduser(), labels, most)
            return
        if st.button("Make the file", key="rows-make"):
            with shared.guard():
                content = _content(dataset, split, usual, labels, most)
                st.session_state["rows-made"] = (usual, labels, most, content)
        made = st.session_state.get("rows-made")
        if made and made[:3] == (usual, labels, most):
            st.download_button("Download", made[3], file_name=usual, type="primary", key="rows-download")


def _folder(dataset: PreparedDataset, kind: str) -> None:
    """All parts in a folder, in a form that trains elsewhere."""
    st.caption(FOLDERS[kind])
    if access.only_owners("Writing on the machine that runs the app is"):
        return
    most = _most() if dataset.meta.history_fields else MAX_HISTORY
    typed = st.text_input(
        "Write to", key="rows-folder", placeholder=f"{dataset.name}-{kind}",
        help="A folder on the machine that runs the app, new or empty.",
    ).strip()  # fmt: skip
    if st.button("Write", type="primary", key="rows-go", disabled=not typed):
        from mdaf_core.data.store.export_folders import FOLDERS as WRITERS

        with shared.guard(), st.spinner("Writing"):
            count = WRITERS[kind](dataset, Path(typed).expanduser(), max_history=most)
            st.success(f"{count:,} rows written to {shared.plain(typed)}.", icon=":material/check:")


def _most() -> int:
    return st.number_input("Newest events", 1, LONGEST_HISTORY, MAX_HISTORY, key="rows-most", help="Of each row.")


def _write(dataset: PreparedDataset, split: Any, path: Path, labels: bool, most: int) -> None:
    from mdaf_core.data.store.export import export_rows

    with shared.guard():
        count = export_rows(dataset, [split], path, labels=labels, history=bool(most), max_history=most)
        st.success(f"{count:,} rows written to {shared.plain(str(path))}.", icon=":material/check:")


def _content(dataset: PreparedDataset, split: Any, name: str, labels: bool, most: int) -> bytes:
    from mdaf_core.data.store.export import export_rows

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        export_rows(dataset, [split], path, labels=labels, history=bool(most), max_history=most)
        return path.read_bytes()


def draw(data: str, study: str | None = None) -> None:
    """The form that imports predictions: what was recognised is shown before anything is kept.

    Args:
        study: the study they are added to; None: the newest one of imports on these data, or a new one.
    """
    if not rights.may_change():
        return
    done = st.session_state.pop("import-done", None)
    if done:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.success(shared.plain(done["words"]), icon=":material/check:")
            st.page_link(
                "pages/compare.py", label="Compare", icon=":material/balance:", query_params={"study": done["study"]}
            )
    with st.expander("Import predictions of a model trained elsewhere", icon=":material/upload_file:"):
        st.caption(
            "CSV, TSV, Parquet, JSON lines, .npy or .npz: one score a row, with row_id (Export rows on Data gives it), "
            "with raw user, item and time, or in the data set's order. Labels in the file are checked."
        )
        left, right = st.columns(2, gap="medium")
        with left:
            name = st.text_input("Model", key="import-name", placeholder="fuxictr-dcnv2").strip()
            seed = st.text_input(
                "Seed", key="import-seed", placeholder="not known",
                help="Seeds of one name are repeats of one configuration. Not known: it counts as one training.",
            )  # fmt: skip
            typed = st.text_input("Path", key="import-path", help="On the machine that runs the app.").strip()
        with right:
            chosen = uploading.uploads(st, UPLOAD)
            with st.container(horizontal=True):
                of = st.selectbox("File is of", list(OF), format_func=OF.__getitem__, key="import-of")
                scale = st.selectbox("Scores are", list(SCALES), format_func=SCALES.__getitem__, key="import-scale")
                score = st.text_input("Column of scores", key="import-score", placeholder="recognised").strip()
        if not (typed or chosen):
            return
        with shared.guard():
            path, shown = (Path(typed), None) if typed else (uploading.stored(chosen, UPLOAD), chosen[0].name)
            found = _examined(path, shown, data, of, scale, score or None)
            st.markdown("\n".join(f"- {shared.plain(sentence)}" for sentence in found.sentences()))
            st.button(
                "Import", type="primary", icon=":material/add:", key="import-go", disabled=not name,
                on_click=shared.act, args=(_keep, found, data, study, name, seed, path),
            )  # fmt: skip
            if not name:
                st.caption("Give the model a name first.")


def _examined(path: Path, shown: str | None, data: str, of: Any, scale: Any, score: str | None) -> Any:
    """What is recognised of the file; looked at once for each choice."""
    from mdaf_core.runs.importing.columns import Chosen
    from mdaf_core.runs.importing.examine import examine

    path = path.expanduser()
    key = (str(path), path.stat().st_mtime_ns if path.exists() else 0, data, of, scale, score)
    kept = st.session_state.get("import-examined")
    if kept is None or kept[0] != key:
        dataset, chosen = PreparedDataset.open(data), Chosen(score=score, scale=scale)
        names = {of: shown} if shown else None
        kept = (key, examine({of: path}, dataset, chosen, names))
        st.session_state["import-examined"] = kept
    return kept[1]


def _keep(found: Any, data: str, study: str | None, name: str, seed: str, path: Path) -> None:
    from mdaf_core.base.entries import whole_number
    from mdaf_core.studies.imports import keep_in_study, target_study

    number = whole_number(seed) if seed.strip() else None
    if seed.strip() and number is None:
        raise UsageError(f"A seed is a whole number; got {seed[:40]!r}. Leave it empty where it is not known.")
    kept = keep_in_study(found, target_study(data, study), name, number)
    uploading.used(path, UPLOAD)
    st.session_state["import-path"] = ""
    st.session_state.pop("import-examined", None)
    st.session_state["import-done"] = {
        "study": kept.study.id,
        "words": f"{kept.result.configuration} is imported into study {kept.study.id}.",
    }
