"""`gemstead bench compare --live`: two settings of one model, both running, asked in turn."""

from __future__ import annotations

import asyncio
from typing import get_args

from gemstead.app.bench_engine import BenchEngine, opened_engine
from gemstead.app.bench_run import Asked, protocol_of
from gemstead.app.choose import choose, provide_choice
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.app.tuned import without_tuned
from gemstead.bench.changes import Changes
from gemstead.bench.compare import Comparison, compare_pairs
from gemstead.bench.corpus import own_corpus
from gemstead.bench.measures import Answer, measure
from gemstead.bench.run import Asker
from gemstead.bench.target import open_session
from gemstead.core.errors import DoesNotFit, NameUnknown, RequestInvalid
from gemstead.core.plan import KvCacheDtype, Speculation
from gemstead.core.progress import ProgressEvent
from gemstead.core.units import format_bytes

KEYS = ("threads", "ubatch", "kv", "speculation", "args")


def parse_changes(text: str) -> Changes:
    """`threads=2,kv=q8_0,args=--flash-attn on`: settings apart by commas; what follows `args=` goes to the engine.

    Raises: NameUnknown for an unknown key; RequestInvalid for a value it cannot have.
    """
    named, _, extra = text.partition("args=")
    pairs = [pair.partition("=") for pair in named.split(",") if pair.strip()]
    stated = {key.strip(): value.strip() for key, _, value in pairs}
    for key in stated:
        if key not in KEYS:
            raise NameUnknown("setting", key, list(KEYS))
    kv = stated.get("kv")
    if kv is not None and kv not in get_args(KvCacheDtype):
        raise NameUnknown("KV cache type", kv, list(get_args(KvCacheDtype)))
    speculation = stated.get("speculation")
    if speculation is not None and speculation not in get_args(Speculation):
        raise NameUnknown("speculation", speculation, list(get_args(Speculation)))
    return Changes(
        label=text or "as planned",
        num_threads=_number(stated, "threads", 1024),
        ubatch_tokens=_number(stated, "ubatch", 8192),
        kv_cache_dtype=kv,  # type: ignore[arg-type]  # checked against the words of the type
        speculation=speculation,  # type: ignore[arg-type]  # likewise
        extra_args=tuple(extra.split()),
    )


async def compare_live(setup: Setup, a: Changes, b: Changes, asked: Asked) -> Comparison:
    """`asked.repeats` pairs at each prompt length; who goes first changes with every pair.

    Raises: as `provide`; DoesNotFit if the machine does not hold the model twice.
    """
    setup = without_tuned(setup)  # an empty setting is the plan's own
    machine = await asyncio.to_thread(this_machine, setup.loaded)
    installation = await asyncio.to_thread(ensure_engine, setup)
    name = setup.loaded.settings.model.name
    plan = await asyncio.to_thread(provide_choice, setup, machine, name, choose(setup, machine, name))
    protocol = protocol_of(asked, plan)
    needed = 2 * plan.resident_bytes("host") - machine.memory.available.num_bytes
    if needed > 0:
        raise DoesNotFit(
            f"{plan.model} does not fit twice, and both settings run at once",
            missing_bytes=needed,
            why=f"{format_bytes(needed)} more memory would be needed",
            hint="gemstead bench run each, then gemstead bench compare A B",
        )
    async with (
        opened_engine(setup, plan, installation, a) as first,
        opened_engine(setup, plan, installation, b) as second,
        open_session(first.target) as first_session,
        open_session(second.target) as second_session,
    ):
        askers = [
            Asker(session, engine.target, plan.model, own_corpus())
            for session, engine in ((first_session, first), (second_session, second))
        ]
        for asker in askers:
            await asker.calibrate()
        pairs = [
            (length, *await _pairs(setup, askers, length, protocol.answer_tokens, protocol.repeats))
            for length in protocol.prompt_tokens
        ]
    return compare_pairs(_label(a, first), _label(b, second), pairs)


async def _pairs(
    setup: Setup, askers: list[Asker], length: int, answer_tokens: int, repeats: int
) -> tuple[list[Answer], list[Answer]]:
    answers: tuple[list[Answer], list[Answer]] = ([], [])
    task = f"pairs at {length} tokens"
    for number in range(1, repeats + 1):
        for side in (0, 1) if number % 2 else (1, 0):
            timeline = await askers[side].ask(length, answer_tokens)
            answers[side].append(measure(timeline))
        setup.progress(ProgressEvent(task, number, repeats, "steps", is_done=number == repeats))
    return answers


def _label(changes: Changes, engine: BenchEngine) -> str:
    return f"{engine.plan.model} {changes.label}"


def _number(stated: dict[str, str], key: str, highest: int) -> int | None:
    if key not in stated:
        return None
    if not stated[key].isdecimal() or not 1 <= int(stated[key]) <= highest:
        raise RequestInvalid(f"{key}={stated[key]}: must be a number from 1 to {highest}", param=key)
    return int(stated[key])
