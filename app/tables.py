"""Rows of the tables that the page shows, and what stands beside them, as pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from app.views import BADGES, line, opening
from rag.evaluation.explain import Stage
from rag.shapes import PRECISIONS
from rag.types import Answer

# ------------------------------------------------------------------------------------- how it was answered


def summary(answer: Answer) -> str:
    sure = "" if answer.confidence is None else f" Held to be answerable with a probability of {answer.confidence:.0%}."
    took = sum(answer.timings.get(stage, 0.0) for stage in STAGES)
    return f"Written by {answer.model}, in {took:.2f} s.{sure}"


def hit_rows(answer: Answer) -> list[dict[str, object]]:
    """A row for each passage that was found, best first: what became of it, and why."""
    cited = {citation.number for citation in answer.citations}
    rows: list[dict[str, object]] = []
    for rank, hit in enumerate(answer.hits, start=1):
        if rank > answer.offered:
            became = "dropped: no room, or not needed"
        else:
            became = "cited" if rank in cited else "read, not cited"
        answers = None if hit.extract is None else 1 / (1 + exp(-hit.extract.answers))
        rows.append(
            {
                "": rank,
                "Document": line(hit.passage.document),
                "Place": line(hit.passage.place),
                "Kind": BADGES[hit.passage.origin],
                "Score": round(hit.score, 3),
                "Answers": None if answers is None else f"{answers:.0%}",
                "What became of it": became,
                "Text": opening(hit.passage.text),
            }
        )
    return rows


def stage_rows(through: Sequence[Stage], k: int) -> list[dict[str, object]]:
    """A row for each of the best passages of the last stage: its place in every stage, and whether it was passed on."""
    places = [{hit.passage: rank for rank, hit in enumerate(stage.hits, start=1)} for stage in through]
    rows: list[dict[str, object]] = []
    for rank, hit in enumerate(through[-1].hits[:MOST_STAGED], start=1):
        row: dict[str, object] = {"": rank, "Document": line(hit.passage.document), "Place": line(hit.passage.place)}
        for stage, at in zip(through, places, strict=True):
            row[SEARCHES.get(stage.name, stage.name)] = at.get(hit.passage)
        row["What became of it"] = "passed on" if rank <= k else f"dropped: {k} are read"
        rows.append({**row, "Text": opening(hit.passage.text)})
    return rows


SEARCHES = {
    "dense": "By meaning",
    "keyword": "By words",
    "section": "By section",
    "fused": "Both",
    "reranked": "Read again",
}
MOST_STAGED = 40  # passages whose way is shown

STAGES = {
    "understand": "Understanding the question",
    "retrieve": "Finding passages",
    "write": "Writing the answer",
    "check": "Checking every citation",
}


def timing_rows(answer: Answer) -> list[dict[str, str]]:
    stages = {**STAGES, "first_token": "Until the first word, of writing"}
    took = [(said, answer.timings[name]) for name, said in stages.items() if name in answer.timings]
    return [{"Stage": said, "Seconds": f"{seconds:.3f}"} for said, seconds in took]


# ------------------------------------------------------------------------------------------------- models


def model_rows(shapes: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """The table of chat models for people, from their JSON shapes."""
    return [
        {
            "Model": shape["name"],
            "Parameters": f"{shape['parameters'] / 1e9:.1f} B",
            "Here": "yes" if shape["path"] else "no",
            **{name: _gigabytes(shape["memory"].get(name)) for name in PRECISIONS},
            "As stored": _gigabytes(shape["memory"].get("as stored")),
            "Commercial use": {True: "yes", False: "no", None: "?"}[shape["commercial"]],
            "Licence": shape["licence"],
        }
        for shape in shapes
    ]


def _gigabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e9:.1f}"
