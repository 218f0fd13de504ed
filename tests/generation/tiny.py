"""A real Llama small enough to be written by hand.

Its layers add nothing, so the last token alone decides the next one: `tiny_llama` writes a table of successors into
the output head, and the model then says what the test scripts, through the same loading and decoding as a 7B.
`random_llama` is one whose every token depends on the whole prompt.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rag.generation.formats import stable_beluga
from rag.types import Message

TURNS = [Message("system", "Be brief."), Message("user", "What does Alpha cost?")]
SAID = "Alpha costs 20 euros [1]."
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(pieces: str = "bytes") -> PreTrainedTokenizerFast:
    """Trained on the spot: byte-level as GPT-2's, or with word-joint marks as Llama 2's."""
    specials = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    if pieces == "bytes":
        core = Tokenizer(models.BPE())
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        core = Tokenizer(models.BPE(unk_token="<unk>"))
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        core.decoder = decoders.Metaspace(prepend_scheme="first")
        alphabet = sorted(set(stable_beluga(TURNS)))
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([stable_beluga(TURNS), SAID, "### User: ### System: Useful"] * 3, trainer)
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def tiny_llama(
    folder: Path,
    said: str,
    pieces: str = "bytes",
    template: str | None = None,
    loop: bool = False,
    max_position_embeddings: int = 256,
) -> Path:
    """Saves a model that, asked anything in Stable Beluga's format or ChatML, says `said` and ends (or starts over)."""
    words = tokenizer(pieces)
    words.chat_template = template
    size = len(words)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=512,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=max_position_embeddings,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    network = LlamaForCausalLM(config)
    script = words(said, add_special_tokens=False)["input_ids"]
    before = words("### Assistant:\n", add_special_tokens=False)["input_ids"][-1]
    steps = [before, *script, before if loop else 2]
    assert len(set(steps[:-1])) == len(steps) - 1, "each token can have one successor only"
    with torch.no_grad():
        for layer in network.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        network.model.embed_tokens.weight.copy_(torch.eye(size, 512))
        network.lm_head.weight.zero_()
        for token, following in pairwise(steps):
            network.lm_head.weight[following, token] = 1.0
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def random_llama(folder: Path, seed: int = 3, **config: Any) -> Path:
    """Saves a model with random weights, large enough that no two tokens are nearly as likely."""
    words = tokenizer()
    torch.manual_seed(seed)
    settings = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.3,
    } | config
    shape = LlamaConfig(vocab_size=len(words), bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, **settings)
    LlamaForCausalLM(shape).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
