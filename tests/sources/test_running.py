from __future__ import annotations

import pytest

from rag.sources.running import drop_running

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()


def _body(number: int) -> list[str]:
    """Lines that no two pages share."""
    return [f"{WORDS[number]} begins here", f"and {WORDS[-number - 1]} goes on", f"until {WORDS[number]} ends"]


def _pages(count: int, top: str = "", bottom: str = "") -> list[str]:
    """Pages 1 to `count`; {n} in a header or footer is the page's number."""
    pages = []
    for number in range(count):
        lines = [top.format(n=number + 1), *_body(number), bottom.format(n=number + 1)]
        pages.append("\n".join(line for line in lines if line))
    return pages


@pytest.mark.parametrize(
    ("top", "bottom"),
    [
        ("ACME Handbook", ""),
        ("", "Confidential - do not copy"),
        ("Annual Report", "Page {n} of 8"),
        ("ACME 2023\nPart II", "{n}"),
        ("", "2023 FORM 10-K {n}"),
        ("", "- {n} -"),
        ("{n} | ACME", "A - {n}"),
    ],
)
def test_running_lines_go_and_the_body_stays(top: str, bottom: str) -> None:
    assert drop_running(_pages(8, top, bottom)) == _pages(8)


def test_numbers_that_run_from_another_start_and_roman_ones_are_seen() -> None:
    assert drop_running(_pages(8, bottom="- {n} -".replace("{n}", "1{n}"))) == _pages(8)
    romans = ["i", "ii", "iii", "iv", "v", "vi"]
    assert drop_running([f"{page}\n{roman}" for page, roman in zip(_pages(6), romans, strict=True)]) == _pages(6)


def test_left_and_right_pages_may_differ() -> None:
    pages = [f"{page}\n{f'2023 FORM 10-K {n}' if n % 2 else f'{n} ACME, INC.'}" for n, page in enumerate(_pages(12), 1)]
    assert drop_running(pages) == _pages(12)


def test_three_pages_are_too_few_to_tell() -> None:
    pages = _pages(3, "ACME Handbook", "Confidential")
    assert drop_running(pages) == pages


def test_rows_of_a_table_stay_though_they_look_alike() -> None:
    pages = [f"{page}\nTotal net sales {31 * n * n} {17 * n}" for n, page in enumerate(_pages(8), 1)]
    assert drop_running(pages) == pages


def test_column_heads_over_rows_stay() -> None:
    pages = [f"Article Price Stock\nbolt {WORDS[n]} {3 * n}.50 {n * n}\nnut {2 * n}.10 7" for n in range(8)]
    assert drop_running(pages) == pages


def test_what_only_some_pages_have_stays_on_the_first_of_them() -> None:
    plain = _pages(12)
    pages = [f"Chapter Two\n{page}" if 4 <= n < 9 else page for n, page in enumerate(plain)]
    assert drop_running(pages) == [*plain[:4], f"Chapter Two\n{plain[4]}", *plain[5:]]


def test_pages_that_repeat_as_a_whole_stay() -> None:
    page = "\n".join(f"{word} {word}" for word in WORDS)
    assert drop_running([page] * 6) == [page] * 6
    assert drop_running(["one line only"] * 6) == ["one line only"] * 6
    assert drop_running([f"Potato {n}" for n in range(30)]) == [f"Potato {n}" for n in range(30)]


def test_a_number_alone_is_a_page_number_only_if_it_is_the_pages() -> None:
    assert drop_running(["first\n1", "second\n48", "third\n212"]) == ["first", "second\n48", "third\n212"]


def test_pages_without_text_keep_their_place() -> None:
    pages = _pages(8, "ACME Handbook")
    pages[3] = ""
    assert drop_running(pages)[3] == ""
    assert drop_running(pages)[4] == _pages(8)[4]
