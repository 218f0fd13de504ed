"""LlamaIndex, as its starter tutorial and "Document management" say; tuned: batches of 64, two workers, FAISS and BM25.

As documented: SimpleDirectoryReader (a document a page), SentenceSplitter, VectorStoreIndex in memory, persisted;
`refresh_ref_docs` finds what changed. Tuned, it is told which file changed. The splitter counts words instead of
OpenAI's tokens, so that passages are as long as everyone's.
"""

from __future__ import annotations

import re
from pathlib import Path

from llama_index.core import (
    Document,
    Settings,
    SimpleDirectoryReader,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
)
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.embeddings.huggingface import HuggingFaceEmbedding

VERSIONS = ("llama-index-core", "llama-index-embeddings-huggingface", "llama-index-readers-file")
WORDS = 180


class Peer:
    def __init__(self, model: Path, store: Path, tuned: bool) -> None:
        self._store = store / "index"
        self._tuned = tuned
        Settings.llm = None
        Settings.embed_model = HuggingFaceEmbedding(str(model), device="cpu", embed_batch_size=64 if tuned else 10)
        Settings.transformations = [SentenceSplitter(chunk_size=WORDS, chunk_overlap=0, tokenizer=str.split)]

    def build(self, folder: Path) -> None:
        documents = self._read(folder)
        if self._tuned:
            import faiss
            from llama_index.vector_stores.faiss import FaissMapVectorStore

            vectors = FaissMapVectorStore(faiss.IndexIDMap2(faiss.IndexFlatIP(384)))
            context = StorageContext.from_defaults(vector_store=vectors)
            index = VectorStoreIndex.from_documents(documents, storage_context=context)
        else:
            index = VectorStoreIndex.from_documents(documents)
        index.storage_context.persist(str(self._store))

    def open(self) -> None:
        self._index = self._loaded()
        self._retrievers: dict[int, BaseRetriever] = {}

    def query(self, question: str, k: int) -> list[tuple[str, int]]:
        if k not in self._retrievers:
            self._retrievers[k] = self._retriever(k)
        return [_place(hit.node.ref_doc_id) for hit in self._retrievers[k].retrieve(question)]

    def resync(self, folder: Path, changed: Path) -> None:
        index = self._loaded()
        if self._tuned:
            before = [id_ for id_ in index.ref_doc_info if _file(id_) == changed.name]
            gone = [node for id_ in before for node in index.ref_doc_info[id_].node_ids]
            index.delete_nodes(gone, delete_from_docstore=True)
            index.insert_nodes(Settings.transformations[0](self._read(folder, changed)))
        else:
            index.refresh_ref_docs(self._read(folder))
        index.storage_context.persist(str(self._store))

    def _read(self, folder: Path, only: Path | None = None) -> list[Document]:
        reader = SimpleDirectoryReader(folder, input_files=only and [only], filename_as_id=True)
        return reader.load_data(num_workers=2 if self._tuned and not only else None)

    def _loaded(self) -> VectorStoreIndex:
        if not self._tuned:
            return load_index_from_storage(StorageContext.from_defaults(persist_dir=str(self._store)))
        from llama_index.vector_stores.faiss import FaissMapVectorStore

        vectors = FaissMapVectorStore.from_persist_dir(str(self._store))
        context = StorageContext.from_defaults(vector_store=vectors, persist_dir=str(self._store))
        return load_index_from_storage(context)

    def _retriever(self, k: int) -> BaseRetriever:
        dense = self._index.as_retriever(similarity_top_k=k)
        if not self._tuned:
            return dense
        from llama_index.retrievers.bm25 import BM25Retriever

        words = BM25Retriever.from_defaults(docstore=self._index.docstore, similarity_top_k=k)
        how = {"similarity_top_k": k, "num_queries": 1, "mode": "reciprocal_rerank", "use_async": False}
        return QueryFusionRetriever([dense, words], **how)


def _place(document: str) -> tuple[str, int]:
    """The id of a page's document is its path and its number from 0."""
    return _file(document), int(document.rpartition("_part_")[2]) + 1


def _file(document: str) -> str:
    return Path(re.sub(r"_part_\d+$", "", document)).name
