"""How a request is let in: policy, limits, line; and how it is settled, whatever becomes of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec

from gemstead.access.fair_queue import FairQueue, Ticket
from gemstead.access.limit_values import NO_LIMITS, Limits, limits_of, smallest
from gemstead.access.limits import Claim, LimitKeeper
from gemstead.access.policy import Decision, Policy, Query
from gemstead.access.policy_file import LABELS, Label
from gemstead.core.errors import PolicyRefused
from gemstead.core.quota import QuotaState
from gemstead.core.types import AudioPart, ChatRequest, EmbedRequest, ImagePart, Warning
from gemstead.pipeline.context import num_bytes, prompt_bounds
from gemstead.pipeline.embed import SPECIAL_TOKENS
from gemstead.pipeline.grant import Grant

Asked = ChatRequest | EmbedRequest

BYTES_PER_TOKEN = 4
"""A guess, for who is next only: what counts is counted."""

USUAL_ANSWER_TOKENS = 256

MOST_MEDIUM_TOKENS = 4096
"""A picture or a sound takes fewer; with it the limit is checked without decoding."""


class KeyTerms(msgspec.Struct, frozen=True):
    """What a caller's own key says besides the caller: named limits, and the data labels it is for."""

    quota: Callable[[str | None], Mapping[str, int]] = lambda _key_id: {}
    labels: Callable[[str | None], tuple[str, ...]] = lambda _key_id: ()


class Needs(msgspec.Struct, frozen=True):
    """What one request may take: `tokens` in all, `prompt_tokens` of them for the prompt at most.

    `max_tokens` is how long the answer may be; None: as the request says, or as the context length allows.
    """

    tokens: int
    prompt_tokens: int
    max_tokens: int | None = None
    warnings: tuple[Warning, ...] = ()


