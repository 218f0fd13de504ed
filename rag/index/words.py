"""Keyword search: BM25 over passages, by tantivy.

A WordIndex holds passages by id and never their text, so it can always be rebuilt from the ledger. Questions are
analysed by the same tokenizer as passages and put together as term queries; no query language is ever parsed,
so that no question can break its syntax.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ANALYZER = "words"
HEAP_BYTES = 64_000_000
MAX_TERMS = 256  # of a question; more would cost time and add nothing


class WordIndex:
    """BM25 over (passage id, document id, text). With `folder` None it lives in memory."""

    def __init__(self, folder: Path | None = None) -> None:
        import tantivy

        self._tantivy = tantivy
        builder = tantivy.SchemaBuilder()
        # Signed fields: a Python int in an unsigned field kills tantivy's writer thread with an unclear error.
        builder.add_integer_field("id", indexed=True, fast=True)
        builder.add_integer_field("document", indexed=True)
        builder.add_text_field("text", tokenizer_name=ANALYZER, index_option="freq")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=str(folder) if folder else None)
        self._analyzer = analyzer()
        self._index.register_tokenizer(ANALYZER, self._analyzer)
        self._searcher = self._index.searcher()

    @classmethod
    def open(cls, folder: Path) -> WordIndex:
        """To search only. tantivy writes a lock into every folder that it opens, so it is given one of links: a
        collection is never written to by a reader, and can lie on a read-only disk. The links can go at once, as
        the files are mapped into memory by then."""
        with TemporaryDirectory(prefix="beluga-rag-", ignore_cleanup_errors=True) as links:
            for path in folder.resolve().iterdir():
                Path(links, path.name).symlink_to(path)
            return cls(Path(links))

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def update(self, add: Iterable[tuple[int, int, str]], remove: Sequence[int] = ()) -> None:
        """Adds (passage id, document id, text) and removes passage ids, as one commit. Adding is idempotent only
        for ids that are not there yet."""
        writer = self._index.writer(HEAP_BYTES, 1)
        for passage in remove:
            writer.delete_documents_by_term("id", passage)
        for passage, document, text in add:
            row = self._tantivy.Document()
            row.add_integer("id", passage)
            row.add_integer("document", document)
            row.add_text("text", text)
            writer.add_document(row)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(self, question: str, k: int, documents: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """The k best (passage id, BM25 score), best first; only passages of `documents` where given."""
        query = self._query(question, documents)
        if query is None or k < 1 or len(self) == 0:
            return []
        hits = self._searcher.search(query, min(k, len(self)), count=False).hits
        ids = self._searcher.fast_field_values("id", [address for _, address in hits])
        return [(int(id_), float(score)) for id_, (score, _) in zip(ids, hits, strict=True)]

    def terms(self, text: str) -> list[str]:
        """The distinct index terms of a text, in its order."""
        return list(dict.fromkeys(self._analyzer.analyze(text)))

    def _query(self, question: str, documents: Sequence[int] | None) -> Any:
        tantivy, schema = self._tantivy, self._schema
        terms = self.terms(question)[:MAX_TERMS]
        if not terms:
            return None
        should = [(tantivy.Occur.Should, tantivy.Query.term_query(schema, "text", term)) for term in terms]
        query = tantivy.Query.boolean_query(should)
        if documents is None:
            return query
        among = tantivy.Query.term_set_query(schema, "document", list(documents))
        among = tantivy.Query.const_score_query(among, 0.0)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, among)])


def analyzer() -> Any:
    """What makes terms of a text: `analyzer().analyze(text)`, in the text's order, as often as they stand there."""
    import tantivy

    steps = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(60),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stemmer("english"),
    ):
        steps = steps.filter(step)
    return steps.build()
