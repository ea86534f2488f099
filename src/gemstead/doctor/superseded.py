"""Files that their publisher has replaced: the same name, other bytes, for a reason.

Known by digest, whole or the beginning of it, or by size where no digest was published. Source: the file lists of the
publishers' repositories and catalogues that quote them, read October and November 2026.
"""

from __future__ import annotations

import msgspec

from gemstead.catalog.manifests import StoredFile


class Superseded(msgspec.Struct, frozen=True):
    """One file as it was. Of `sha256` (or its beginning) and `size_bytes`, what is not None must be equal."""

    file: str
    why: str
    place: str
    size_bytes: int | None = None
    sha256: str | None = None

    def is_same(self, stored: StoredFile) -> bool:
        if self.sha256 is not None:
            return stored.sha256.startswith(self.sha256)
        return stored.name.rpartition("/")[2] == self.file and stored.size_bytes == self.size_bytes


_TOKENIZER_FIXES = "uploaded in April 2026, before the fixes to tokenizer and chat template were in the file"
_NEW_TEMPLATE = "replaced on 2026-07-17 by a file with the chat template of 2026-07-09"
_NEW_PROJECTOR = "an earlier conversion of the projector"

SUPERSEDED = (
    Superseded(
        "gemma-4-26B_q4_0-it.gguf",
        _NEW_TEMPLATE,
        "https://huggingface.co/google/gemma-4-26B-A4B-it-qat-q4_0-gguf",
        14_439_361_440,
    ),
    Superseded(
        "gemma-4-E2B-it-Q4_K_M.gguf",
        _TOKENIZER_FIXES,
        "https://huggingface.co/unsloth/gemma-4-E2B-it-GGUF",
        sha256="9378bc471710229ef165709b62e34bfb62231420ddaf6d729e727305b5b8672d",
    ),
    Superseded(
        "gemma-4-E2B-it-Q4_K_M.gguf",
        _TOKENIZER_FIXES,
        "https://huggingface.co/unsloth/gemma-4-E2B-it-GGUF",
        3_106_736_256,
    ),
    Superseded(
        "gemma-4-E4B-it-Q4_K_M.gguf",
        _TOKENIZER_FIXES,
        "https://huggingface.co/unsloth/gemma-4-E4B-it-GGUF",
        4_977_169_568,
    ),
    Superseded(
        "mmproj-gemma-4-E4B-it-Q8_0.gguf",
        _NEW_PROJECTOR,
        "https://huggingface.co/ggml-org/gemma-4-E4B-it-GGUF",
        559_874_528,
    ),
    Superseded(
        "mmproj-gemma-4-31B-it-Q8_0.gguf",
        _NEW_PROJECTOR,
        "https://huggingface.co/ggml-org/gemma-4-31B-it-GGUF",
        sha256="1e8de54a30a5d08fa400c8d956a5ef7f8ad5ba51a39b860d1ccb463d7c330c37",
    ),
)


def superseded_as(stored: StoredFile) -> Superseded | None:
    """What is known about `stored` having been replaced; None: nothing."""
    return next((known for known in SUPERSEDED if known.is_same(stored)), None)
