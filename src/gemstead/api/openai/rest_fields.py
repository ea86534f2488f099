"""Every documented field of completions, embeddings and audio transcriptions, and what is done with it.

Source: OpenAI API reference, "Create completion", "Create embeddings", "Create transcription", and the parameter types
of the official Python client 3.54.
"""

from __future__ import annotations

from gemstead.api.dialect import Field
from gemstead.api.openai.fields import CHAT_FIELDS, EXTRA_FIELDS

DEFAULT_MAX_TOKENS = 16
"""The documented default of completions: a raw prompt rarely ends by itself."""

_SHARED_WITH_CHAT = (
    "frequency_penalty",
    "logit_bias",
    "model",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "user",
)

COMPLETION_FIELDS: dict[str, Field] = {
    **{name: CHAT_FIELDS[name] for name in _SHARED_WITH_CHAT},
    "prompt": Field("honoured", "one text, no template around it; lists of several and token ids are refused"),
    "best_of": Field("refused", "one choice a request", (1,)),
    "echo": Field("honoured", "the prompt comes first in the text"),
    "logprobs": Field("refused", "log probabilities are not offered yet"),
    "max_tokens": Field("honoured", f"{DEFAULT_MAX_TOKENS} if left out, as the API has it"),
    "suffix": Field("refused", "the models here do not fill in the middle", ("",)),
}

COMPLETION_EXTRA_FIELDS: dict[str, Field] = {
    name: EXTRA_FIELDS[name] for name in ("min_p", "repeat_penalty", "repetition_penalty", "top_k")
}

EMBEDDING_FIELDS: dict[str, Field] = {
    "input": Field("honoured", "a text, or up to 2048 of them; token ids are refused: every model has its own"),
    "model": CHAT_FIELDS["model"],
    "dimensions": Field("honoured", "only the model's own number: its vectors do not keep their meaning when cut"),
    "encoding_format": Field("honoured", "float (the default) or base64"),
    "user": CHAT_FIELDS["user"],
}

TRANSCRIPTION_FIELDS: dict[str, Field] = {
    "file": Field("honoured", "WAV or MP3, as long as the model hears at once (Gemma 4: 30 s)"),
    "model": Field("honoured", "a name from /v1/models, of a model that hears"),
    "chunking_strategy": Field("refused", "the sound is heard whole", ("auto",)),
    "include": Field("refused", "log probabilities are not offered yet"),
    "keywords": Field("honoured", "told to the model"),
    "known_speaker_names": Field("refused", "speakers are not told apart"),
    "known_speaker_references": Field("refused", "speakers are not told apart"),
    "language": Field("honoured", "told to the model"),
    "languages": Field("honoured", "told to the model"),
    "prompt": Field("honoured", "told to the model"),
    "response_format": Field("honoured", "json (the default) or text; those with times or speakers are refused"),
    "stream": Field("honoured", "server-sent events; not with response_format text"),
    "temperature": Field("honoured", "0 to 1; 0 if left out"),
    "timestamp_granularities": Field("refused", "the model does not say when a word was spoken"),
}
