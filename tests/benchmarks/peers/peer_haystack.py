"""Haystack, as its tutorials "Preprocessing different file types" and "Hybrid retrieval" say, with the in-memory store.

As documented: PyPDFToDocument, DocumentCleaner, DocumentSplitter by words, the SentenceTransformers embedder and the
embedding retriever. Tuned: batches of 64, PDFs read by two processes, BM25 joined by reciprocal rank fusion, and lines
joined, because the splitter counts what stands between blanks: a table's column would be one word, and a passage longer
than the model reads. It does not look for what changed: it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import Pool
from pathlib import Path

from haystack import Document, Pipeline
from haystack.components.converters import PyPDFToDocument
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentCleaner, DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)

VERSIONS = ("haystack-ai", "sentence-transformers-haystack", "pypdf")
WORDS = 180


class Peer:
    def __init__(self, model: Path, store: Path, tuned: bool) -> None:
        self._model = {"model": str(model), "device": ComponentDevice.from_str("cpu"), "progress_bar": False}
        self._path = str(store / "store.json")
        self._tuned = tuned

    def build(self, folder: Path) -> None:
        store = InMemoryDocumentStore(embedding_similarity_function="cosine")
        self._index(store, sorted(folder.glob("*.pdf")))

    def open(self) -> None:
        self._asking = self._pipeline(InMemoryDocumentStore.load_from_disk(self._path))

    def query(self, question: str, k: int) -> list[tuple[str, int]]:
        given = {"embedder": {"text": question}, "dense": {"top_k": k}}
        if self._tuned:
            given |= {"words": {"query": question, "top_k": k}, "joined": {"top_k": k}}
        found = self._asking.run(given)["joined" if self._tuned else "dense"]["documents"]
        return [(hit.meta["file_path"], hit.meta["page_number"]) for hit in found]

    def resync(self, folder: Path, changed: Path) -> None:
        store = InMemoryDocumentStore.load_from_disk(self._path)
        store.delete_by_filter({"field": "meta.file_path", "operator": "==", "value": changed.name})
        self._index(store, [changed])

    def _index(self, store: InMemoryDocumentStore, paths: Sequence[Path]) -> None:
        pipeline = Pipeline()
        pipeline.add_component("cleaner", DocumentCleaner())
        pipeline.add_component("splitter", DocumentSplitter(split_by="word", split_length=WORDS))
        batch = {"batch_size": 64} if self._tuned else {}
        pipeline.add_component("embedder", SentenceTransformersDocumentEmbedder(**self._model, **batch))
        pipeline.add_component("writer", DocumentWriter(store, policy=DuplicatePolicy.OVERWRITE))
        pipeline.connect("cleaner", "splitter")
        pipeline.connect("splitter", "embedder")
        pipeline.connect("embedder", "writer")
        if self._tuned:
            with Pool(2) as workers:
                documents = [document for read in workers.map(_read, paths) for document in read]
            pipeline.run({"cleaner": {"documents": documents}})
        else:
            pipeline.add_component("converter", PyPDFToDocument())
            pipeline.connect("converter", "cleaner")
            pipeline.run({"converter": {"sources": list(paths)}})
        store.save_to_disk(self._path)

    def _pipeline(self, store: InMemoryDocumentStore) -> Pipeline:
        asking = Pipeline()
        asking.add_component("embedder", SentenceTransformersTextEmbedder(**self._model))
        asking.add_component("dense", InMemoryEmbeddingRetriever(store))
        asking.connect("embedder.embedding", "dense.query_embedding")
        if self._tuned:
            asking.add_component("words", InMemoryBM25Retriever(store))
            asking.add_component("joined", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
            asking.connect("dense", "joined")
            asking.connect("words", "joined")
        return asking


def _read(path: Path) -> list[Document]:
    read = PyPDFToDocument().run(sources=[path])["documents"]
    return [replace(document, content=(document.content or "").replace("\n", " ")) for document in read]
