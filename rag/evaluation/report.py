"""A run as a page for people: key figures, tables with intervals, plots, and the questions that went worst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rag.evaluation.cards import goodness, question_card, sureness
from rag.evaluation.catalogue import NDCG_K, PREFIX, Metric, metric
from rag.evaluation.figures import Figure
from rag.evaluation.matching import Level
from rag.evaluation.metrics import recall_at
from rag.evaluation.page import Html, join, page, table, tag, tile
from rag.evaluation.plots import Series, curves, densities, histogram, interval_bar
from rag.evaluation.predictions import Prediction
from rag.evaluation.questions import BadRow
from rag.evaluation.scores import depth_of, is_graded, wrong_and_confidence
from rag.evaluation.selective import risk_coverage

RANKING_NOTE = (
    "A hit is a question with anything wanted among the first k; recall is the share of what is wanted there. Ranks "
    "count passages as retrieved, or the different pages or documents that they are from. MRR is the mean of 1 / rank "
    "of the first thing wanted, nDCG the gain discounted by log2(rank + 1), over the ideal ranking's."
)
WORST = 20
KEY_FIGURES: tuple[str, ...] = (
    *("page_hit@5", "hit@5", "correct", "citation_precision", "answerable_refused", "unanswerable_answered"),
    *("latency_p50", "latency_p95", "mrr", "document_hit@5"),
)
MOST_TILES = 8  # two rows
Figures = Mapping[str, Figure]


def report_page(
    name: str,
    config: Mapping[str, Any],
    predictions: Sequence[Prediction],
    figures: Figures,
    skipped: Sequence[BadRow] = (),
) -> str:
    return page(
        f"Evaluation: {name}",
        tag("h1", name),
        tag("p", summary(predictions, skipped), class_="soft"),
        tag("div", *_tiles(figures), class_="tiles"),
        tag("h2", "Curves"),
        tag("div", *_plots(predictions), class_="plots"),
        *_ranking_section(figures, predictions),
        tag("h2", "Figures"),
        figure_table({name: figure for name, figure in figures.items() if "found" not in metric(name).group}),
        *_worst_sections(predictions),
        *_trouble(predictions, skipped),
        tag("h2", "What was measured"),
        table(("setting", "value"), _settings(config)),
    )


def shown(which: Metric, value: float) -> str:
    if which.seconds:
        return f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.2f} s"
    return f"{value:.3f}" if value <= 1 else f"{value:,.1f}"


def figure_table(figures: Figures) -> Html:
    """Every figure with its interval, under the heading of its group."""
    rows: list[Sequence[str]] = []
    group = ""
    for name, figure in figures.items():
        which = metric(name)
        if which.group != group:
            group = which.group
            rows.append((group,))
        share = not which.seconds and figure.high <= 1 and figure.count > 1
        rows.append(
            (
                tag("code", name),
                shown(which, figure.value),
                _range(which, figure),
                interval_bar(figure.value, figure.low, figure.high) if share else "",
                f"{figure.count:,}",
                tag("small", which.definition, class_="soft"),
            )
        )
    return table(("figure", "value", "95 % interval", "", "n", "definition"), rows, numbers=(1, 2, 4))


def _ranking_section(figures: Figures, predictions: Sequence[Prediction]) -> Iterator[Html]:
    """What was found among the first k: a column for each k, a pair of rows for each level."""
    ks = sorted({int(name.partition("@")[2]) for name in figures if "hit@" in name})
    rows: list[Sequence[str]] = []
    for level, prefix in PREFIX.items():
        if f"{prefix}mrr" in figures:
            rows.append((join([f"{level.capitalize()}s", _in_passing(figures, prefix)]),))
            for kind in ("hit", "recall"):
                cells = [_stacked(figures[f"{prefix}{kind}@{k}"]) for k in ks]
                rows.append((tag("code", f"{prefix}{kind}@k"), *cells))
    if rows:
        yield tag("h2", "What was found among the first k")
        yield tag("p", RANKING_NOTE, class_="soft")
        yield table(("", *(f"k = {k}" for k in ks)), rows, numbers=range(1, len(ks) + 1))
    if lost := Counter(p.lost_by for p in predictions if p.lost_by):
        stages = ", ".join(f"{stage} {count:,}" for stage, count in lost.most_common())
        yield tag("p", f"Questions whose evidence was not found at all, by the stage that lost it: {stages}.")


def _in_passing(figures: Figures, prefix: str) -> Html:
    names = (f"{prefix}mrr", f"{prefix}ndcg@{NDCG_K}")
    texts = [f"{name} {figures[name].value:.3f} ({_range(metric(name), figures[name])})" for name in names]
    return tag("small", "".join(f"  ·  {text}" for text in texts), class_="soft plain")


def _stacked(figure: Figure) -> Html:
    return join([f"{figure.value:.3f}", tag("small", _ends(figure), class_="soft under")])


def _ends(figure: Figure) -> str:
    return f"{figure.low:.2f} – {figure.high:.2f}" if figure.count > 1 else "–"


def _range(which: Metric, figure: Figure) -> str:
    if figure.count < 2:
        return "–"  # resampling one question says nothing
    return f"{shown(which, figure.low)} – {shown(which, figure.high)}"


def summary(predictions: Sequence[Prediction], skipped: Sequence[BadRow]) -> str:
    """How many questions there were, and what became of them, in a sentence."""
    counts = {
        "question": len(predictions),
        "answerable": sum(p.example.answerable for p in predictions),
        "failed": sum(bool(p.error) for p in predictions),
        "judgement failed": sum(p.judged and p.verdict is None for p in predictions),
        "row skipped": len(skipped),
    }
    said = [f"{count:,} {_plural(what, count)}" for what, count in counts.items() if count or what == "answerable"]
    return f"{', '.join(said)}. Intervals are 95 % bootstrap over questions."


def _plural(what: str, count: int) -> str:
    noun, _, rest = what.partition(" ")
    return what if count == 1 or noun in ("answerable", "failed") else f"{noun}s {rest}".strip()


def _tiles(figures: Figures) -> Iterator[Html]:
    for name in [name for name in KEY_FIGURES if name in figures][:MOST_TILES]:
        which, figure = metric(name), figures[name]
        yield tile(shown(which, figure.value), name.replace("_", " "), _range(which, figure))


# -------------------------------------------------------------------------------------------------- plots


def _plots(predictions: Sequence[Prediction]) -> Iterator[Html]:
    if recall := list(recall_curves(predictions)):
        yield curves("Recall over the number retrieved", recall, "first k", "recall", steps=True)
    if graded := list(filter(is_graded, predictions)):
        yield curves("Risk over coverage", list(risk_curves(graded)), "share answered, surest first", "share wrong")
    yield histogram("Time a question takes", [p.seconds for p in predictions], "seconds")
    if scores := list(score_series(predictions)):
        yield densities("Score of the best passage", scores, "score")


def recall_curves(predictions: Sequence[Prediction]) -> Iterator[Series]:
    """Recall over the number retrieved, for each level that has evidence."""
    ks = range(1, depth_of(predictions) + 1)
    for level in Level:
        ranked = [ranks for p in predictions if (ranks := p.ranks.get(level))]
        if ranked:
            recall = [sum(recall_at(ranks, k) for ranks in ranked) / len(ranked) for k in ks]
            yield Series(f"{level}s", list(ks), recall)


def risk_curves(predictions: Sequence[Prediction]) -> Iterator[Series]:
    """Share wrong over share answered; of graded questions only (`is_graded`)."""
    wrong, sure, best = wrong_and_confidence(predictions)
    coverage = [(i + 1) / len(wrong) for i in range(len(wrong))]
    yield Series("by the system's confidence, refusals last", coverage, risk_coverage(wrong, sure).tolist())
    yield Series("by the best passage's score", coverage, risk_coverage(wrong, best).tolist())


def score_series(predictions: Sequence[Prediction]) -> Iterator[Series]:
    """The best passage's score, by what became of the question: apart is good."""
    kinds: dict[str, Callable[[Prediction], bool]] = {
        "right passage first": lambda p: p.example.answerable and p.hits[0].right,
        "wrong passage first": lambda p: bool(p.ranks.get(Level.PASSAGE)) and not p.hits[0].right,
        "no answer in the documents": lambda p: not p.example.answerable,
    }
    for name, belongs in kinds.items():
        if scores := [p.hits[0].score for p in predictions if p.hits and belongs(p)]:
            yield Series(name, scores)


