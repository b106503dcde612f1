"""Overview: where does the study stand?"""

from __future__ import annotations

import streamlit as st

from mdaf_core.queue import api
from mdaf_core.studies import until
from mdaf_core.studies.status import Cell, begin_visit, cells, changes_since, counts, next_step, spread
from mdaf_core.studies.store import Study, get_study, list_studies
from mdaf_core.tasks import demo
from mdaf_core.tasks.kinds import progress_text, share_done
from pages import access, conditions, criteria, predictions_form, shared, study_manage, study_plan, watch

POLL_SECONDS = 2.0
MANY_SEEDS = 3  # more make a table that needs the page's width
SPLITS = {"val": "Validation AUC", "test": "Test AUC"}
PAGES = {"jobs": "pages/jobs.py", "compare": "pages/compare.py"}


def main() -> None:
    shared.header("Overview", "Where does the study stand?")
    with shared.guard():
        study_manage.undo_bin()
        if not list_studies():
            _first_start()
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            study_id = shared.study_picker()
            split = st.segmented_control(
                "Shown", list(SPLITS), format_func=SPLITS.__getitem__, default="val", required=True, key="shown",
                bind="query-params", help="AUC of the best epoch's weights, the epoch chosen on validation.",
            )  # fmt: skip
            manage = st.container(width="content")
        if study_id is None:
            return
        study = get_study(study_id)
        previous = _previous_visit(study_id)
        live = shared.is_live(study_id)
        with manage:
            study_manage.menu(study)
        study_manage.about(study)
        st.fragment(_body, run_every=POLL_SECONDS if live else None)(study, split, previous, live)
        criteria.editor(study)
        predictions_form.draw(study.dataset, study.id)


def _first_start() -> None:
    """Nothing is there yet: what this is, and one thing to do."""
    shared.warm()
    st.markdown(
        "**Find out what a click-through-rate (CTR) model really does.** MDAF Studio trains it next to its own parts "
        "and to baselines, over several seeds, and says which differences hold and which the numbers cannot show.  \n"
        "Raw data → data set, audited → training in the background → curves, comparison, gates → figures and tables."
    )
    access.change_button(
        "Run the demo study", type="primary", icon=":material/play_arrow:", key="demo", on_click=shared.act,
        args=(_start_demo,),
    )  # fmt: skip
    st.caption(
        "Generates a small data set whose click probabilities are known, then trains MDAF, each of its branches alone, "
        "DCNv2 and logistic regression with two seeds each: a few minutes on two cores, nothing to download."
    )
    st.page_link("pages/data.py", label="Or prepare data of your own", icon=":material/database:")


def _start_demo() -> None:
    shared.choose("study", demo.run_demo().id)


def _previous_visit(study_id: str) -> float | None:
    """When the study was looked at before this session."""
    visits: dict[str, float | None] = st.session_state.setdefault("previous_visits", {})
    if study_id not in visits:
        visits[study_id] = begin_visit(study_id)
    return visits[study_id]


def _body(study: Study, split: str, previous: float | None, live: bool) -> None:
    with shared.guard():
        if live != shared.is_live(study.id) or study != get_study(study.id):  # it has ended, or was added to
            st.rerun()  # the last run ended: draw once more, without polling
        found = cells(study)
        _summary(study, found, previous, live)
        _preparation(found)
        wide = len(study.all_seeds) > MANY_SEEDS or not study.criteria
        left, right = (st.container(), st.container()) if wide else st.columns(2, gap="large")
        with left:
            _matrix(study, found, split)
            if any(cell.state == "finished" for cell in found):
                conditions.show(study.id)
            else:
                st.caption(shared.plain(study_plan.words(study)))
        with right:
            criteria.scoreboard(study)


