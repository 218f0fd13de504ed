"""Documents of equal names, told apart by the folders they are in."""

from __future__ import annotations

from rag.index.names import told_apart
from rag.types import Card


def names(*files: tuple[int, str, bytes]) -> list[str]:
    cards = [Card(id_, name, "") for id_, name, _ in files]
    return [card.name for card in told_apart(cards, files)]


def test_different_names_stay() -> None:
    assert names((1, "a/report.pdf", b"/x/a/report.pdf"), (2, "report.pdf", b"/y/report.pdf")) == [
        "a/report.pdf",
        "report.pdf",
    ]


def test_equal_names_get_their_folder_in_front() -> None:
    assert names(
        (1, "report.pdf", b"/x/2024/report.pdf"), (2, "report.pdf", b"/x/2025/report.pdf"), (3, "b", b"/b")
    ) == [
        "2024/report.pdf",
        "2025/report.pdf",
        "b",
    ]


def test_as_much_of_the_path_as_it_takes() -> None:
    assert names((1, "q/r.pdf", b"/x/2024/docs/q/r.pdf"), (2, "q/r.pdf", b"/x/2025/docs/q/r.pdf")) == [
        "2024/docs/q/r.pdf",
        "2025/docs/q/r.pdf",
    ]


def test_one_document_in_two_places_is_one() -> None:
    assert names((1, "report.pdf", b"/x/report.pdf"), (1, "report.pdf", b"/y/report.pdf")) == ["report.pdf"] * 2


def test_what_is_no_path_keeps_its_name() -> None:
    assert names((1, "Owl", b"wiki:1"), (2, "Owl", b"/home/Owl")) == ["Owl", "home/Owl"]
