"""Text to token ids as a model's own tokenizer.json says, without transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag.encoder.checkpoint import Checkpoint
from rag.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from tokenizers.normalizers import Normalizer

WINDOW = 8192  # texts tokenized at once: an encoding takes some 100 bytes a token until its ids are taken out


class TextTokenizer:
    """Token counts and rows of token ids. `lead` and `tail` are the special tokens around every text."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._tokenizer = load_tokenizer(checkpoint)
        probe = self._tokenizer.encode("a")
        ordinary = [place for place, special in enumerate(probe.special_tokens_mask) if not special]
        self.lead = probe.ids[: ordinary[0]] if ordinary else []
        self.tail = probe.ids[ordinary[-1] + 1 :] if ordinary else []
        self._room = checkpoint.max_tokens - len(self.lead) - len(self.tail)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens in each text, special tokens left out, however long it is."""
        return [len(encoding) for encoding in self._encode(texts)]

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut to the model's window, special tokens included."""
        return [self.lead + encoding.ids[: self._room] + self.tail for encoding in self._encode(texts)]

    def placed(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Token ids of each text, uncut and without special tokens, and the characters (start, end) of each token."""
        encodings = self._tokenizer.encode_batch([valid(text) for text in texts], add_special_tokens=False)
        return [(encoding.ids, encoding.offsets) for encoding in encodings]

    def _encode(self, texts: Sequence[str]) -> Iterator[Encoding]:
        for start in range(0, len(texts), WINDOW):
            window = [valid(text) for text in texts[start : start + WINDOW]]
            yield from self._tokenizer.encode_batch_fast(window, add_special_tokens=False)


def valid(text: str) -> str:
    """Lone surrogates, which file names and damaged text carry, are no text: the tokenizer refuses them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def load_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """The tokenizers.Tokenizer of a model, which neither pads nor cuts. Raises ModelError."""
    from tokenizers import Tokenizer

    path = checkpoint.transformer / "tokenizer.json"
    if not path.is_file():
        return _converted(checkpoint.transformer)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for whatever the file lacks
        raise ModelError(f"{path} cannot be read ({error}). Get the model again.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if checkpoint.lowercase:
        tokenizer.normalizer = _lowercased(tokenizer)
    return tokenizer


def _lowercased(tokenizer: Tokenizer) -> Normalizer:
    from tokenizers.normalizers import Lowercase, Sequence

    return Sequence([Lowercase(), tokenizer.normalizer] if tokenizer.normalizer else [Lowercase()])


def _converted(folder: Path) -> Tokenizer:
    """For models that keep an older vocabulary file: transformers builds the same tokenizer from it, slowly."""
    from transformers import AutoTokenizer

    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
        return tokenizer
    except Exception as error:  # transformers raises what its tokenizers raise: OSError, ValueError, KeyError, …
        raise ModelError(f"{folder} has no tokenizer.json, and none can be made from its files ({error}).") from error
