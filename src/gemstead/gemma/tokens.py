"""How Gemma 4 spells its control tokens.

Two spellings of one pair differ only in the side of the bar: `<|turn>` opens, `<turn|>` closes. Tokens with a bar on
both sides stand alone.

Source: the vocabulary of google/gemma-4 as llama.cpp b11434 keeps it (models/ggml-vocab-gemma-4.gguf) and the special
tokens of transformers 5.23 (models/gemma4), both read in November 2026.
"""

from __future__ import annotations

PAD = "<pad>"
EOS = "<eos>"
BOS = "<bos>"
UNK = "<unk>"
MASK = "<mask>"

TURN_OPEN = "<|turn>"
TURN_CLOSE = "<turn|>"
THINK = "<|think|>"
"""In the system turn: the model thinks before it answers."""
CHANNEL_OPEN = "<|channel>"
CHANNEL_CLOSE = "<channel|>"
THOUGHT_OPEN = CHANNEL_OPEN + "thought\n"
"""How a thought begins: the channel token, the channel's name and a newline, which are not part of the thought."""

TOOL_OPEN = "<|tool>"
TOOL_CLOSE = "<tool|>"
TOOL_CALL_OPEN = "<|tool_call>"
TOOL_CALL_CLOSE = "<tool_call|>"
TOOL_RESPONSE_OPEN = "<|tool_response>"
"""Before a tool's result; the model ends its turn with it when it waits for results."""
TOOL_RESPONSE_CLOSE = "<tool_response|>"
QUOTE = '<|"|>'
"""Before and after a string inside declarations, calls and responses: nothing within it is escaped."""

IMAGE = "<|image|>"
AUDIO = "<|audio|>"
VIDEO = "<|video|>"
"""Placeholders, one a medium: the engine puts the soft tokens in their place."""
IMAGE_OPEN = "<|image>"
IMAGE_CLOSE = "<image|>"
AUDIO_OPEN = "<|audio>"
AUDIO_CLOSE = "<audio|>"
