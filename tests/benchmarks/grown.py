"""A million passages from a few ten thousand real ones: what bench_growth.py grows a collection of.

The first documents are real: the practice sets' annual reports, encyclopedia articles, reviews and comments, whose
passages are embedded by the real model. Where they end, documents are made of their sentences: a passage is drawn from
a stretch of one real document, so that it stays with one subject, and its vector is composed of the real vectors of
its sentences (their mean, weighted by length), jittered. Everything follows from the number of a document, so that a
collection of 10,000 passages is the beginning of one of 1,000,000.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from rag import compose
from rag.config import Config
from rag.index.chunk import chunk
from rag.types import Document, Embedder, Entry, Fingerprint, Mark, Outcome, Reading, Status

PARAGRAPHS = 50  # of a composed document; each becomes one passage
LETTERS = 750  # of a paragraph, about: 180 tokens
STRETCH = 40  # sentences of a real document that a paragraph is drawn from
JITTER = 0.15  # length of the noise that is added to a unit vector
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“(])")


def sentences_of(text: str) -> list[str]:
    """Those that read like one: 6 to 60 words, mostly letters."""
    flat = [" ".join(sentence.split()) for block in text.split("\n\n") for sentence in _END.split(block)]
    return [s for s in flat if 6 <= s.count(" ") < 60 and sum(c.isalpha() for c in s) > 0.7 * len(s)]


class Material:
    """What was prepared: real documents, their passages' vectors, and their sentences with theirs."""

    def __init__(self, folder: Path) -> None:
        self.documents = [_document(json.loads(line)) for line in (folder / "documents.jsonl").open(encoding="utf-8")]
        listed = json.loads((folder / "material.json").read_text(encoding="utf-8"))
        self.passages: list[int] = listed["passages"]  # of each document
        self.stretches: list[tuple[int, int]] = listed["stretches"]  # where a document's sentences are
        self.sentences = (folder / "sentences.txt").read_text(encoding="utf-8").splitlines()
        self.sentence_vectors = np.load(folder / "sentences.npy", mmap_mode="r")
        self.headed = dict(zip(listed["digests"], range(len(listed["digests"])), strict=True))
        self.headed_vectors = np.load(folder / "passages.npy", mmap_mode="r")


def prepare(data: Path, folder: Path) -> Material:
    """Reads and embeds the practice data, once; some minutes."""
    if not (folder / "material.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _prepare(data, folder)
    return Material(folder)


def _prepare(data: Path, folder: Path) -> None:
    embedder = compose.embedder(Config())
    documents, sentences, headed = [], [], []
    passages, stretches = [], []
    for document in _real(data):
        cut = chunk(document, embedder, embedder.fingerprint.max_tokens)
        found = sentences_of(document.text)
        if not cut or len(found) < STRETCH:
            continue
        documents.append(document)
        passages.append(len(cut))
        stretches.append((len(sentences), len(sentences) + len(found)))
        sentences += found
        headed += [passage.headed for passage in cut]
    headed = list(dict.fromkeys(headed))
    np.save(folder / "passages.npy", embedder.embed_passages(headed).astype(np.float16))
    np.save(folder / "sentences.npy", embedder.embed_passages(sentences).astype(np.float16))
    (folder / "sentences.txt").write_text("\n".join(sentences), encoding="utf-8")
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(asdict(document)) + "\n" for document in documents)
    listed = {"passages": passages, "stretches": stretches, "digests": list(map(digest, headed))}
    (folder / "material.json").write_text(json.dumps(listed), encoding="utf-8")


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _document(row: dict) -> Document:
    marks, headings = (tuple(Mark(**mark) for mark in row[name]) for name in ("marks", "headings"))
    return Document(row["name"], row["uri"], row["title"], row["text"], marks, headings)


