"""What is recorded of each thing that happens: functions that make a record, and nothing else.

A record has `v` (this schema's version), `kind` and `at_ms` (milliseconds since 1970, UTC); times and sizes are whole
numbers. What is not known is null. No text of a prompt or a reply is ever in one, and no person's name: a person is a
pseudonym (`p-`), a text a keyed hash (`h-`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gemstead.evidence.canonical import Value

VERSION = 1

MAX_LISTED = 64
"""Tools, rules and the like named in one record: a caller must not choose how large it gets."""

MAX_NAME_CHARS = 128

Record = dict[str, Value]


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange as it begins: who asked what of which model, and what decided that it may.

    `exchange` is the request's id, which callers may choose: records are told apart by position. `action` is chat or
    embed. `key` is the key's public id. `model_digest`, `template` and `policy` are SHA-256 in hex; `policy` may be
    "built-in". `route_to` is the engine's kind. `prompt` is a keyed hash.
    """

    run: str
    exchange: str
    action: str
    model: str
    dialect: str = ""
    key: str | None = None
    actor: str | None = None
    user: str | None = None
    address: str = ""
    label: str = ""
    model_digest: str | None = None
    engine: str | None = None
    engine_build: str | None = None
    template: str | None = None
    policy: str | None = None
    rules: tuple[str, ...] = ()
    route_to: str | None = None
    route_why: str = "local"
    prompt: str | None = None


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchange ended. `status` is its finish reason, `error` an error's code.

    Seconds count from the moment it was asked to run. `catches` are the engine's broken promises as `kind:action`,
    `tools` the names that were called. `reply`, `reasoning` and `calls` are keyed hashes of what was given out.
    `content` is the SHA-256 of the encrypted content, where it is kept.
    """

    status: str
    error: str | None = None
    verdicts: tuple[str, ...] = ()
    catches: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    wait_s: float | None = None
    ttft_s: float | None = None
    total_s: float = 0.0
    energy_j: float | None = None
    energy_basis: str | None = None
    reply: str | None = None
    reasoning: str | None = None
    calls: str | None = None
    content: str | None = None
    num_dropped: int = 0
    num_neutralised: int = 0


def exchange_opened(opening: Opening, at_s: float) -> Record:
    return {
        "v": VERSION,
        "kind": "exchange.opened",
        "at_ms": to_ms(at_s),
        "run": opening.run,
        "exchange": opening.exchange,
        "action": opening.action,
        "key": opening.key,
        "actor": opening.actor,
        "user": opening.user,
        "address": opening.address,
        "label": opening.label,
        "dialect": opening.dialect,
        "model": opening.model,
        "model_digest": opening.model_digest,
        "engine": opening.engine,
        "engine_build": opening.engine_build,
        "template": opening.template,
        "policy": opening.policy,
        "rules": names(opening.rules),
        "route": {"to": opening.route_to, "why": opening.route_why},
        "prompt": opening.prompt,
    }


def exchange_closed(opening: Opening, position: int, closing: Closing, at_s: float) -> Record:
    """`position` is where the chain has the opening record."""
    return {
        "v": VERSION,
        "kind": "exchange.closed",
        "at_ms": to_ms(at_s),
        "run": opening.run,
        "exchange": opening.exchange,
        "opened": position,
        "key": opening.key,
        "actor": opening.actor,
        "model": opening.model,
        "status": closing.status,
        "error": closing.error,
        "verdicts": names(closing.verdicts),
        "catches": names(closing.catches),
        "tools": names(closing.tools),
        "tokens": {
            "prompt": closing.prompt_tokens,
            "cached": closing.cached_tokens,
            "completion": closing.completion_tokens,
            "reasoning": closing.reasoning_tokens,
        },
        "ms": {
            "wait": _thousandths(closing.wait_s),
            "ttft": _thousandths(closing.ttft_s),
            "total": _thousandths(closing.total_s),
        },
        "energy_mj": _thousandths(closing.energy_j),
        "energy_basis": closing.energy_basis,
        "reply": closing.reply,
        "reasoning": closing.reasoning,
        "calls": closing.calls,
        "content": closing.content,
        "dropped": closing.num_dropped,
        "neutralised": closing.num_neutralised,
    }


def exchange_refused(key: str | None, code: str, num: int, first_s: float, at_s: float) -> Record:
    """`num` requests of one key that one error code kept from the engine, since `first_s`."""
    return event("exchange.refused", at_s, key=key, code=code, num=num, first_ms=to_ms(first_s))


def sign_in_failed(network: str, reason: str, num: int, first_s: float, at_s: float) -> Record:
    """`network` is cut to /24 or /48; `num` failures since `first_s`."""
    return event("sign_in.failed", at_s, network=network, reason=reason, num=num, first_ms=to_ms(first_s))


def server_started(at_s: float, *, run: str, cut: Sequence[tuple[int, str]], settled: int, **fields: Value) -> Record:
    """`cut` are the exchanges (position of the opening record, id) that a run which is no more left open; none before
    position `settled` is open any more, so that the next start need not look there.
    """
    named: list[Value] = [{"opened": position, "exchange": exchange} for position, exchange in cut[:MAX_LISTED]]
    return event("server.started", at_s, run=run, cut=named, num_cut=len(cut), settled=settled, **fields)


def event(kind: str, at_s: float, **fields: Value) -> Record:
    """A record of any other kind."""
    return {"v": VERSION, "kind": kind, "at_ms": to_ms(at_s), **fields}


def to_ms(at_s: float) -> int:
    return round(at_s * 1000)


def names(given: Sequence[str]) -> list[Value]:
    """Names as a record may hold them: not too many, none too long, and Unicode whatever a model wrote."""
    return [name[:MAX_NAME_CHARS].encode("utf-8", "replace").decode() for name in given[:MAX_LISTED]]


def _thousandths(number: float | None) -> int | None:
    return None if number is None else round(number * 1000)
