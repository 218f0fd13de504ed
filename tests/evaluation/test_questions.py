"""Question sets as they come, and rows that are not as they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.errors import UsageError
from rag.evaluation.questions import BadRow, read_questions
from rag.types import Evidence, Example


def read(path: Path) -> tuple[list[Example], list[BadRow]]:
    bad: list[BadRow] = []
    return list(read_questions(path, bad.append)), bad


def written(path: Path, *rows: object) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


FULL = {
    "id": "a",
    "question": "What does an ant cost?",
    "answers": ["1 euro", "one euro"],
    "answerable": True,
    "evidence": [{"document": "prices.pdf", "page": 3, "text": "Ant: 1 euro"}],
    "company": "something else",
}
EXAMPLE = Example(
    "a", "What does an ant cost?", ("1 euro", "one euro"), True, (Evidence("prices.pdf", 3, "Ant: 1 euro"),)
)


def test_a_line_of_our_own(tmp_path: Path) -> None:
    assert read(written(tmp_path / "q.jsonl", FULL)) == ([EXAMPLE], [])


def test_only_the_question_is_required_and_makes_the_id(tmp_path: Path) -> None:
    path = written(tmp_path / "q.jsonl", {"question": "Who?"}, {"question": "Whose?", "answerable": False})
    (who, whose), bad = read(path)
    assert (who.answers, who.answerable, who.evidence) == ((), True, ())
    assert (whose.answerable, bad) == (False, [])
    assert who.id != whose.id
    assert who.id == read(path)[0][0].id


BAD_ROWS = {
    '{"question": "Who?"': "not JSON",
    "[1]": "not an object",
    '{"id": "x"}': "no question",
    '{"question": null}': "no question",
    '{"question": "  "}': "no question",
    '{"question": "?!"}': "Please type a question",
    json.dumps({"question": "x" * 5000}): "limit is 4,000",
    '{"question": "Who?", "answers": [["a"]]}': "`answers` is not a list of texts",
    '{"question": "Who?", "answers": {"a": 1}}': "`answers` is not a list of texts",
    '{"question": "Who?", "answerable": "perhaps"}': "neither true nor false",
    '{"question": "Who?", "evidence": "p. 3"}': "`evidence` is not a list",
    '{"question": "Who?", "evidence": [{"page": 3}]}': "without a document",
    '{"question": "Who?", "evidence": [{"document": "a", "page": 0}]}': "page 0",
    '{"question": "Who?", "evidence": [{"document": "a", "page": "iv"}]}': "page 'iv'",
    '{"question": "Who?", "evidence": [{"document": "a", "grade": []}]}': "grade []",
    '{"question": "Who?", "evidence": [{"document": "a", "text": 5}]}': "not a text",
    '{"question": "Who?", "id": {}}': "`id` is neither",
    "[" * 100_000: "not JSON",
}


@pytest.mark.fault(30)
@pytest.mark.parametrize("row", BAD_ROWS, ids=BAD_ROWS.values())
def test_a_bad_row_is_reported_with_its_line_and_skipped(tmp_path: Path, row: str) -> None:
    path = written(tmp_path / "q.jsonl", {"question": "First?"}, "", row, {"question": "Last?"})
    examples, bad = read(path)
    assert [example.question for example in examples] == ["First?", "Last?"]
    assert [one.where for one in bad] == ["line 3"]
    assert BAD_ROWS[row] in bad[0].reason


@pytest.mark.fault(30)
def test_an_id_is_used_once(tmp_path: Path) -> None:
    examples, bad = read(written(tmp_path / "q.jsonl", {**FULL, "id": 7}, {"id": "7", "question": "Who?"}))
    assert [example.id for example in examples] == ["7"]
    assert bad == [BadRow("line 2", "the id '7' was used before (line 1)")]


def test_bytes_that_are_not_text_and_surrogates_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"question": "Who?"}\n\xff\xfe\n{"question": "Caf\\ud800?", "answers": ["\\ud800"]}\n'
    )
    examples, bad = read(path)
    assert [example.question for example in examples] == ["Who?", "Caf ?"]
    assert examples[1].answers == ("?",)
    assert [one.where for one in bad] == ["line 2"]


# ---------------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_with_the_same_columns(tmp_path: Path, mark: str) -> None:
    def line(*cells: str) -> str:
        return mark.join('"' + cell.replace('"', '""') + '"' for cell in cells)

    rows = [
        line("ID", "question", "answers", "answerable", "evidence"),
        line("a", EXAMPLE.question, json.dumps(EXAMPLE.answers), "yes", json.dumps(FULL["evidence"])),
        line("b", "Who,\nif anybody?", "[sic] nobody", "", ""),
        line("", "", "", "", ""),
        line("c", "", "x", "", ""),
        line("d", "Why?", "", "0", ""),
    ]
    path = tmp_path / "q.csv"
    path.write_text("\r\n".join(rows), encoding="utf-8-sig")
    examples, bad = read(path)
    assert examples[0] == EXAMPLE
    assert examples[1] == Example("b", "Who, if anybody?", ("[sic] nobody",))
    assert examples[2] == Example("d", "Why?", (), False)
    assert bad == [BadRow("line 6", "no question")]  # the question of row b takes two lines


def test_csv_with_one_evidence_in_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "q.csv", "question,answers,document,page,text", "Who?,Ann,a.pdf,3.0,Ann did", "Why?,,,,")
    (who, why), bad = read(path)
    assert who.evidence == (Evidence("a.pdf", 3, "Ann did"),)
    assert (why.evidence, bad) == ((), [])


@pytest.mark.fault(30)
def test_csv_with_a_cell_too_large_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path / "q.csv", "question", "Who?", "x" * 200_000, "Why?")
    examples, bad = read(path)
    assert [example.question for example in examples] == ["Who?", "Why?"]
    assert [(one.where, one.reason[:7]) for one in bad] == [("line 3", "not CSV")]


def test_csv_without_a_question_column_is_no_question_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of them `question`"):
        read(written(tmp_path / "q.csv", "a,b", "1,2"))


# ----------------------------------------------------------------------------------------- other layouts


def test_squad(tmp_path: Path) -> None:
    answered = {"id": "1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}] * 2}
    impossible = {"id": "2", "question": "Why?", "answers": [], "is_impossible": True, "plausible_answers": []}
    whole = {
        "version": "v2.0",
        "data": [
            {"title": "Ann", "paragraphs": [{"context": "Ann did.", "qas": [answered, impossible, 5]}, {"qas": [{}]}]},
            "nonsense",
        ],
    }
    examples, bad = read(written(tmp_path / "q.json", whole))
    assert examples == [
        Example("1", "Who?", ("Ann",), True, (Evidence("Ann", None, "Ann did."),)),
        Example("2", "Why?", (), False, ()),
    ]
    assert [one.where for one in bad] == ["data[0].paragraphs[0].qas[2]", "data[0].paragraphs[1]"]


def test_json_list_of_our_own(tmp_path: Path) -> None:
    assert read(written(tmp_path / "q.json", [FULL, 5])) == (
        [EXAMPLE],
        [BadRow("item 2", "not an object with a question")],
    )


def test_financebench_counts_pages_from_zero(tmp_path: Path) -> None:
    row = {
        "financebench_id": "financebench_id_1",
        "doc_name": "ACME_2022_10K",
        "question": "What is the FY2022 revenue?",
        "answer": "$5.00",
        "evidence": [
            {"evidence_text": "Revenue 5", "doc_name": "ACME_2022_10K", "evidence_page_num": 0},
            {"evidence_text": "Sales", "evidence_doc_name": "ACME_2021_10K", "evidence_page_num": 9},
        ],
    }
    examples, bad = read(written(tmp_path / "q.jsonl", row))
    evidence = (Evidence("ACME_2022_10K", 1, "Revenue 5"), Evidence("ACME_2021_10K", 10, "Sales"))
    assert examples == [Example("financebench_id_1", "What is the FY2022 revenue?", ("$5.00",), True, evidence)]
    assert bad == []


def beir(folder: Path, *splits: str) -> Path:
    (folder / "qrels").mkdir(parents=True)
    written(folder / "corpus.jsonl", {"_id": "d1", "title": "", "text": "One"})
    written(folder / "queries.jsonl", {"_id": "q1", "text": "One?"}, {"_id": "q2", "text": "Two?"}, {"_id": 3})
    for split in splits:
        lines = ["query-id\tcorpus-id\tscore", "q1\td1\t2", "q1\td2\t0", "q1\td3", "3\td1\t1"]
        written(folder / "qrels" / f"{split}.tsv", *lines)
    return folder


@pytest.mark.parametrize(("splits", "name"), [(("test", "dev"), ""), (("dev",), ""), (("a", "b"), "qrels/b.tsv")])
def test_beir(tmp_path: Path, splits: tuple[str, ...], name: str) -> None:
    examples, bad = read(beir(tmp_path / "scifact", *splits) / name)
    assert examples == [Example("q1", "One?", (), True, (Evidence("d1", None, "", 2),))]
    assert [one.where.partition(", ")[2] for one in bad] == ["line 4", "line 3"]  # of the qrels, of the queries


def test_beir_with_several_splits_wants_one_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"several splits \(a.tsv, b.tsv\)"):
        read(beir(tmp_path / "scifact", "a", "b"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.jsonl", None, "no such file"),
        ("q.txt", "x", "a question set is"),
        ("q.json", "{", "is not JSON"),
        ("q.json", '{"a": 1}', "nor SQuAD"),
    ],
)
def test_no_question_set(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=said):
        read(tmp_path / name)


def test_an_empty_folder_is_no_question_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="BEIR has queries"):
        read(tmp_path)


def test_practice_sets(practice: Path) -> None:
    finance, bad = read(practice / "financebench" / "questions.jsonl")
    assert (len(finance), bad) == (47, [])
    assert all(evidence.page for example in finance for evidence in example.evidence)
    squad, bad = read(practice / "squad" / "questions.jsonl")
    assert (len(squad), sum(example.answerable for example in squad), bad) == (2828, 1299, [])


def test_our_own_sample() -> None:
    examples, bad = read(Path(__file__).parents[2] / "data" / "questions.jsonl")
    assert (len(examples), bad) == (30, [])
