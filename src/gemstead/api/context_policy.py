"""The context policy a caller asks for, by header or in the body."""

from __future__ import annotations

from typing import get_args

import msgspec

from gemstead.core.errors import RequestInvalid
from gemstead.core.types import ChatRequest, ContextPolicy

HEADER = "x-gemstead-context-policy"

POLICIES: tuple[ContextPolicy, ...] = get_args(ContextPolicy)


def read_policy(name: str, param: str) -> ContextPolicy:
    """Raises: RequestInvalid naming the valid ones."""
    for policy in POLICIES:
        if policy == name:
            return policy
    raise RequestInvalid(f"unknown context policy {name[:40]!r}", param=param, hint=f"use {' or '.join(POLICIES)}")


def with_header(request: ChatRequest, header: str | None) -> ChatRequest:
    """`request` with the policy of the header, if there is one.

    Raises: RequestInvalid if it is unknown, or the body asks for another.
    """
    if header is None:
        return request
    policy = read_policy(header.strip().lower(), HEADER)
    if request.context_policy not in (None, policy):
        raise RequestInvalid(
            f"the header asks for context policy {policy!r} and the body for {request.context_policy!r}",
            param=HEADER,
            hint="send one of them",
        )
    return msgspec.structs.replace(request, context_policy=policy)
