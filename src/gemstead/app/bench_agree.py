"""`gemstead bench agree`: our figures beside those of a peer, for the same engine and model, measured in turn."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from gemstead.app.bench_engine import opened_engine
from gemstead.app.choose import choose, provide_choice
from gemstead.app.setup import Setup, ensure_engine, this_machine
from gemstead.bench.corpus import own_corpus
from gemstead.bench.llama_bench import PeerSpeeds, llama_bench_argv, run_llama_bench
from gemstead.bench.measures import Answer, measure
from gemstead.bench.run import FULL_LENGTH, Asker
from gemstead.bench.spread import Ratio, ratio_of_pairs
from gemstead.bench.target import open_session
from gemstead.core.errors import EngineRefused, RequestInvalid
from gemstead.core.plan import Plan
from gemstead.core.progress import ProgressEvent
from gemstead.engines.base import Installation

PREFILL_TOKENS, DECODE_TOKENS = 512, 128
SHORT_PROMPT_TOKENS = 32
"""llama-bench decodes after an empty prompt; a chat template does not allow less than this."""
TOLERANCE = 0.05


class Agreement(msgspec.Struct, frozen=True):
    """`prefill` and `decode` are ours over the peer's, by pairs."""

    peer: str
    prefill: Ratio
    decode: Ratio
    num_rounds: int

    @property
    def is_within(self) -> bool:
        """Whether both medians are within the tolerance."""
        return all(abs(one.ratio - 1) <= TOLERANCE for one in (self.prefill, self.decode))


async def bench_agree(setup: Setup, rounds: int, llama_bench: Path | None = None) -> Agreement:
    """`llama_bench` None: the one beside the engine's program if there is one, else the engine's own `timings`.

    Raises: as `provide`; RequestInvalid if the named program is not there; EngineRefused if an answer cannot be timed.
    """
    machine = await asyncio.to_thread(this_machine, setup.loaded)
    installation = await asyncio.to_thread(ensure_engine, setup)
    name = setup.loaded.settings.model.name
    plan = await asyncio.to_thread(provide_choice, setup, machine, name, choose(setup, machine, name))
    program = _peer_program(installation, llama_bench)
    prefill, decode = [], []
    async with opened_engine(setup, plan, installation) as engine, open_session(engine.target) as session:
        asker = Asker(session, engine.target, plan.model, own_corpus())
        await asker.calibrate()
        for number in range(1, rounds + 1):
            # An idle engine takes no time from llama-bench, which runs while it waits.
            long = measure(await asker.ask(PREFILL_TOKENS, 2, FULL_LENGTH))
            short = measure(await asker.ask(SHORT_PROMPT_TOKENS, DECODE_TOKENS, FULL_LENGTH))
            ours = _ours(long, short, is_client=program is None)
            peer = await _peer(program, plan) if program else _timings(long, short)
            prefill.append((peer.prefill_tok_per_s, ours.prefill_tok_per_s))
            decode.append((peer.decode_tok_per_s, ours.decode_tok_per_s))
            setup.progress(ProgressEvent("ask in turn", number, rounds, "steps", is_done=number == rounds))
    ratios = ratio_of_pairs(prefill), ratio_of_pairs(decode)
    assert ratios[0] is not None
    assert ratios[1] is not None
    return Agreement(str(program or f"{setup.kind.title}'s own timings"), ratios[0], ratios[1], rounds)


def _peer_program(installation: Installation, named: Path | None) -> Path | None:
    program = named or installation.program.with_name("llama-bench")
    if program.is_file():
        return program
    if named is not None:
        raise RequestInvalid(f"{named} is not there", param="llama_bench", hint="give the path of llama-bench")
    return None


async def _peer(program: Path, plan: Plan) -> PeerSpeeds:
    return await run_llama_bench(llama_bench_argv(program, plan, PREFILL_TOKENS, DECODE_TOKENS))


def _ours(long: Answer, short: Answer, *, is_client: bool) -> PeerSpeeds:
    """Decode by our clock. Prefill as `bench run` reports it, or by our clock too where the engine's is the peer."""
    prefill = long.prefill_tok_per_s if is_client else long.engine_prefill_tok_per_s
    return _speeds(prefill, short.decode_tok_per_s)


def _timings(long: Answer, short: Answer) -> PeerSpeeds:
    return _speeds(long.engine_prefill_tok_per_s, short.engine_decode_tok_per_s)


def _speeds(prefill: float | None, decode: float | None) -> PeerSpeeds:
    if prefill is None or decode is None:
        raise EngineRefused("the answers cannot be timed: the engine sent no timings, or too few tokens")
    return PeerSpeeds(prefill, decode)
