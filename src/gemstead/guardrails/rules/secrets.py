"""Secrets: keys and tokens by the prefixes of their issuers, private keys, and values that are called a secret.

Detects: keys of AWS, GitHub, GitLab, Slack, Google, Hugging Face, OpenAI, Anthropic, Stripe, npm, PyPI, SendGrid,
    DigitalOcean, Shopify, Telegram, age and gemstead; JWTs; private keys in PEM; passwords in URLs; any value of 8
    characters or more that looks generated and stands behind a name like `api_key=` or `password:`, also in FR, DE,
    ES, IT.
Input: any text, folded as for personal data.
Verdict: there is no score. A prefix with the right length and alphabet counts by itself; a value needs its name
    before it.
Never filled: whether a key works. Nothing is sent anywhere to find out.
Known misses: passwords of ordinary words; a secret that nothing names; one that is encoded once more (base64, hex);
    one that is split by blanks, quotes or line ends.
Source: the issuers' documentation of their formats (read 2026-11).
"""

from __future__ import annotations

from gemstead.guardrails.base import Guard, Passage, Replace, Screen
from gemstead.guardrails.detect.credentials import KINDS, Credentials
from gemstead.guardrails.span_screen import SpanScreen


def _opens(passage: Passage, replace: Replace) -> Screen:  # noqa: ARG001 (one signature)
    return SpanScreen("secrets", Credentials(), replace)


GUARD = Guard(
    name="secrets",
    detects="keys, tokens, private keys and passwords",
    kinds=KINDS,
    stages=frozenset({"input", "output", "tool_call", "tool_result"}),
    opens=_opens,
    default="off",
    order=30,
    is_blocking=False,
    measured_on="secrets",
)