class Governed:
    """Implements `Exchange.admit` for callers with keys. `count_tokens` counts a prompt exactly, with the engine;
    `context_length` is what one request may take at most.
    """

    def __init__(
        self,
        policy: Callable[[], Policy],
        keeper: LimitKeeper,
        queue: FairQueue,
        *,
        count_tokens: Callable[[Asked], Awaitable[int]],
        context_length: int,
        terms: KeyTerms = KeyTerms(),  # noqa: B008 (frozen)
    ) -> None:
        self._policy = policy
        self._keeper = keeper
        self._queue = queue
        self._count_tokens = count_tokens
        self._context_length = context_length
        self._terms = terms
        self._own: dict[tuple[tuple[str, int], ...], Limits] = {}

    @asynccontextmanager
    async def admit(self, request: Asked) -> AsyncGenerator[Grant]:
        """Holds a place, and what was reserved, while the block runs.

        Raises: PolicyRefused; QuotaExceeded; EngineBusy; LimitsUnavailable; with a limit near, whatever counting does.
        """
        decision = self.decide(request)
        if not decision.is_allowed:
            raise PolicyRefused(decision.why, hint="ask who runs this server; gemstead policy explain tells them more")
        claim, limits = self._claim(decision, request)
        needs = await self._needs(request, claim, limits)
        grant = Grant(decision, max_tokens=needs.max_tokens, warnings=needs.warnings)
        reservation = await self._keeper.reserve(claim, needs.tokens)
        taken: int | None = None
        ticket = _ticket(request, min(needs.tokens, _guess(request)), limits)
        try:
            async with self._queue.place(ticket):
                taken = 0
                try:
                    yield grant
                finally:
                    taken = grant.tokens_taken(needs.prompt_tokens, needs.tokens)
                    self._queue.settle(ticket, max(1, taken))
        finally:
            if taken is None:
                self._keeper.cancel(reservation)
            else:
                self._keeper.settle(reservation, taken)

    def decide(self, request: Asked) -> Decision:
        policy, caller = self._policy(), request.origin.caller
        chat = request if isinstance(request, ChatRequest) else None
        return policy.decide(
            Query(
                action="embed" if chat is None else "chat",
                model=request.model,
                label=_label(request.origin.label, policy.file.default_label),
                groups=caller.groups,
                dialect=request.origin.dialect,
                tools=tuple(tool.name for tool in chat.tools) if chat else (),
                key_models=caller.models,
                key_tools=caller.tools,
                key_labels=self._terms.labels(caller.key_id),
            )
        )

    def state(self, request: Asked) -> QuotaState | None:
        """What is left for requests like this one; None if nothing is counted for them."""
        decision = self.decide(request)
        if not decision.is_allowed:
            return None
        claim, _limits = self._claim(decision, request)
        return None if claim.is_empty() else self._keeper.state(claim)

    def _claim(self, decision: Decision, request: Asked) -> tuple[Claim, Limits]:
        caller = request.origin.caller
        own = self._own_limits(self._terms.quota(caller.key_id))
        claim = self._keeper.claim(decision, own, caller, request.model)
        return claim, decision.limits if own is NO_LIMITS else smallest((decision.limits, own))

    def _own_limits(self, quota: Mapping[str, int]) -> Limits:
        if not quota:
            return NO_LIMITS
        known = tuple(quota.items())
        if known not in self._own:
            self._own[known] = limits_of(quota)
        return self._own[known]

    async def _needs(self, request: Asked, claim: Claim, limits: Limits) -> Needs:
        """What to reserve. The prompt is counted only where its bound does not fit.

        Raises: PolicyRefused for a prompt that is too long; QuotaExceeded where an answer of one token has no room.
        """
        left = self._keeper.remaining_tokens(claim)
        if left is not None and left < 1:
            self._keeper.check(claim, 1)
        if left is None and limits.max_context_tokens is None:
            return self._bounded(request, self._context_length, limits)
        bound = min(_prompt_bound(request), self._context_length)
        needs = self._bounded(request, bound, limits)
        if _fits(bound, limits.max_context_tokens) and _fits(needs.tokens, left):
            return needs
        prompt_tokens = await self._count_tokens(request)
        if not _fits(prompt_tokens, limits.max_context_tokens):
            raise PolicyRefused(
                f"the prompt has {prompt_tokens} tokens, and {limits.max_context_tokens} are allowed",
                hint="shorten the conversation",
            )
        return self._counted(request, self._bounded(request, prompt_tokens, limits), claim)

    def _bounded(self, request: Asked, prompt_tokens: int, limits: Limits) -> Needs:
        """Prompt and answer together never have more tokens than the context length; texts to embed may."""
        if isinstance(request, EmbedRequest):
            return Needs(prompt_tokens, prompt_tokens)
        asked, most = request.sampling.max_tokens, limits.max_output_tokens
        warnings: tuple[Warning, ...] = ()
        if most is not None and (asked is None or asked > most):
            warnings = () if asked is None else (_say_shorter(asked, most, "the policy allows"),)
            asked = most
        longest = max(prompt_tokens, self._context_length)
        tokens = longest if asked is None else min(longest, prompt_tokens + asked)
        return Needs(tokens, prompt_tokens, asked, warnings)

    def _counted(self, request: Asked, needs: Needs, claim: Claim) -> Needs:
        """With the prompt counted: an answer whose length was left open takes what is left, and says so."""
        left = self._keeper.remaining_tokens(claim)
        if left is None or needs.tokens <= left or isinstance(request, EmbedRequest):
            return needs
        if request.sampling.max_tokens is not None or left <= needs.prompt_tokens:
            return needs  # `reserve` refuses it with the numbers
        cut = left - needs.prompt_tokens
        warning = _say_shorter(needs.tokens - needs.prompt_tokens, cut, "the limits leave")
        return Needs(left, needs.prompt_tokens, cut, (*needs.warnings, warning))


def _say_shorter(asked: int, given: int, who: str) -> Warning:
    message = f"the answer may have {given} tokens, not {asked}: more than {who}"
    return Warning(code="answer_limited", message=message, param="max_tokens")


def _ticket(request: Asked, cost: int, limits: Limits) -> Ticket:
    return Ticket(
        flow=request.origin.caller.key_id or "",
        cost=max(1, cost),
        weight=limits.weight or 1,
        max_running=limits.concurrent_requests,
        max_waiting=limits.waiting_requests,
    )


def _guess(request: Asked) -> int:
    """Tokens, roughly."""
    if isinstance(request, EmbedRequest):
        return 1 + sum(len(text) for text in request.texts) // BYTES_PER_TOKEN
    chars = sum(len(message.text) for message in request.messages) + len(request.prompt or "")
    return chars // BYTES_PER_TOKEN + min(request.sampling.max_tokens or USUAL_ANSWER_TOKENS, USUAL_ANSWER_TOKENS)


def _prompt_bound(request: Asked) -> int:
    """No prompt has more tokens: each byte is one at the most."""
    if isinstance(request, EmbedRequest):
        return sum(num_bytes(text) + SPECIAL_TOKENS for text in request.texts)
    media = sum(isinstance(part, ImagePart | AudioPart) for message in request.messages for part in message.content)
    return next(prompt_bounds(request, media * MOST_MEDIUM_TOKENS))


def _label(given: str, default: Label) -> Label:
    return next((label for label in LABELS if label == given), default)


def _fits(number: int, limit: int | None) -> bool:
    return limit is None or number <= limit
