"""Builds of llama.cpp that answer Gemma 4 wrongly, by range.

Build numbers are those of llama.cpp's own releases. A bug's first good build is the first release known to have the
fix; where only the day of the merge is known, the first release certainly after it. Read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

from gemstead.doctor.finding import Severity

Part: TypeAlias = Literal["every", "images", "drafters", "gpu"]


class KnownBug(msgspec.Struct, frozen=True):
    """Builds from `first_bad` up to `first_good`, exclusive; None: from the beginning, and not fixed yet.

    `part` says for whom it matters: everybody, who has a projector or a drafter in the store, or who runs on a GPU.
    """

    symptom: str
    severity: Severity
    source: str
    first_bad: int | None = None
    first_good: int | None = None
    part: Part = "every"

    def is_in(self, build: int | None) -> bool:
        """Whether `build` has it. None: newer than every numbered build."""
        if build is None:
            return self.first_good is None
        return (self.first_bad or 0) <= build and (self.first_good is None or build < self.first_good)


_UPSTREAM = "https://github.com/ggml-org/llama.cpp"

LLAMA_CPP_BUGS = (
    KnownBug("it does not know Gemma 4", "error", f"{_UPSTREAM}/pull/21309", first_good=8639),
    KnownBug("runs of newlines become wrong tokens", "error", f"{_UPSTREAM}/pull/21343", first_good=8661),
    KnownBug("the cap of the final logits is not applied", "error", f"{_UPSTREAM}/pull/21390", first_good=8662),
    KnownBug("tool calls are not read, or go round in circles", "error", f"{_UPSTREAM}/pull/21418", first_good=8665),
    KnownBug("answers are `<unused24>` without end on GPUs", "error", f"{_UPSTREAM}/issues/21321", first_good=8702),
    KnownBug("a quantized KV cache costs much quality", "error", f"{_UPSTREAM}/pull/21513", first_good=8702),
    KnownBug("the text `</s>` ends an answer early", "error", f"{_UPSTREAM}/pull/21492", first_good=8702),
    KnownBug("images are sized wrongly", "warning", f"{_UPSTREAM}/pull/24014", first_good=9493, part="images"),
    KnownBug(
        *("it aborts while it loads the projector of E2B or E4B", "error", f"{_UPSTREAM}/issues/24084"),
        first_bad=9493,
        first_good=9503,
        part="images",
    ),
    KnownBug(
        *("it cannot load the projector of 12B", "warning", "https://github.com/ollama/ollama/pull/16511"),
        first_good=9509,
        part="images",
    ),
    KnownBug("it cannot use MTP drafters", "note", f"{_UPSTREAM}/pull/23398", first_good=10066, part="drafters"),
    KnownBug(
        *("31B may answer `<unused49>` without end after hours of rest", "note", f"{_UPSTREAM}/issues/26088"),
        first_bad=10107,
        part="gpu",
    ),
)


UNNUMBERED = ("b0", "b1")
"""How programs from before mid 2026 call themselves when they were built without their history."""


def build_in(text: str) -> int | None:
    """The build number in a version or a sentence, such as `b8645`; None where there is none."""
    match = re.search(r"\bb(\d{1,6})\b", text)
    return int(match[1]) if match else None


def bugs_of(build: int | None) -> Iterator[KnownBug]:
    """The known bugs of one build; None: of builds newer than every numbered one."""
    return (bug for bug in LLAMA_CPP_BUGS if bug.is_in(build))
