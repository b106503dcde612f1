"""A study that goes on: what is left of it, on the page and in the tab's title, and a notification when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from pages import shared

if TYPE_CHECKING:
    from mdaf_core.studies.status import Remaining
    from mdaf_core.studies.store import Study

_BELL_HTML = '<button type="button" hidden></button>'
_BELL_CSS = """
button { all: unset; cursor: pointer; font: inherit; font-size: 0.875rem; color: var(--st-text-color); opacity: 0.85;
  padding: 0.15rem 0.5rem; border: 1px solid var(--st-border-color); border-radius: 0.4rem; }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
button:disabled { cursor: default; opacity: 0.7; border-color: transparent; padding-left: 0; }
button[hidden] { display: none; }
"""
# The wish lives in the tab (sessionStorage): the browser asks for leave on the click, and tells on the first rendering
# after the study has ended.
_BELL_JS = """
export default function ({ data, parentElement }) {
  const button = parentElement.querySelector('button');
  const key = 'mdaf-tell-' + data.study;
  const show = () => {
    const asked = sessionStorage.getItem(key) === '1';
    button.hidden = !data.live;
    button.disabled = asked;
    button.textContent = asked ? 'This browser will tell when it ends.' : 'Tell me when it ends';
  };
  const refused = (why) => { button.disabled = true; button.textContent = why; };
  button.onclick = async () => {
    if (!('Notification' in window) || !window.isSecureContext) {
      return refused('This browser tells only pages that come by https or from this machine.');
    }
    if ((await Notification.requestPermission()) !== 'granted') {
      return refused('This browser was told not to show notifications of this page.');
    }
    sessionStorage.setItem(key, '1');
    show();
  };
  show();
  if (!data.live && sessionStorage.getItem(key) === '1') {
    sessionStorage.removeItem(key);
    const note = new Notification(data.title, { body: data.message, tag: key });
    note.onclick = () => window.focus();
  }
}
"""


def draw(study: Study, page: str) -> None:
    """Progress of a study while it goes on, with the time left, which the tab's title says, too; nothing else but a
    notification where one was asked for and it has ended.

    Args:
        page: title of the page, which the tab's goes back to.
    """
    live = shared.is_live(study.id)
    if live:
        left = _remaining(study)
        st.progress(left.done / left.total, f"{left.done} of {left.total} runs ended{title(study, page)}")
    bell(study, live)


def title(study: Study, page: str) -> str:
    """Put the time left of a study that goes on into the tab's title; the same in words: `, about 3 min left`."""
    left = _remaining(study)
    short = "running" if left.seconds is None else f"{_short(left.seconds)} left"
    st.set_page_config(page_title=f"{short} · {page} · MDAF Studio")
    words = "" if left.seconds is None else f", about {shared.fmt_time(left.seconds)} left"
    return words + ("; further seeds may follow where the verdict is open" if left.further else "")


def bell(study: Study, live: bool) -> None:
    """The button that lets the browser tell when a study ends, which it does once it has."""
    made = st.components.v2.component("mdaf_bell", html=_BELL_HTML, css=_BELL_CSS, js=_BELL_JS)
    message = "" if live else _ended(study)
    data: dict[str, Any] = {"study": study.id, "live": live, "title": study.title or study.id, "message": message}
    with st.container(key="bell" if live else "bell-ended"):  # style.css: the second takes no room
        made(data=data, key=f"bell-{study.id}")


def _remaining(study: Study) -> Remaining:
    from mdaf_core.studies.status import remaining

    return remaining(study)


def _ended(study: Study) -> str:
    from mdaf_core.studies.status import cells, counts

    return ", ".join(f"{number} {state}" for state, number in counts(cells(study)).items()) + "."


def _short(seconds: float) -> str:
    """For the tab: `40 s`, `12 min`, `3 h`."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds)} s"
