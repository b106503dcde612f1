"""MDAF Studio: navigation and page configuration. `streamlit run app.py`."""

import contextlib
from pathlib import Path

import streamlit as st

PAGES = {
    "Study": [("studies", "Studies", "folder_open"), ("overview", "Overview", "dashboard")],
    "Set up": [("data", "Data", "database"), ("launch", "Launch", "rocket_launch")],
    "Watch": [("jobs", "Jobs", "list_alt"), ("curves", "Curves", "show_chart")],
    "Understand": [("compare", "Compare", "balance"), ("gates", "Gates", "call_split")],
    "Publish": [("export", "Export", "file_export")],
}
LINKED = {"run": "Run", "tuning": "Tuning"}  # reached by links alone


def main() -> None:
    import mdaf_core.tasks  # noqa: F401  (names the program that runs what is queued)
    from mdaf_core.base import rights
    from mdaf_core.base.errors import StudioError
    from mdaf_core.queue.api import wake
    from pages import access
    from pages.shared import ICON, LOGO, warm_up

    st.set_page_config(page_title="MDAF Studio", page_icon=ICON, layout="wide", initial_sidebar_state=216)
    st.logo(LOGO, size="large", icon_image=ICON)
    rights.ask(access.refusal)
    known = access.known()

    navigation = st.navigation(
        {
            section: [
                st.Page(f"pages/{file}.py", title=title, icon=f":material/{icon}:", default=file == "overview")
                for file, title, icon in pages
            ]
            for section, pages in PAGES.items()
        }
        | {"": [st.Page(f"pages/{file}.py", title=title, visibility="hidden") for file, title in LINKED.items()]},
        expanded=True,
        position="sidebar" if known else "hidden",
    )
    st.set_page_config(page_title=f"{navigation.title} · MDAF Studio")
    st.html(Path(__file__).parent / "pages" / "style.css")
    if not known:
        access.sign_in()
        return
    with contextlib.suppress(StudioError):  # the Jobs page says what is wrong with the queue
        wake()  # whatever page is opened first after a restart, queued jobs go on
    access.account()
    navigation.run()
    warm_up()


if __name__ == "__main__":  # Streamlit runs this file for a session
    main()
else:  # `streamlit run` imports it, and serves
    from streamlit.runtime.pages_manager import PagesManager

    import serving
    from mdaf_core.base.imports import collect_rarely

    collect_rarely()
    # Until the first `st.navigation`, Streamlit would take the folder `pages/` for its older kind of app, and run the
    # page of a link straight to it without this file: another list of pages in a wider sidebar, then an error.
    PagesManager.uses_pages_directory = False
    app = st.App(
        __file__,
        middleware=serving.middleware(),
        lifespan=serving.lifespan,
    )