def _real(data: Path) -> Iterator[Document]:
    config = Config(ocr="off")
    for folder in (data / "financebench" / "pdfs", data / "squad" / "articles"):
        source = compose.source(config, folder)
        readings = {reading.entry.key: reading.document for reading in source.read(list(source.scan()))}
        yield from (document for _, document in sorted(readings.items()) if document)
    for path in sorted((data / "squadshifts").glob("*.jsonl")):
        texts: dict[str, dict[str, None]] = {}
        for row in map(json.loads, path.open(encoding="utf-8")):
            texts.setdefault(row["title"], {})[row["context"]] = None
        for title, contexts in texts.items():
            for part, held in enumerate(_parts(list(contexts), PARAGRAPHS), 1):
                name = f"{path.stem}/{title}_{part}.txt"
                yield Document(name, f"practice:{name}", title.replace("_", " "), "\n\n".join(held))


def _parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[i : i + size] for i in range(0, len(items), size))


class Grown:
    """A Source of the first documents that come to `passages` passages."""

    reader = "grown"
    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, material: Material, passages: int, changed: Sequence[int] = ()) -> None:
        self._material = material
        self._changed = set(changed)
        self.count = self.real = 0
        while passages > 0:
            real = self.count < len(material.documents)
            passages -= material.passages[self.count] if real else PARAGRAPHS - 1  # a short one may join its neighbour
            self.count += 1
            self.real += real

    def scan(self) -> Iterator[Entry]:
        for number in range(self.count):
            name, version = f"{number:06}.txt", f"{number}{'*' * (number in self._changed)}"
            yield Entry(b"grown/" + name.encode(), name, f"grown:{name}", version, 40_000)

    def covers(self, key: bytes) -> bool:
        return key.startswith(b"grown/")

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        for entry in entries:
            yield Reading(entry, Outcome(Status.INDEXED), self._document(int(entry.name[:6])))

    def _document(self, number: int) -> Document:
        dice = random.Random(f"{number}{number in self._changed}")
        first, last = dice.choice(self._material.stretches)
        if number < self.real:
            real = self._material.documents[number]
            more = f"\n\n{self._paragraph(dice, first, last)}" if number in self._changed else ""
            return replace(real, text=real.text + more)
        title = " ".join(dice.sample(self._material.sentences[first].split(), 3))
        paragraphs = [self._paragraph(dice, first, last) for _ in range(PARAGRAPHS)]
        return Document(f"{number:06}.txt", f"grown:{number}", f"{title} {number}", "\n\n".join(paragraphs))

    def _paragraph(self, dice: random.Random, first: int, last: int) -> str:
        start = dice.randrange(first, max(first + 1, last - STRETCH))
        drawn, letters = [], 0
        for sentence in dice.sample(self._material.sentences[start : min(last, start + STRETCH)], STRETCH // 2):
            if drawn and letters + len(sentence) > LETTERS:
                break
            drawn.append(sentence)
            letters += len(sentence)
        return "\n".join(drawn)


class Composing:
    """An Embedder that knows the real passages' vectors, and composes those of the others. Whatever it is asked, it
    counts tokens as the real one does. Questions are embedded by the real one."""

    def __init__(self, embedder: Embedder, material: Material) -> None:
        self._embedder = embedder
        self._material = material
        self._places = {sentence: place for place, sentence in enumerate(material.sentences)}

    @property
    def fingerprint(self) -> Fingerprint:
        return self._embedder.fingerprint

    def count(self, texts: Sequence[str]) -> list[int]:
        return self._embedder.count(texts)

    def embed_questions(self, texts: Sequence[str]) -> np.ndarray:
        return self._embedder.embed_questions(texts)

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.empty((len(texts), self.fingerprint.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            known = self._material.headed.get(digest(text))
            row[:] = self._composed(text) if known is None else self._material.headed_vectors[known]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _composed(self, text: str) -> np.ndarray:
        places = [place for line in text.split("\n") if (place := self._places.get(line)) is not None]
        if not places:  # a part of a sentence that is too long for one passage: it gets the vector of another sentence
            places = [zlib.crc32(text.encode()) % len(self._material.sentences)]
        lengths = np.asarray([len(self._material.sentences[place]) for place in places], np.float32)
        mean = lengths @ self._material.sentence_vectors[places].astype(np.float32)
        noise = np.random.default_rng(zlib.crc32(text.encode())).normal(size=len(mean))
        return mean / np.linalg.norm(mean) + JITTER * noise / np.linalg.norm(noise)
