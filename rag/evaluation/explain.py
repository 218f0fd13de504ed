"""Why a passage was not found: where it stands in each stage of retrieval, and which stage lost it.

A stage is a ranking of which the first `passed_on` go further. The stages are asked deeper than retrieval asks them,
so that a passage that just missed can be told from one that never had a chance.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rag.config import NONE
from rag.errors import UsageError
from rag.evaluation.matching import matches, same_document
from rag.generation.terms import terms
from rag.retrieval.fuse import DEPTH, Hybrid
from rag.retrieval.query import keywords
from rag.types import Evidence, FileReport, Hit, Origin, Passage, Retriever

if TYPE_CHECKING:
    from rag.config import Config
    from rag.encoder.embed import TextEmbedder
    from rag.evaluation.record import LostBy
    from rag.index.seams import Store

DEEP = 20_000  # passages looked through in the first stages
DENSE, KEYWORD, SECTION, FUSED, RERANKED = "dense", "keyword", "section", "fused", "reranked"
INDEX, SEARCHES = "index", f"{DENSE} and {KEYWORD}"  # what else can lose a passage


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    hits: Sequence[Hit]
    passed_on: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the best of the wanted passages fared in a stage: `rank` and `score` are None where it does not appear at
    all; `needed` is the score of the last that was passed on."""

    stage: str
    rank: int | None
    score: float | None
    needed: float | None
    kept: bool
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`passages` is how many of the wanted place the index holds; `lost_by` names a stage, or is empty where the
    passage comes through. `passage` is the one that comes furthest."""

    question: str
    document: str
    page: int | None
    passages: int
    passage: Passage | None
    standings: tuple[Standing, ...]
    lost_by: str
    verdict: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Reranker(Retriever, Protocol):
    """A Retriever that reorders the first `depth` hits of another."""

    @property
    def depth(self) -> int: ...


def stages(question: str, fused: Hybrid, reranked: Reranker | None, k: int) -> list[Stage]:
    """The stages of retrieval for a question of which the first `k` hits are read. `reranked` holds `fused`."""
    parts = fused.parts(question, DEEP)
    found = [Stage(DENSE, parts.dense, DEPTH), Stage(KEYWORD, parts.keyword, DEPTH)]
    if parts.sections:
        found.append(Stage(SECTION, parts.likeness, DEPTH))
    if reranked is None:
        return [*found, Stage(FUSED, fused.retrieve(question, DEPTH), k)]
    again = Stage(RERANKED, reranked.retrieve(question, DEPTH), k)
    return [*found, Stage(FUSED, fused.retrieve(question, DEPTH), max(k, reranked.depth)), again]


def tracer(
    config: Config,
    collection: Store,
    by: TextEmbedder,
    k: int,
    pattern: str | None = None,
    only: Origin | None = None,
) -> Callable[[str], list[Stage]]:
    """What gives the stages of retrieval for a question of which the first `k` hits are wanted, over all documents or
    those that a filter leaves."""
    from rag import compose

    fused = Hybrid(collection.index(pattern, only), by)
    reranked = compose.reranker(config, fused, by) if config.rerank != NONE else None
    return lambda question: stages(question, fused, reranked, k)


def losses(trace: Callable[[str], list[Stage]]) -> LostBy:
    return lambda example: lost_by(example.question, example.evidence, trace(example.question))


def explain(question: str, evidence: Evidence, through: Sequence[Stage]) -> Explanation:
    """What became of the passages that match an evidence: of a page, of a text, or of a whole document. Pure."""
    wanted = {hit.passage for stage in through for hit in stage.hits if matches(hit, evidence)}
    standings = tuple(_standing(question, stage, wanted) for stage in through)
    lost = _lost_by(standings) if wanted else INDEX
    furthest = next((hit.passage for stage in reversed(through) for hit in stage.hits if hit.passage in wanted), None)
    verdict = _verdict(standings, lost)
    return Explanation(question, evidence.document, evidence.page, len(wanted), furthest, standings, lost, verdict)


def lost_by(question: str, wanted: Sequence[Evidence], through: Sequence[Stage]) -> str:
    """The stage that lost the evidence that came furthest; empty where one comes through."""
    order = [INDEX, SEARCHES, *(stage.name for stage in through), ""]
    return max((explain(question, evidence, through).lost_by for evidence in wanted), key=order.index, default="")


def missing_from(files: Sequence[FileReport], document: str, page: int | None) -> str:
    """Why an index holds no passage of a document or page. Raises UsageError for a document that it never saw."""
    held = [file for file in files if same_document(file.document, document)]
    if not held:
        names = [file.document for file in files]
        near = difflib.get_close_matches(document, names, 3, 0.4)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"The collection holds no document {document!r}.{hint}")
    outcome = held[0].outcome
    if page is not None and page in outcome.pages_without_text:
        return f"Page {page} gave no text when it was read. {outcome.reason}. {outcome.remedy}".strip(". ") + "."
    if page is not None and outcome.pages is not None and page > outcome.pages:
        return f"{held[0].document} has {outcome.pages} pages."
    why = f"{outcome.status.value}{f': {outcome.reason}' if outcome.reason else ''}"
    return f"No passage is indexed there; reading {held[0].document} ended as “{why}”."


def _standing(question: str, stage: Stage, wanted: set[Passage]) -> Standing:
    needed = stage.hits[min(stage.passed_on, len(stage.hits)) - 1].score if stage.hits else None
    for rank, hit in enumerate(stage.hits, 1):
        if hit.passage in wanted:
            kept = rank <= stage.passed_on
            return Standing(stage.name, rank, hit.score, needed, kept, _why(question, stage, hit.passage, kept))
    why = "shares no word with the question" if stage.name == KEYWORD else f"not among its first {len(stage.hits):,}"
    return Standing(stage.name, None, None, needed, False, why)


def _why(question: str, stage: Stage, passage: Passage, kept: bool) -> str:
    if stage.name == KEYWORD:
        there = terms(f"{passage.document} {passage.headed}").all
        asked = {word.strip("\"'?!.,;:()"): terms(word).all for word in keywords(question).split()}
        has = ", ".join(word for word, stems in asked.items() if stems & there)
        lacks = ", ".join(word for word, stems in asked.items() if stems and not stems & there)
        return f"has {has or 'no word'} of the question, lacks {lacks or 'none'}"
    if kept:
        return ""
    first = stage.hits[0].passage
    return (
        f"only the first {stage.passed_on} go on; first is {first.document}{f', {first.place}' if first.place else ''}"
    )


def _lost_by(standings: Sequence[Standing]) -> str:
    """The first stage behind which nothing of the wanted is left. The searches stand side by side, and fusion also
    looks into the documents that a question names: what it has was not lost before it."""
    for number, standing in enumerate(standings):
        if standing.stage in (DENSE, KEYWORD, SECTION) or standing.kept:
            continue
        searched = [earlier for earlier in standings[:number] if earlier.stage in (DENSE, KEYWORD, SECTION)]
        if standing.stage == FUSED and standing.rank is None and not any(earlier.kept for earlier in searched):
            return SEARCHES
        return standing.stage
    return ""


def _verdict(standings: Sequence[Standing], lost_by: str) -> str:
    last = standings[-1]
    if not lost_by:
        return f"Found: it is number {last.rank} of those that are read."
    if lost_by == INDEX:
        return "Lost before any search: the index holds no such passage."
    if lost_by == SEARCHES:
        return f"Lost by both searches: it is not among the first {DEPTH} of either."
    lost = next(standing for standing in standings if standing.stage == lost_by)
    where = "further down than was looked" if lost.rank is None else f"number {lost.rank}"
    return f"Lost when {lost_by}: it is {where}, and its score is not enough to be passed on."
