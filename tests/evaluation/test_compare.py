"""Two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from markup import parsed
from oracle import EXAMPLES, Oracle, one_second

from rag.errors import UsageError
from rag.evaluation.compare import compare, settings_that_differ
from rag.evaluation.compare_page import comparison_page, verdict
from rag.evaluation.run import evaluate
from rag.types import Answer, Example


class Better(Oracle):
    """Also knows the bee, but no longer the ant."""

    def ask(self, question: str) -> Answer:
        answer = super().ask(question.replace("ant", "wasp"))
        text = "It is 2 euros [1]." if "bee" in question else answer.text
        return Answer(question, text, answer.abstained, "better", answer.citations, answer.hits, 4)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    evaluate(EXAMPLES, Oracle().ask, tmp_path / "old", settings={"model": "a", "k": 4}, clock=one_second)
    evaluate(EXAMPLES[:3], Better().ask, tmp_path / "new", settings={"model": "b", "k": 4}, clock=one_second)
    return tmp_path / "old", tmp_path / "new"


def test_differences_and_flips_by_hand(runs: tuple[Path, Path]) -> None:
    found = compare(*runs)
    assert (found.common, found.left_out) == (("right", "wrong", "refused"), 1)
    by_name = {difference.name: difference for difference in found.differences}
    accuracy = by_name["accuracy"]
    assert (accuracy.before, accuracy.after, accuracy.change) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 0.0)
    assert accuracy.p == 1.0  # one up, one down: every sign change is as far from 0
    assert (accuracy.low, accuracy.high) == (pytest.approx(-1), pytest.approx(1))
    assert found.flips["accuracy"].gained == ("wrong",)
    assert found.flips["accuracy"].lost == ("right",)
    assert by_name["citation_recall"].change == pytest.approx(-1 / 2)  # "refused" has none in either
    assert by_name["citation_recall"].count == 2
    assert by_name["hit@4"].change == 0.0
    assert verdict(by_name["hit@4"]) == "the same"
    assert (by_name["latency_p50"].low, by_name["latency_p50"].high, by_name["latency_p50"].p) == (0.0, 0.0, 1.0)
    assert by_name["aurc"].low <= by_name["aurc"].change <= by_name["aurc"].high


def test_settings_that_differ(runs: tuple[Path, Path]) -> None:
    assert dict(settings_that_differ(compare(*runs)))["model"] == ("a", "b")
    assert "k" not in dict(settings_that_differ(compare(*runs)))


def test_a_run_with_itself_is_the_same_in_everything(runs: tuple[Path, Path]) -> None:
    found = compare(runs[0], runs[0])
    assert all(difference.change == 0 for difference in found.differences)
    assert {difference.p for difference in found.differences} == {1.0}
    assert all(not flips.gained and not flips.lost for flips in found.flips.values())


def test_a_sure_change_is_called_so(tmp_path: Path) -> None:
    examples = [Example(str(i), f"What does ant {i} cost?", ("1 euro",)) for i in range(12)]
    evaluate(examples, Oracle().ask, tmp_path / "old", clock=one_second)
    evaluate(examples, Better().ask, tmp_path / "new", clock=one_second)
    worse = {difference.name: difference for difference in compare(tmp_path / "old", tmp_path / "new").differences}
    assert verdict(worse["correct"]) == "worse"
    assert worse["correct"].p == pytest.approx(2 / 2**12, abs=0.001)
    better = {difference.name: difference for difference in compare(tmp_path / "new", tmp_path / "old").differences}
    assert verdict(better["correct"]) == "better"


def test_as_json_and_as_a_page(runs: tuple[Path, Path]) -> None:
    found = compare(*runs)
    assert json.loads(json.dumps(found.as_json()))["flips"]["accuracy"]["lost"] == ["right"]
    text = " ".join(parsed(comparison_page(found)).text)
    assert "old → new" in text
    assert "3 questions in common, 1 left out" in text
    assert "1 gained, 1 lost" in text
    assert "The ant is 1 euro [2]." in text
    assert "Settings that differ" in text


def test_nothing_in_common(tmp_path: Path) -> None:
    evaluate(EXAMPLES[:1], Oracle().ask, tmp_path / "old", clock=one_second)
    other = Example("right", "What does another ant cost?", ("1 euro",))
    evaluate([other], Oracle().ask, tmp_path / "new", clock=one_second)
    with pytest.raises(UsageError, match="no question in common"):
        compare(tmp_path / "old", tmp_path / "new")


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        compare(tmp_path, tmp_path)
    with pytest.raises(UsageError, match="holds no run"):
        compare(tmp_path / "gone", tmp_path)
