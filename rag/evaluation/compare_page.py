"""A comparison of two runs as a page for people: every difference with its interval, and what flipped, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.evaluation.cards import got
from rag.evaluation.catalogue import Metric, metric
from rag.evaluation.compare import Comparison, Difference, Flips, settings_that_differ
from rag.evaluation.page import Html, page, table, tag
from rag.evaluation.plots import interval_bar
from rag.evaluation.report import shown

SURE = 0.05
MOST_FLIPS = 200  # shown in full: more are counted


def comparison_page(comparison: Comparison) -> str:
    names = (comparison.before.name, comparison.after.name)
    title = f"{names[0]} → {names[1]}"
    return page(
        f"Comparison: {title}",
        tag("h1", title),
        tag("p", _summary(comparison), class_="soft"),
        tag("h2", "Differences"),
        _difference_table(comparison.differences, names),
        *_changed_settings(comparison, names),
        *(piece for name, flips in comparison.flips.items() for piece in _flip_section(comparison, name, flips)),
    )


def verdict(difference: Difference) -> str:
    """In a word: better or worse where the test is sure of it at 5 %, else nothing that can be told from chance."""
    if difference.low == difference.high == 0:
        return "the same"
    if difference.p >= SURE:
        return "no sure change"
    return "better" if difference.is_better else "worse"


def moved(which: Metric, change: float) -> str:
    """A change as people read it: with its sign, times in milliseconds."""
    if which.seconds:
        return f"{change * 1000:+,.0f} ms"
    return f"{change:+,.1f}" if which.is_open else f"{change:+.3f}"


def _summary(comparison: Comparison) -> str:
    left_out = f", {comparison.left_out:,} left out" if comparison.left_out else ""
    return (
        f"{len(comparison.common):,} questions in common{left_out}. Intervals are 95 % paired bootstrap, "
        "p-values of the paired randomisation test (of that bootstrap for areas, times and rates), not corrected for "
        "the number of figures looked at."
    )


def _difference_table(differences: Sequence[Difference], names: tuple[str, str]) -> Html:
    shares = [d for d in differences if not metric(d.name).is_open]
    widest = max([abs(end) for d in shares for end in (d.low, d.high)], default=0) or 1
    rows: list[Sequence[str]] = []
    group = ""
    for difference in differences:
        which = metric(difference.name)
        if which.group != group:
            group = which.group
            rows.append((group,))
        rows.append(_difference_row(difference, widest))
    head = ("figure", *names, "change", "95 % interval", "", "p", "n", "")
    return table(head, rows, numbers=(1, 2, 3, 4, 6, 7))


def _difference_row(difference: Difference, widest: float) -> Sequence[str]:
    which = metric(difference.name)
    said = verdict(difference)
    kind = {"better": "good", "worse": "bad"}.get(said, "soft")
    ends = f"{moved(which, difference.low)} to {moved(which, difference.high)}"
    bar = (
        Html("") if which.is_open else interval_bar(difference.change, difference.low, difference.high, -widest, widest)
    )
    p = f"{difference.p:.4f}"
    change = moved(which, difference.change)
    values = (shown(which, difference.before), shown(which, difference.after))
    said_so = tag("small", said, class_=kind)
    return tag("code", difference.name), *values, change, ends, bar, p, f"{difference.count:,}", said_so


def _changed_settings(comparison: Comparison, names: tuple[str, str]) -> Iterator[Html]:
    rows = [(tag("code", name), str(before), str(after)) for name, (before, after) in settings_that_differ(comparison)]
    if rows:
        yield tag("h2", "Settings that differ")
        yield table(("setting", *names), rows)


def _flip_section(comparison: Comparison, name: str, flips: Flips) -> Iterator[Html]:
    yield tag("h2", f"What flipped in {name}")
    said = f"{len(flips.gained):,} gained, {len(flips.lost):,} lost"
    yield tag("p", f"{said}{f'; the first {MOST_FLIPS} of each are shown' if _many(flips) else ''}.", class_="soft")
    for kind, word, ids in (("bad", "lost", flips.lost), ("good", "gained", flips.gained)):
        for id_ in ids[:MOST_FLIPS]:
            yield _flip_card(comparison, id_, word, kind)


def _many(flips: Flips) -> bool:
    return max(len(flips.gained), len(flips.lost)) > MOST_FLIPS


def _flip_card(comparison: Comparison, id_: str, word: str, kind: str) -> Html:
    before, after = comparison.pair(id_)
    expected = " or ".join(before.example.answers) or "no answer in the documents"
    head = tag("summary", tag("span", word, class_=kind), " · ", before.example.question, tag("small", expected))
    sides = zip((comparison.before.name, comparison.after.name), (before, after), strict=True)
    body = tag("div", *(tag("div", tag("h3", name), *got(prediction, 3)) for name, prediction in sides))
    return tag("details", head, body)
