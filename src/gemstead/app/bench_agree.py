"""`gemstead bench agree`: our figures beside those of a peer, for the same engine and model, measured in turn."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec

from gemstead.app.bench_engine import BenchEngine, opened_engine
from gemstead.app.choose import choose, provide_choice
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.bench.corpus import own_corpus
from gemstead.bench.peer_program import PeerSpeeds
from gemstead.bench.run import Asker
from gemstead.bench.spread import Ratio, ratio_of_pairs
from gemstead.bench.target import open_session
from gemstead.core.progress import ProgressEvent
from gemstead.engines.base import Installation

PREFILL_TOKENS, DECODE_TOKENS = 512, 128
TOLERANCE = 0.05


class Agreement(msgspec.Struct, frozen=True):
    """`prefill` and `decode` are ours over the peer's, by pairs; `ours` and `theirs` the medians of all rounds."""

    peer: str
    ours: PeerSpeeds
    theirs: PeerSpeeds
    prefill: Ratio
    decode: Ratio
    num_rounds: int

    @property
    def is_within(self) -> bool:
        """Whether both medians are within the tolerance."""
        return all(abs(one.ratio - 1) <= TOLERANCE for one in (self.prefill, self.decode))


class Scene(msgspec.Struct, frozen=True):
    """What both sides measure: one running engine, and what asks it for us."""

    engine: BenchEngine
    installation: Installation
    asker: Asker


class Pair(msgspec.Struct, frozen=True):
    """The same figures twice, ours by the peer's definitions. `peer` is its name, with its version where it tells."""

    peer: str
    ours: PeerSpeeds
    theirs: PeerSpeeds


Peer: TypeAlias = Callable[[Scene, int], Awaitable[Pair]]
"""Measures both sides once. The number of the round, from 1 on, may decide who goes first."""


async def bench_agree(setup: Setup, rounds: int, peer: Peer) -> Agreement:
    """Raises: as `provide`; EngineRefused if an answer cannot be timed; EngineFailed and EngineTimeout by the peer."""
    machine = await asyncio.to_thread(this_machine, setup.loaded)
    installation = await asyncio.to_thread(ensure_engine, setup)
    name = setup.loaded.settings.model.name
    plan = await asyncio.to_thread(provide_choice, setup, machine, name, choose(setup, machine, name))
    pairs = []
    # On a port: not every peer can speak through a socket file.
    async with (
        opened_engine(setup, plan, installation, is_on_port=True) as engine,
        open_session(engine.target) as session,
    ):
        asker = Asker(session, engine.target, plan.model, own_corpus())
        await asker.calibrate()
        for number in range(1, rounds + 1):
            pairs.append(await peer(Scene(engine, installation, asker), number))
            setup.progress(ProgressEvent("ask in turn", number, rounds, "steps", is_done=number == rounds))
    return agreement_of(pairs)


def agreement_of(pairs: Sequence[Pair]) -> Agreement:
    """At least one pair."""
    prefill = ratio_of_pairs([(pair.theirs.prefill_tok_per_s, pair.ours.prefill_tok_per_s) for pair in pairs])
    decode = ratio_of_pairs([(pair.theirs.decode_tok_per_s, pair.ours.decode_tok_per_s) for pair in pairs])
    assert prefill is not None
    assert decode is not None
    ours, theirs = _medians([pair.ours for pair in pairs]), _medians([pair.theirs for pair in pairs])
    return Agreement(pairs[-1].peer, ours, theirs, prefill, decode, len(pairs))


def _medians(speeds: Sequence[PeerSpeeds]) -> PeerSpeeds:
    return PeerSpeeds(
        statistics.median(one.prefill_tok_per_s for one in speeds),
        statistics.median(one.decode_tok_per_s for one in speeds),
    )
