"""Long work that the page begins, as command lines of `rag`: it runs on in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from rag.config import Config
from rag.jobs.desk import Desk
from rag.jobs.job import Work

SYNC, WIKIPEDIA, REMOVE, VERIFY, REPAIR, EVALUATE = "sync", "wikipedia", "remove", "verify", "repair", "evaluate"
FETCH, REEMBED = "fetch", "reembed"
MODELS = "models"  # the lane of downloads
CHANGES = {SYNC, WIKIPEDIA, REMOVE, REPAIR}  # which only those begin whose collection it is

MEASURING = "evaluation"  # the lane of what measures


def desk(config: Config) -> Desk:
    """The jobs of whoever's collections these are."""
    return Desk(config.indexes.resolve() / ".jobs")


def lane(config: Config) -> str:
    """Whoever writes to a collection is alone."""
    return f"collection {config.collection}"


def sync(config: Config, paths: Sequence[Path], prune: bool = False, about: str = "") -> Work:
    """Brings the collection in step with folders or files. With `prune`, what is gone is removed however much it is."""
    named = ["--prune"] * prune + ["--", *(str(path) for path in paths)]
    about = about or _listed([path.name for path in paths], "folder")
    return _work(config, SYNC, ["index", "--json"], named, about, tells=True)


def remove_file(config: Config, path: Path) -> Work:
    """Forgets a file that was deleted: it alone, so that nothing else that is missing is believed to be gone."""
    return _work(config, REMOVE, ["index", "--json"], ["--prune", "--", str(path)], path.name, tells=True)


def articles(config: Config, titles: Sequence[str], language: str) -> Work:
    command = ["wikipedia", "--json", f"--lang={language}"]
    return _work(config, WIKIPEDIA, command, ["--", *titles], _listed(titles, "article"), tells=True)


def refresh(config: Config) -> Work:
    return _work(config, WIKIPEDIA, ["wikipedia", "--json", "--refresh"], [], "all articles", tells=True)


def remove_article(config: Config, name: str) -> Work:
    return _work(config, REMOVE, ["wikipedia", "--json", "--remove"], ["--", name], name)


def verify(config: Config) -> Work:
    return _work(config, VERIFY, ["verify", "--json"], [], config.collection)


def repair(config: Config) -> Work:
    return _work(config, REPAIR, ["repair", "--json"], [], config.collection)


def measure(config: Config, questions: Path, out: Path, depth: int, limit: int, *, retrieval_only: bool) -> Work:
    """Measures a question set into the run at `out`, or goes on with it. One at a time, whatever the collection."""
    options = [
        f"--out={out}",
        f"-k{depth}",
        *(["--retrieval-only"] * retrieval_only),
        *([f"--limit={limit}"] * (limit > 0)),
    ]
    arguments = ("eval", "--json", *options, "--", str(questions))
    return Work(EVALUATE, config.collection, MEASURING, arguments, variables(config), tells=True, about=out.name)


def reembed(config: Config, model: str) -> Work:
    """Brings the collection over to another embedding model. It is asked as before until that is done."""
    return _work(config, REEMBED, ["reembed", "--json", f"--model={model}"], [], config.collection, tells=True)


def fetch(config: Config, model: str) -> Work:
    """Downloads a chat model; one at a time. What arrived before it was stopped is not downloaded again."""
    return Work(FETCH, "", MODELS, ("models", "fetch", "--json", model), variables(config), about=model)


def variables(config: Config) -> dict[str, str]:
    """Settings as `Config.from_environment` reads them."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    values["indexes"] = config.indexes.resolve()
    return {f"RAG_{name.upper()}": "" if value is None else str(value) for name, value in values.items()}


def _work(
    config: Config, kind: str, command: Sequence[str], named: Sequence[str], about: str, tells: bool = False
) -> Work:
    return Work(kind, config.collection, lane(config), (*command, *named), variables(config), tells, about)


def _listed(names: Sequence[str], noun: str) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} {noun}s"
