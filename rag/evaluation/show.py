"""What people see of an evaluation in a terminal. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rag.evaluation.catalogue import metric
from rag.evaluation.compare import Comparison
from rag.evaluation.compare_page import moved, verdict
from rag.evaluation.explain import Explanation
from rag.evaluation.report import shown
from rag.evaluation.run import Progress, Report
from rag.terminal import counted, plain

WIDTH = 160  # of a table that is not for a terminal


def report(report: Report) -> None:
    rows = []
    for name, figure in report.figures.items():
        if _is_listed(name):
            which = metric(name)
            ends = f"{shown(which, figure.low)} – {shown(which, figure.high)}" if figure.count > 1 else "–"
            rows.append((name, shown(which, figure.value), ends, f"{figure.count:,}"))
    _table(("figure", "value", "95 % interval", "n"), rows, right=(1, 2, 3))
    if report.lost_by:
        _line(f"Evidence lost by {', '.join(f'{stage}: {count}' for stage, count in report.lost_by.items())}")
    failed = f", {report.failed} failed" if report.failed else ""
    unjudged = f", {counted(report.judge_failures, 'judgement')} failed" if report.judge_failures else ""
    _line(f"{counted(report.questions, 'question')}{failed}{unjudged}. See {report.folder / 'report.html'}")


def comparison(found: Comparison) -> None:
    rows = []
    for d in filter(lambda d: _is_listed(d.name), found.differences):
        which = metric(d.name)
        ends = f"{moved(which, d.low)} to {moved(which, d.high)}"
        values = (shown(which, d.before), shown(which, d.after), moved(which, d.change))
        rows.append((d.name, *values, ends, f"{d.p:.4f}", verdict(d)))
    head = ("figure", found.before.name, found.after.name, "change", "95 % interval", "p", "")
    _table(head, rows, right=range(1, 6))
    _line(f"{counted(len(found.common), 'question')} in common, {found.left_out} left out.")
    for name, flips in found.flips.items():
        _line(f"{name}: {len(flips.gained)} questions gained, {len(flips.lost)} lost")
        for word, ids in (("gained", flips.gained), ("lost", flips.lost)):
            for id_ in ids:
                _line(f"  {word:6}  {id_}  {found.pair(id_)[0].example.question}")


def explanation(found: Explanation) -> None:
    _line(found.verdict)
    if not found.passages:
        return
    rows = [
        (s.stage, str(s.rank or "–"), _score(s.score), _score(s.needed), "yes" if s.kept else "no", s.why)
        for s in found.standings
    ]
    _table(("stage", "rank", "score", "needed", "goes on", "why"), rows, right=(1, 2, 3))


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar with time left on a terminal; nothing elsewhere, so that logs stay readable."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def _is_listed(name: str) -> bool:
    """Recall is on the pages only: most question sets have one evidence a question, so that hit says it."""
    return "recall@" not in name


def _line(text: str) -> None:
    stream = sys.stdout
    print(plain(text), file=stream)


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for number, title in enumerate(head):
        table.add_column(Text(plain(title)), justify="right" if number in right else "left")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH).print(table)
