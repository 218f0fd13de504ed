"""`rag train`: a reader from questions with marked answers, from nothing or on from the one that there is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import terminal
from rag.commands import Command
from rag.errors import UsageError

if TYPE_CHECKING:
    from rag.reader.training import Progress, Settings

EVERY = 20  # steps between two lines where there is no terminal
SMOOTHED = 25  # steps that a point of the plot is the mean of


def add(command: Command) -> None:
    """Adds the command; `command` makes a parser that has --collection, --indexes and --json already."""
    made = command("train", _train, "train the reader on questions with their answers")
    made.add_argument("what", choices=("reader",), help="what to train")
    made.add_argument("--data", nargs="+", type=Path, required=True, metavar="FILE", help="questions, JSON Lines")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the reader goes, and its progress")
    made.add_argument("--from", dest="base", metavar="DIR", help='go on from this reader ("encoder": from nothing)')
    made.add_argument("--epochs", default=1, metavar="N", help="passes over the data (default: 1)")
    made.add_argument("--batch", default=16, metavar="N", help="pairs of passages in a step (default: 16)")
    made.add_argument("--rate", type=float, default=1.5e-4, metavar="R", help="learning rate (default: 1.5e-4)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of everything drawn at random (default: 0)")
    made.add_argument("--float32", action="store_true", help="not in bfloat16")


def _train(options: argparse.Namespace) -> int:
    from rag.config import whole_number
    from rag.reader.lessons import load
    from rag.reader.training import Settings

    lessons = load(options.data)
    for problem in lessons.problems:
        terminal.say(f"rag: {problem}; this row is left out.")
    settings = Settings(
        epochs=whole_number("--epochs", options.epochs),
        batch=whole_number("--batch", options.batch),
        learning_rate=options.rate,
        seed=options.seed,
        precision="no" if options.float32 else "bf16",
    )
    result = _trained(options, lessons.lessons, settings)
    if options.json:
        terminal.show_json({**result, "lessons": len(lessons.lessons), "left_out": lessons.problems}, sys.stdout)
    else:
        terminal.show_trained(result["reader"], result["steps"], result["seconds"], sys.stdout)
    return 3 if lessons.problems else 0


def _trained(options: argparse.Namespace, lessons: Sequence[Any], settings: Settings) -> dict[str, Any]:
    from rag import compose
    from rag.encoder.embed import TextEmbedder
    from rag.encoder.hub import find
    from rag.reader import weights
    from rag.reader.mining import mine
    from rag.reader.network import ReaderNetwork, exported, load
    from rag.reader.pairs import Pairs
    from rag.reader.training import train

    encoder = find(compose.READERS_ENCODER)
    base = _base(options)
    fit = weights.read(base).fit if base else weights.UNFITTED
    network = ReaderNetwork.from_encoder(encoder.transformer, settings.seed)
    if base:
        load(network, weights.read(base))
    terminal.say(f"rag: {len(lessons):,} questions. Looking for passages that only seem to answer …")
    negatives = mine(lessons, TextEmbedder(encoder))
    log = _Log(options.out)
    with terminal.StepProgress(sys.stderr, EVERY) as bar:

        def on_step(progress: Progress) -> None:
            log.add(progress)
            bar.step(progress.step, progress.steps, progress.losses)

        try:
            train(network, Pairs.of(encoder), lessons, negatives, options.out, settings, on_step)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped. {options.out} keeps what was learned; the same command goes on."
            ) from None
    log.plot()
    path = weights.write(options.out, exported(network), encoder.sha256, fit)
    return {
        "reader": str(path),
        "steps": log.last["step"],
        "seconds": log.last["seconds"],
        "losses": log.last["losses"],
    }


def _base(options: argparse.Namespace) -> Path | None:
    """The reader to go on from: the one named, else the one that comes along; None to begin with the encoder."""
    from rag.reader.weights import FILE, SHIPPED

    if options.base == "encoder":
        return None
    if options.base:
        return Path(options.base).expanduser()
    return SHIPPED if (SHIPPED / FILE).is_file() else None


class _Log:
    """The losses of every step in losses.jsonl, and drawn in losses.html."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "losses.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{folder} cannot be written to: {error.strerror}. Nothing was trained.") from error
        self._folder = folder
        self.last: dict[str, Any] = {"step": 0, "seconds": 0.0, "losses": {}}

    def add(self, progress: Progress) -> None:
        self.last = {"step": progress.step, "seconds": round(progress.seconds, 1), "losses": progress.losses}
        self._file.write(json.dumps(self.last) + "\n")
        self._file.flush()

    def plot(self) -> None:
        from rag.evaluation.page import page
        from rag.evaluation.plots import Series, curves

        lines = (self._folder / "losses.jsonl").read_text(encoding="utf-8").splitlines()
        by_step = {row["step"]: row["losses"] for row in map(json.loads, lines)}  # a resumed step stands twice
        steps = sorted(by_step)
        series = []
        for name in by_step[steps[0]] if steps else ():
            chunks = [steps[place : place + SMOOTHED] for place in range(0, len(steps), SMOOTHED)]
            means = [sum(by_step[step][name] for step in chunk) / len(chunk) for chunk in chunks]
            series.append(Series(name, [chunk[-1] for chunk in chunks], means))
        if series:
            top = max(max(one.y) for one in series)
            drawn = curves("Losses", series, "step", "loss", top=top)
            (self._folder / "losses.html").write_text(page("Training of the reader", drawn), encoding="utf-8")
