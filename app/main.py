"""What Streamlit runs, from top to bottom, whenever somebody touches the page. `python -m app` starts it."""

from __future__ import annotations

import streamlit as st

from app import ask, evaluate, library, login, settings


def main() -> None:
    st.set_page_config(page_title="Beluga RAG", layout="centered")
    person = login.person()
    pages = [
        st.Page(ask.show, title="Ask", url_path="ask", default=True),
        st.Page(library.show, title="Library", url_path="library"),
        st.Page(evaluate.show, title="Evaluate", url_path="evaluate"),
        st.Page(settings.show, title="Settings", url_path="settings"),
    ]
    st.session_state["pages"] = {page.title.lower(): page for page in pages}
    page = st.navigation(pages, position="top")
    login.show_person(person)
    page.run()


main()
