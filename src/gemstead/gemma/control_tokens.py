"""Which token texts of a vocabulary are control tokens: typed by somebody, they would become the token itself.

llama.cpp turns the text of every CONTROL, UNKNOWN and USER_DEFINED token of a prompt into that one token, whoever wrote
it; USER_DEFINED ones even where it is told to read plain text.

Source: the loading of special tokens and tokenizer_st_partition in src/llama-vocab.cpp of llama.cpp b11434.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gemstead.gemma.tokens import TOOL_RESPONSE_OPEN

NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4
"""Token types as a GGUF file numbers them (`tokenizer.ggml.token_type`)."""

_RESERVED_START = b"<unused"
"""Gemma's spare tokens. Nothing was learned about them: an engine that meets them answers with more of them."""

_ALWAYS_CONTROL = frozenset(
    token.encode()
    for token in (
        *("<eos>", "</s>", "[EOS]", "<turn|>", "<|tool_response>", "<end_of_turn>", "<end_of_utterance>", "<EOT>"),
        *("_<EOT>", "[EOT]", "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>"),
        *("<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "[e~[", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
        *("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"),
        *("<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<PRE>", "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>"),
        *("<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<SUF>", "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>"),
        *("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<MID>", "\u2581<MID>", "<|code_middle|>", "<|middle|>"),
        *("<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cfim\u2581end\uff5c>"),
        *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|fim_repo|>", "<fim-repo>", "<REPO>"),
        *("<|repo_name|>", "<reponame>", "<|file_sep|>"),
    )
)
"""Texts that llama.cpp reads as control tokens of any vocabulary that has them, whatever type the file gives."""

_END_OF_TEXT = b"</s>"

_MARKER = re.compile(r"[_\u2581]?(?:<.+>|\[.+\])", re.DOTALL)
_HTML_TAG = re.compile(
    r"</?(?:a|abbr|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|colgroup|dd|del|details|"
    r"div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|"
    r"link|main|mark|meta|nav|ol|option|p|path|pre|q|s|samp|script|section|select|small|span|strike|strong|style|sub|"
    r"summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|var|video)>"
)


def control_tokens_of(tokens: Sequence[bytes], types: Sequence[int]) -> frozenset[str]:
    """The texts of a GGUF vocabulary's control tokens; `types` are the token types, in the same order.

    Of the USER_DEFINED ones only markers count: runs of white space, words and HTML tags are ordinary text that the
    vocabulary keeps in one piece. Texts of a single character are left out, and those that are no UTF-8.

    0.04 s for the 262,144 tokens of Gemma 4.
    """
    typed = [(token, kind) for token, kind in zip(tokens, types, strict=True) if kind != NORMAL]
    found = {token for token, kind in typed if kind in (CONTROL, UNKNOWN)}
    found |= {token for token, kind in typed if kind == USER_DEFINED and _is_marker(token)}
    overridden = _ALWAYS_CONTROL.intersection(tokens)
    if TOOL_RESPONSE_OPEN.encode() in overridden:
        overridden -= {_END_OF_TEXT}  # beside Gemma 4's own tokens it is the HTML tag
    found |= overridden
    found |= {token for token in tokens if token.startswith(_RESERVED_START) and token.endswith(b">")}
    texts = {token.decode(errors="replace") for token in found}
    return frozenset(text for text in texts if len(text) > 1 and "\ufffd" not in text)


def _is_marker(token: bytes) -> bool:
    text = token.decode(errors="replace")
    return _MARKER.fullmatch(text) is not None and _HTML_TAG.fullmatch(text) is None
