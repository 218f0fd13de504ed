"""`rag wikipedia`: parse and call. A face like `rag.cli`, which takes it in."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rag import terminal
from rag.commands import Command, add_progress_option
from rag.errors import UsageError
from rag.progress import sync_progress
from rag.shapes import sync_shape

if TYPE_CHECKING:
    from rag.config import Config
    from rag.sources.wiki.articles import Articles
    from rag.types import SyncReport


def add(command: Command) -> None:
    """Adds the command; `command` makes a parser that has --collection, --indexes and --json already."""
    made = command("wikipedia", _wikipedia, "add Wikipedia's articles, or bring them up to date")
    made.add_argument("titles", nargs="*", metavar="TITLE", help="an article, by its exact title")
    made.add_argument("--search", action="append", default=[], metavar="Q", help="articles that a search finds")
    made.add_argument("--category", action="append", default=[], metavar="C", help="articles in a category")
    made.add_argument("--depth", default=0, metavar="N", help="levels of subcategories as well (default: 0)")
    made.add_argument("--links-from", action="append", default=[], metavar="T", help="articles that this one links to")
    made.add_argument("--limit", metavar="N", help="of each search, category and page (default: 50)")
    made.add_argument("--lang", default="en", metavar="CODE", help="which Wikipedia (default: en)")
    made.add_argument("--api", default="", metavar="URL", help="another wiki's api.php")
    made.add_argument("--refresh", action="store_true", help="bring the articles held up to date")
    made.add_argument("--remove", action="store_true", help="remove the articles named, which asks no wiki")
    made.add_argument("--wait", action="store_true", help="if another process is writing, wait until it has ended")
    add_progress_option(made)


def _wikipedia(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.config import Config

    config = Config.from_environment(indexes=options.indexes, collection=options.collection, store=options.store)
    if options.remove:
        return _remove(options, config)
    sources, notes = _sources(options, config)
    for source in sources:
        _ = source.found  # what does not exist or means several articles is said before a model is loaded
    collection = compose.collection(config, terminal.waiting if options.wait else None)
    by = compose.embedder(config)
    with sync_progress(options.progress, sys.stderr) as bar:
        report = terminal.combined([collection.sync(source, by, progress=bar) for source in sources])
    _show(options, report, sources, notes)
    return report.exit_code


def _remove(options: argparse.Namespace, config: Config) -> int:
    from rag import compose

    if not options.titles or options.refresh or options.search or options.category or options.links_from:
        raise UsageError("Name the articles to remove, as citations call them. Nothing was changed.")
    dropped = compose.dropped_articles(config, options.titles)
    report = compose.collection(config).sync(dropped, compose.embedder(config))
    if options.json:
        terminal.show_json(sync_shape(report), sys.stdout)
    else:
        terminal.show_sync(report, [], sys.stdout, dry=False)
    return report.exit_code


def _sources(options: argparse.Namespace, config: Config) -> tuple[list[Articles], list[str]]:
    from rag import compose
    from rag.config import whole_number
    from rag.sources.wiki.find import LIMIT, Wanted

    lists = (options.titles, options.search, options.category, options.links_from)
    if options.refresh == any(lists):
        raise UsageError(
            "Name an article, or use --search, --category or --links-from; or --refresh by itself, to bring up to date "
            "what is there. Nothing was changed."
        )
    if not options.refresh:
        limit = whole_number("--limit", options.limit or LIMIT, most=None)
        depth = whole_number("--depth", options.depth, most=None) if str(options.depth) != "0" else 0
        return [compose.articles(config, Wanted(*lists, depth, limit), options.lang, options.api)], []
    sources, notes = compose.held_articles(config, options.api)
    if not sources:
        raise UsageError(" ".join([f"Collection {config.collection!r} holds no articles to refresh.", *notes]))
    return sources, notes


def _show(options: argparse.Namespace, report: SyncReport, sources: list[Articles], notes: list[str]) -> None:
    for note in notes:
        terminal.say(f"rag: {note}")
    if options.json:
        unsettled = {title: choices for source in sources for title, choices in source.found.unsettled.items()}
        redirects = {asked: page.title for source in sources for page, asked in source.found.pages.values() if asked}
        terminal.show_json({**sync_shape(report), "unsettled": unsettled, "redirects": redirects}, sys.stdout)
    else:
        terminal.show_sync(report, [], sys.stdout, dry=False)
