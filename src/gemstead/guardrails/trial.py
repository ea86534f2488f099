"""The guards over one text, outside any request: for people who want to see what they do."""

from __future__ import annotations

import msgspec

from gemstead.guardrails.base import Finding, Passage, mask_text
from gemstead.guardrails.registry import every_guard, named_guards


class Trial(msgspec.Struct, frozen=True):
    """`findings` of each guard over the text as it was given; `masked` is what the text becomes behind all of them."""

    findings: tuple[Finding, ...]
    masked: str


def try_text(text: str, names: list[str]) -> Trial:
    """Every guard, or those named. Raises: NameUnknown."""
    findings: list[Finding] = []
    masked = text
    for guard in named_guards(names) if names else every_guard():
        alone = guard.opens(Passage(stage="output"), lambda _found, written: written)
        alone.feed(text)
        alone.close()
        findings += alone.findings
        behind = guard.opens(
            Passage(stage="output"),
            lambda found, _written: mask_text(found.kind) if found.replacement is None else found.replacement,
        )
        masked = behind.feed(masked) + behind.close()
    return Trial(tuple(sorted(findings, key=lambda finding: (finding.start, finding.end))), masked)
