"""What Streamlit runs, from top to bottom, whenever somebody touches the page. `python -m app` starts it."""

from __future__ import annotations

import streamlit as st

from app import ask, evaluate, library, login, settings

TABLES = {"library", "evaluate"}  # pages that need the room


def main() -> None:
    person = login.person()
    pages = [
        st.Page(ask.show, title="Ask", url_path="ask", default=True),
        st.Page(library.show, title="Library", url_path="library"),
        st.Page(evaluate.show, title="Evaluate", url_path="evaluate"),
        st.Page(settings.show, title="Settings", url_path="settings"),
    ]
    st.session_state["pages"] = {page.title.lower(): page for page in pages}
    chosen = st.navigation(pages, position="top")
    st.set_page_config(page_title="Beluga RAG", layout="wide" if chosen.url_path in TABLES else "centered")
    login.show_person(person)
    chosen.run()


main()
