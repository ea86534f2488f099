"""The field's rule of thumb (edge, workstation, server) as consequences: the advice for every named machine."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.catalog.shapes import GEMMA4_SHAPES
from gemstead.core.plan import Plan
from gemstead.core.units import GIB
from gemstead.hardware.profiles import load_profile, profile_names
from gemstead.hardware.snapshot import Machine
from gemstead.planner.advise import advise
from gemstead.planner.candidate import Candidate, Goal
from gemstead.planner.formats import engine_formats
from gemstead.planner.other_engines import EngineNeed, engine_need
from gemstead.planner.serving import serving_goal

CANDIDATES = [
    Candidate(variant, "Q4_0", shape, mix="ggml-org/Q4_0", is_qat=True) for variant, shape in GEMMA4_SHAPES.items()
]
"""Every variant in the quantization it was trained for."""

EDGE = ("raspberry-pi-5-8gb", "jetson-orin-nano-8gb")
SERVER = "h100-80gb"


def best_plan(machine: Machine, goal: Goal | None = None) -> Plan:
    return advise(CANDIDATES, machine, goal).best


def rules_report() -> str:
    """The tables of docs/prediction.md on advice, in Markdown."""
    lines = ["| machine | advice | decode, tok/s | first token, 512 tokens | J/token |", "|---|---|--:|--:|--:|"]
    lines += [_machine_row(name) for name in profile_names()]
    lines += ["", "| machine | engine, format | memory, GiB | decode, tok/s | first token |", "|---|---|--:|--:|--:|"]
    lines += [row for name in EDGE for row in _edge_rows(load_profile(name))]
    lines += ["", f"50 users at once, 600 tokens each, on {SERVER}:", ""]
    lines += ["| model | engine, format | all together, tok/s | last first token |", "|---|---|--:|--:|"]
    lines += list(_server_rows(load_profile(SERVER)))
    return "\n".join(lines) + "\n"


def _machine_row(name: str) -> str:
    plan = best_plan(load_profile(name))
    assert plan.speed is not None
    assert plan.speed.ttft_s is not None
    assert plan.speed.energy_j_per_token is not None
    decode, ttft, energy = plan.speed.decode_tok_per_s, plan.speed.ttft_s, plan.speed.energy_j_per_token
    return f"| {name} | {plan.model} | {decode.value:.3g} | {ttft.value:.2g} s | {energy.value:.2g} |"


def _edge_rows(machine: Machine) -> Iterator[str]:
    """E2B with llama.cpp and with LiteRT-LM."""
    plan = advise(CANDIDATES[:1], machine, Goal(context_length=8192)).best
    assert plan.speed is not None
    yield _engine_row(machine, "llama.cpp, Q4_0", plan.resident_bytes("host"), plan)
    shape = GEMMA4_SHAPES["e2b"]
    (form,) = engine_formats("litert-lm", shape)
    need = engine_need(shape, form, machine, Goal(context_length=8192))
    yield _engine_row(machine, "LiteRT-LM, 2 to 8 bits", need.resident_bytes("host"), need)


def _engine_row(machine: Machine, engine: str, needed_bytes: int, found: Plan | EngineNeed) -> str:
    assert found.speed is not None
    ttft = found.speed.ttft_s
    wait = f"{ttft.value:.2g} s" if ttft is not None else ""
    decode = found.speed.decode_tok_per_s.value
    return f"| {machine.name} | {engine} | {needed_bytes / GIB:.2g} | {decode:.3g} | {wait} |"


def _server_rows(machine: Machine) -> Iterator[str]:
    goal = serving_goal(Goal(aim="concurrency"), 50, 600, None)
    for candidate in CANDIDATES:
        if candidate.model not in {"26b-a4b", "31b"}:
            continue
        yield _server_row(candidate.model, "llama.cpp, Q4_0", advise([candidate], machine, goal).best)
        for form in engine_formats("vllm", candidate.shape):
            need = engine_need(candidate.shape, form, machine, goal)
            if not need.missing_bytes:
                yield _server_row(candidate.model, f"vLLM, {form.name}", need)


def _server_row(model: str, engine: str, found: Plan | EngineNeed) -> str:
    speed = found.speed
    assert speed is not None
    assert speed.ttft_s is not None
    return f"| {model} | {engine} | {speed.total_decode_tok_per_s.value:,.0f} | {speed.ttft_s.value:.2g} s |"
