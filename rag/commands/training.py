"""`rag train`: from questions with marked answers a reader, on from the one that there is, or a chat model's LoRA."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import terminal
from rag.commands import Command
from rag.errors import StorageError, UsageError
from rag.training.state import steps_kept
from rag.training.steps import Progress, Settings

if TYPE_CHECKING:
    from rag.config import Config
    from rag.generation.exercises import Exercise

EVERY = 20  # steps between two lines where there is no terminal
SMOOTHED = 25  # steps that a point of the plot is the mean of
NEAR = 8  # passages that only seem to answer, of which an adapter is shown some
CHAT_MODEL = "beluga-7b"  # that --lora trains where none is named or set


def add(command: Command) -> None:
    """Adds the command; `command` makes a parser that has --collection, --indexes and --json already."""
    made = command("train", _train, "train the reader, or a chat model's LoRA, on questions")
    made.add_argument("what", choices=("reader",), help="what to train")
    made.add_argument("--data", nargs="+", type=Path, required=True, metavar="FILE", help="questions, JSON Lines")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the result goes, and its progress")
    made.add_argument("--from", dest="base", metavar="DIR", help='go on from this reader ("encoder": from nothing)')
    text = f"a LoRA adapter of this chat model instead (default: RAG_MODEL, else {CHAT_MODEL})"
    made.add_argument("--lora", nargs="?", const="", metavar="MODEL", help=text)
    made.add_argument("--gradient-checkpointing", action="store_true", help="with --lora: less memory, more time")
    made.add_argument("--epochs", default=1, metavar="N", help="passes over the data (default: 1)")
    made.add_argument("--batch", default=16, metavar="N", help="questions in a step (default: 16)")
    made.add_argument("--rate", type=float, default=1.5e-4, metavar="R", help="learning rate (default: 1.5e-4)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of everything drawn at random (default: 0)")
    made.add_argument("--float32", action="store_true", help="not in bfloat16")


def _train(options: argparse.Namespace) -> int:
    from rag.config import whole_number
    from rag.reader.lessons import load

    _refuse_mixed(options)
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
    trained = _reader if options.lora is None else _adapter
    result, use = trained(options, lessons.lessons, settings)
    if options.json:
        terminal.show_json({**result, "lessons": len(lessons.lessons), "left_out": lessons.problems}, sys.stdout)
    else:
        terminal.show_trained(str(options.out), result["steps"], result["seconds"], use, sys.stdout)
    return 3 if lessons.problems else 0


def _refuse_mixed(options: argparse.Namespace) -> None:
    if options.lora is None and options.gradient_checkpointing:
        raise UsageError("--gradient-checkpointing is for --lora; the reader is small enough without it.")
    if options.lora is not None and options.base:
        raise UsageError("--from is for the reader. An adapter begins at its model; leave --from out.")


def _reader(options: argparse.Namespace, lessons: Sequence[Any], settings: Settings) -> tuple[dict[str, Any], str]:
    """What to report, and how to ask with what was trained."""
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
    terminal.say(f"rag: {terminal.counted(len(lessons), 'question')}. Looking for passages that only seem to answer …")
    negatives = mine(lessons, TextEmbedder(encoder))
    with _watched(options.out, "Training of the reader") as log:
        train(network, Pairs.of(encoder), lessons, negatives, options.out, settings, log.step)
    path = weights.write(options.out, exported(network), encoder.sha256, fit)
    return {"reader": str(path), **log.result}, f"RAG_READER={options.out} rag ask …"


def _base(options: argparse.Namespace) -> Path | None:
    """The reader to go on from: the one named, else the one that comes along; None to begin with the encoder."""
    from rag.reader.weights import FILE, SHIPPED

    if options.base == "encoder":
        return None
    if options.base:
        return Path(options.base).expanduser()
    return SHIPPED if (SHIPPED / FILE).is_file() else None


def _adapter(options: argparse.Namespace, lessons: Sequence[Any], settings: Settings) -> tuple[dict[str, Any], str]:
    """What to report, and how to ask with what was trained."""
    from rag.config import EXTRACTIVE, Config
    from rag.generation.formats import Format
    from rag.generation.lora import Lora, refuse, train
    from rag.generation.models import find

    config = Config.from_environment(indexes=options.indexes, collection=options.collection, store=options.store)
    name = options.lora or (config.model if config.model != EXTRACTIVE else CHAT_MODEL)
    model = find(name)
    refuse(model)
    how = Lora(checkpointing=options.gradient_checkpointing, float32=options.float32)
    form = None if config.format == "auto" else Format(config.format)
    exercises = _exercises(config, lessons)
    with _watched(options.out, f"Training of an adapter for {model.name}") as log:
        train(model, exercises, options.out, settings, how, form, log.step, lambda said: terminal.say(f"rag: {said}"))
    use = f"rag ask … --model {name} --adapter {options.out}"
    return {"adapter": str(options.out), "model": name, **log.result}, use


def _exercises(config: Config, lessons: Sequence[Any]) -> list[Exercise]:
    """Lessons with the passages that only seem to answer, named as documents are."""
    from rag import compose
    from rag.generation.exercises import Exercise
    from rag.reader.mining import mine
    from rag.types import Passage

    terminal.say(f"rag: {terminal.counted(len(lessons), 'question')}. Looking for passages that only seem to answer …")
    negatives = mine(lessons, compose.named_embedder(config))
    passages: dict[tuple[str, str], Passage] = {}
    for lesson in lessons:
        named, text = lesson.title or lesson.group.partition(":")[2], lesson.context
        passages[lesson.group, text] = Passage(named, "", lesson.title, "", "", None, 0, len(text), text)
    return [
        Exercise(
            lesson.question,
            passages[lesson.group, lesson.context],
            tuple(dict.fromkeys(lesson.context[start:end] for start, end in lesson.spans)),
            tuple(passages[lesson.group, context] for context in near[:NEAR]),
        )
        for lesson, near in zip(lessons, negatives, strict=True)
    ]


# --------------------------------------------------------------------------------------------------- progress


@contextmanager
def _watched(folder: Path, title: str) -> Iterator[_Log]:
    """A training's steps as they come: in a terminal, and in `folder`. Who stops it is told what is not lost."""
    with terminal.StepProgress(sys.stderr, EVERY) as bar:
        log = _Log(folder, title, bar)
        try:
            yield log
        except KeyboardInterrupt:
            kept = steps_kept(folder)
            told = "Nothing was saved yet; the same command begins anew."
            if kept:
                told = (
                    f"{folder} keeps the first {terminal.counted(kept, 'step')}; the same command goes on from there."
                )
            raise KeyboardInterrupt(f"Stopped. {told}") from None
    log.plot()


class _Log:
    """The losses of every step in losses.jsonl, and drawn in losses.html."""

    def __init__(self, folder: Path, title: str, bar: terminal.StepProgress) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "losses.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"Cannot write {folder}: {error.strerror}. Nothing was trained.") from error
        self._folder, self._title, self._bar = folder, title, bar
        self.last: dict[str, Any] = {"step": 0, "seconds": 0.0, "losses": {}}

    @property
    def result(self) -> dict[str, Any]:
        return {"steps" if name == "step" else name: value for name, value in self.last.items()}

    def step(self, progress: Progress) -> None:
        self.last = {"step": progress.step, "seconds": round(progress.seconds, 1), "losses": progress.losses}
        self._file.write(json.dumps(self.last) + "\n")
        self._file.flush()
        self._bar.step(progress.step, progress.steps, progress.losses)

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
            (self._folder / "losses.html").write_text(page(self._title, drawn), encoding="utf-8")
