"""How a request is let in: policy, limits, line; and how it is settled, whatever becomes of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec

from gemstead.access.fair_queue import FairQueue, Ticket
from gemstead.access.limit_values import NO_LIMITS, Limits, limits_of, smallest
from gemstead.access.limits import Claim, LimitKeeper, Reservation
from gemstead.access.policy import Decision, Policy, Query
from gemstead.access.policy_file import LABELS, Action, Label
from gemstead.core.caller import Caller, Origin
from gemstead.core.errors import PolicyRefused, QuotaExceeded
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


MAX_ASIDE = 8
"""Token counts and the like at once: each may keep the engine's tokenizer busy with a whole book."""

MAX_ASIDE_WAITING = 64
ASIDE_WAIT_S = 60.0

SEEN_BY: tuple[Action, ...] = ("chat", "embed")
"""What a model is listed for."""


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


class Place(msgspec.Struct, frozen=True):
    """One request's grant, and all that has to be settled when it is over."""

    grant: Grant
    needs: Needs
    reservation: Reservation
    ticket: Ticket


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
        self.queue = queue
        self._aside = FairQueue(MAX_ASIDE, MAX_ASIDE_WAITING, ASIDE_WAIT_S)
        self._count_tokens = count_tokens
        self._context_length = context_length
        self._terms = terms
        self._own: dict[tuple[tuple[str, int], ...], Limits] = {}

    def admit(self, request: Asked) -> AbstractAsyncContextManager[Grant]:
        """Holds a place, and what was reserved, while the block runs.

        Raises: PolicyRefused; QuotaExceeded; EngineBusy; LimitsUnavailable; with a limit near, whatever counting does.
        """
        return _Place(self, self._keeper, request)

    async def reserved(self, request: Asked) -> Place:
        """What `request` is granted, reserved but not in line yet. Raises: as `admit`, but for EngineBusy."""
        decision = self._allowed(request)
        claim, limits = self._claim(decision, request)
        needs, reservation = await self._reserved(request, claim, limits)
        label = _label(request.origin.label, self._policy().file.default_label)
        grant = Grant(decision, max_tokens=needs.max_tokens, warnings=needs.warnings, label=label)
        return Place(grant, needs, reservation, _ticket(request, min(needs.tokens, _guess(request)), limits))

    @asynccontextmanager
    async def admit_aside(self, request: Asked) -> AsyncGenerator[None]:
        """For what generates nothing: counting tokens, loading a model. The same policy and limits of requests, no
        tokens, and no place in the line of those who wait for an answer, but one in a short line of its own.

        Raises: PolicyRefused; QuotaExceeded; EngineBusy; LimitsUnavailable.
        """
        decision = self._allowed(request)
        claim, limits = self._claim(decision, request)
        reservation = await self._keeper.reserve(claim, 0)
        is_let_in = False
        try:
            async with self._aside.place(_ticket(request, 1, limits)):
                is_let_in = True
                yield
        finally:
            if is_let_in:
                self._keeper.settle(reservation, 0)
            else:
                self._keeper.cancel(reservation)

    def may_see(self, caller: Caller, model: str, dialect: str) -> bool:
        """Whether some request of `caller` to `model` would be allowed, with some label."""
        policy = self._policy()
        return any(
            policy.decide(self._query(Origin(caller, dialect=dialect, label=label), action, model)).is_allowed
            for action in SEEN_BY
            for label in LABELS
        )

    def decide(self, request: Asked) -> Decision:
        if isinstance(request, EmbedRequest):
            return self._policy().decide(self._query(request.origin, "embed", request.model))
        tools = tuple([tool.name for tool in request.tools])
        return self._policy().decide(self._query(request.origin, "chat", request.model, tools))

    def state(self, request: Asked) -> QuotaState | None:
        """What is left for requests like this one; None if nothing is counted for them."""
        decision = self.decide(request)
        if not decision.is_allowed:
            return None
        claim, _limits = self._claim(decision, request)
        return None if claim.is_empty() else self._keeper.state(claim)

    def _query(self, origin: Origin, action: Action, model: str, tools: tuple[str, ...] = ()) -> Query:
        caller = origin.caller
        return Query(
            action=action,
            model=model,
            label=_label(origin.label, self._policy().file.default_label),
            groups=caller.groups,
            dialect=origin.dialect,
            tools=tools,
            key_models=caller.models,
            key_tools=caller.tools,
            key_labels=self._terms.labels(caller.key_id),
        )

    def _allowed(self, request: Asked) -> Decision:
        """Raises: PolicyRefused."""
        decision = self.decide(request)
        if not decision.is_allowed:
            raise PolicyRefused(decision.why, hint="ask who runs this server; gemstead policy explain tells them more")
        return decision

    async def _reserved(self, request: Asked, claim: Claim, limits: Limits) -> tuple[Needs, Reservation]:
        """Raises: as `admit`."""
        needs = await self._needs(request, claim, limits)
        try:
            return needs, await self._keeper.reserve(claim, needs.tokens)
        except QuotaExceeded:
            # Others have spent meanwhile. What they left may be enough for an answer that may be shorter.
            again = await self._needs(request, claim, limits)
            if again.tokens >= needs.tokens:
                raise
            return again, await self._keeper.reserve(claim, again.tokens)

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
        if left is None and limits.max_context_tokens is None:
            return self._bounded(request, self._context_length, limits)
        bound = min(_prompt_bound(request), self._context_length)
        needs = self._bounded(request, bound, limits)
        if _fits(bound, limits.max_context_tokens) and _fits(needs.tokens, left):
            return needs
        self._keeper.look(claim)
        left = self._keeper.remaining_tokens(claim)
        if left is not None and left < 1:
            self._keeper.check(claim, 1)
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


class _Place(AbstractAsyncContextManager[Grant]):
    """`Governed.admit` for one request: a class, because a generator costs twice as much, on every request."""

    def __init__(self, governed: Governed, keeper: LimitKeeper, request: Asked) -> None:
        self._governed = governed
        self._keeper = keeper
        self._request = request
        self._place: Place | None = None

    async def __aenter__(self) -> Grant:
        place = await self._governed.reserved(self._request)
        try:
            await self._governed.queue.enter(place.ticket)
        except BaseException:
            self._keeper.cancel(place.reservation)
            raise
        self._place = place
        return place.grant

    async def __aexit__(self, *_exc: object) -> None:
        place, queue = self._place, self._governed.queue
        assert place is not None
        taken = place.grant.tokens_taken(place.needs.prompt_tokens, place.needs.tokens)
        queue.settle(place.ticket, max(1, taken))
        queue.leave(place.ticket)
        self._keeper.settle(place.reservation, taken)


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
