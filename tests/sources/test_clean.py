from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sources.clean import join_hyphens, normalize, vocabulary


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("ﬁnal oﬃce", "final office"),
        ("ＡＢＣ１２３", "ABC123"),
        ("ﾊﾝｶｸ", "ハンカク"),
        ("ﺍﻟﻌﺮﺑﻴﺔ", "العربية"),
        ("⼈⼝", "人口"),
        ("𝐸 = 𝑚𝑐", "E = mc"),
        ("Part Ⅳ", "Part IV"),
        ("a\u00a0b\u2009c\u3000d", "a b c d"),
        ("non\u2011functional", "non-functional"),
        ("in\u00adfor\u00ad\nmation", "information"),
        ("e\u0301", "é"),
        ("\u212b", "Å"),
        ("\uf0b7 item \uf8ff", "• item"),
        ("page\x0cbreak", "page\nbreak"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a  \nb\t\n\n\n\n\nc", "a\nb\n\nc"),
        ("a\x00b\x07c\x9fd", "abcd"),
        ("zero\u200bwidth\u2060\ufeff", "zerowidth"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("tag\U000e0041ged", "tagged"),
        ("\ud83d\ude00 and \ud800 and \udfff", "😀 and  and"),
    ],
)
def test_characters_that_hide_words_are_mended(raw: str, clean: str) -> None:
    assert normalize(raw) == clean


@pytest.mark.parametrize(
    "text",
    ["½ cup", "10² m²", "Acme™ ®", "5 ㎡", "wait…", "№ 5", "℃", "Ωmega", "naïve façade", "می\u200cخواهم", "👩\u200d🔬"],
)
def test_characters_that_carry_meaning_are_kept(text: str) -> None:
    assert normalize(text) == text


@given(st.text(st.characters(exclude_categories=[])))
def test_normal_text_is_storable_and_stays_as_it_is(text: str) -> None:
    once = normalize(text)
    once.encode("utf-8")  # raises on a lone surrogate
    assert not any(ord(char) < 32 and char not in "\n\t" for char in once)
    assert normalize(once) == once


@pytest.mark.parametrize("mark", ["\ufffe", "\x02"])
def test_hyphens_that_pdfium_marks_join_their_word(mark: str) -> None:
    assert join_hyphens(normalize(f"The infor{mark}mation secu{mark}rity policy")) == "The information security policy"


@pytest.mark.parametrize(
    ("divided", "joined"),
    [
        ("infor-\nmation", "information"),
        ("INFOR-\nMATION", "INFORMATION"),
        ("2019-\n2020", "2019-2020"),
        ("COVID-\n19", "COVID-19"),
        ("Pre-\nRetirement", "Pre-Retirement"),
        ("US-\nGAAP", "US-GAAP"),
        ("long-\nterm debt", "long-term debt"),
        ("self-\ninsured", "self-insured"),
        ("un-\nrelated", "unrelated"),
        ("percentage-of-\ncompletion", "percentage-of-completion"),
        ("short-\nand long-term", "short- and long-term"),
        ("cash-\nand-carry", "cash-and-carry"),
        ("a dash -\nthen more", "a dash -\nthen more"),
        ("item-\n\nnext", "item-\n\nnext"),
        ("über-\nraschend", "überraschend"),
    ],
)
def test_words_divided_at_a_line_end(divided: str, joined: str) -> None:
    assert join_hyphens(divided) == joined


def test_the_documents_own_spelling_settles_how_a_divided_word_is_joined() -> None:
    words = vocabulary(["An e-mail and a coworker; cost control. The reim-\nburse-"])
    assert join_hyphens("e-\nmail", words) == "e-mail"
    assert join_hyphens("cowor-\nker", words) == "coworker"
    assert join_hyphens("cost-\ncontrol", words) == "cost-control"  # both are words, and the whole is none
    assert "reim" not in words, "what a line's end divided is no evidence"