# -------------------------------------------------------------------------------------------------- worst


def _worst_sections(predictions: Sequence[Prediction]) -> Iterator[Html]:
    wanting = [p for p in predictions if p.example.answerable and goodness(p) < (1.0, 1.0)]
    if worst := sorted(wanting, key=lambda p: (goodness(p), -sureness(p)))[:WORST]:
        yield tag("h2", f"The worst questions ({len(worst)})")
        yield tag(
            "p", "Wrong answers before right ones, lost evidence before found, sure before unsure.", class_="soft"
        )
        yield from (question_card(p) for p in worst)
    wrongly = [p for p in predictions if not p.example.answerable and p.answered]
    if worst := sorted(wrongly, key=lambda p: -sureness(p))[:WORST]:
        yield tag("h2", f"The surest answers to what has no answer ({len(worst)})")
        yield from (question_card(p) for p in worst)


# ------------------------------------------------------------------------------------------------ trouble


def _trouble(predictions: Sequence[Prediction], skipped: Sequence[BadRow]) -> Iterator[Html]:
    failed = [(p.example.id, p.example.question, p.error) for p in predictions if p.error]
    if failed:
        yield tag("h2", "Questions that failed")
        yield table(("id", "question", "error"), failed)
    if skipped:
        yield tag("h2", "Rows that were skipped")
        yield table(("where", "reason"), [(row.where, row.reason) for row in skipped])


def _settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[Sequence[str]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield join([tag("code", f"{prefix}{name}")]), "–" if value in (None, "") else str(value)