def _summary(study: Study, found: list[Cell], previous: float | None, live: bool) -> None:
    number = counts(found)
    done, total = number.get("finished", 0), len(found)
    st.markdown(f":gray[Data set] {shared.plain(study.dataset)} · :gray[study] {shared.plain(study.id)}")
    st.progress(done / total, f"{done} of {total} runs finished{watch.title(study, 'Overview') if live else ''}")
    st.markdown("\u2003".join(f"{shared.state_label(state)} {n}" for state, n in number.items()))
    watch.bell(study, live)
    step = next_step(study, found)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Next:** {step.sentence}", width="content")
        if step.target == "complete":
            access.change_button(
                step.label, on_click=shared.act, args=(until.complete, study.id), key="complete",
                icon=":material/playlist_add:",
            )  # fmt: skip
        else:
            st.page_link(
                PAGES[step.target], label=step.label, icon=":material/arrow_forward:", query_params={"study": study.id}
            )
        if study.trained:
            study_plan.more_seeds(study, number.get("failed", 0) + number.get("cancelled", 0))
    if previous is not None:
        changed = changes_since(found, previous)
        ended = {state: sum(c.state == state for c in changed) for state in ("finished", "failed", "cancelled")}
        words = ", ".join(f"{n} {state}" for state, n in ended.items() if n) or "nothing changed"
        latest = [f"{c.configuration}, seed {c.seed}: {c.state}" for c in changed[:3]]
        st.caption(
            f"Since your last visit ({shared.fmt_when(previous)}): {words}."
            + (f" Latest: {shared.plain('; '.join(latest))}." if latest else "")
        )


def _preparation(found: list[Cell]) -> None:
    """The preparation that queued runs wait for, while it goes on."""
    waited_for = {cell.job.depends_on for cell in found if cell.job and cell.state == "queued" and cell.job.depends_on}
    for job_id in sorted(waited_for):
        job = api.get_job(job_id)
        if job.state in api.ACTIVE:
            what = progress_text(job) if job.state == "running" else "waits for its turn"
            st.progress(share_done(job) or 0.0, f"Job {job.id}, {shared.plain(job.title)}: {shared.plain(what)}")


def _matrix(study: Study, found: list[Cell], split: str) -> None:
    shared.section(
        "Configurations × seeds",
        help=f"{SPLITS[split]} of each run, their mean, and the standard deviation over seeds, which says nothing of "
        "other users: Compare has intervals that do. Each value is a link to its run.",
    )
    rows = [["Configuration", "Mean", "Sd over seeds", *(f"Seed\u00a0{seed}" for seed in study.all_seeds)]]
    rows.append([":---", "---:", "---:", *("---:" for _ in study.all_seeds)])
    for name in study.configuration_names:
        mine = {cell.seed: cell for cell in found if cell.configuration == name}
        over = spread(list(mine.values()), split, "auc")
        mark = " :gray[(reference)]" if name == study.reference else ""
        rows.append(
            [
                shared.plain(name) + mark,
                *map(shared.fmt_auc, (over.mean, over.sd)),
                *(_cell(cell, split) if (cell := mine.get(seed)) else "" for seed in study.all_seeds),
            ]
        )
    st.markdown("\n".join(f"| {' | '.join(row)} |" for row in rows))
    if split == "val":
        st.caption("These rows chose each run's best epoch, so its figures are optimistic; those of test rows are not.")
    for cell in found:
        if cell.state == "failed":
            job = f", job {cell.job.id}" if cell.job else ""
            st.caption(
                f"{shared.state_label('failed')} {shared.plain(cell.configuration)}, seed {cell.seed}"
                f"{job}: {shared.sentence(cell.reason)}"
            )


def _cell(cell: Cell, split: str) -> str:
    """Its value or state, as a link to its run."""
    text = _shown(cell, split)
    return f"[{text}](run?run={cell.run_id})" if cell.run_id else text


def _shown(cell: Cell, split: str) -> str:
    label = shared.state_label(cell.state)
    if cell.state == "finished" and (auc := cell.metric(split, "auc")) is not None:
        return shared.fmt_auc(auc)
    if cell.state == "running" and cell.job:
        share = share_done(cell.job)
        return f"{label} {share:.0%}" if share is not None else label
    return label


main()
