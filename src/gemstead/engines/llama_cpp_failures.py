"""What llama-server says before it dies, in words a person can act on.

Source: its messages in src/llama-model-loader.cpp, src/llama-model.cpp, ggml/src and common/arg.cpp (llama.cpp
0c1e57098, read 2026-11), most of them seen in trials.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from gemstead.engines.base import Diagnosis
from gemstead.engines.llama_cpp_receipt import INSTALL_HINT

_LINE_HEAD = re.compile(r"^[\d.]+ [A-Z] (srv|cmn|slot)? *")
"""Time, level and part, as llama-server begins its lines."""

_SIGNS = (
    (
        r"unknown model architecture: '([^']*)'",
        Diagnosis("this llama.cpp does not know the architecture of the model", f"update it: {INSTALL_HINT}"),
    ),
    (
        r"out of memory|failed to allocate|unable to allocate|cannot allocate memory|std::bad_alloc",
        Diagnosis("there was not enough memory", "gemstead plan", is_out_of_memory=True),
    ),
    (
        r"invalid magic|within the file bounds|failed to read|invalid split|missing tensor|wrong number of tensors",
        Diagnosis("the model file is damaged, or not a model of this kind", "gemstead models verify"),
    ),
    (
        r"failed to load (clip model|multimodal model)",
        Diagnosis("the projector (mmproj) is damaged, or not this model's", "gemstead models verify"),
    ),
    (
        r"error: invalid argument: (\S+)|unknown argument",
        Diagnosis("this llama-server does not know a flag it was given", f"use gemstead's own: {INSTALL_HINT}"),
    ),
    (
        r"couldn't bind HTTP server socket|address already in use",
        Diagnosis("it could not listen where it was told to", "run it again"),
    ),
    (
        r"error while loading shared libraries|library not loaded",
        Diagnosis("a library it was built with is missing", f"rebuild it: {INSTALL_HINT}"),
    ),
    (
        r"requires flash_attn|flash attention .* not supported",
        Diagnosis("this model or device cannot use a quantized KV cache", "start it with --kv f16"),
    ),
)


def diagnose(tail: Sequence[str]) -> Diagnosis | None:
    """The cause, from the last lines of the log; None where they do not tell. The first cause said is the one."""
    for line in tail:
        for pattern, diagnosis in _SIGNS:
            if re.search(pattern, line, re.IGNORECASE):
                why = f"{diagnosis.why}: {_LINE_HEAD.sub('', line).strip()}"
                return msgspec.structs.replace(diagnosis, why=why)
    return None
