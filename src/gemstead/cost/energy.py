"""Energy and emissions of a million tokens.

    E = P / (3.6 * r)      kWh per million tokens from watts and tokens per second

since a million tokens take 10^6 / r seconds, and a kWh is 3.6 * 10^6 J.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from gemstead.cost.inputs import HOURS_PER_MONTH, TOKENS_PER_UNIT, Inputs

Phase: TypeAlias = Literal["prefill", "decode"]
JOULES_PER_KWH = 3_600_000.0


def kwh_per_million_tokens(power_w: float, tok_per_s: float) -> float:
    """Energy of the machine at work, idle power included; nothing for cooling or waiting.

    Equal to joules per token divided by 3.6.
    """
    return power_w * TOKENS_PER_UNIT / tok_per_s / JOULES_PER_KWH


def seconds_per_million_tokens(inputs: Inputs, phase: Phase) -> float:
    """How long one machine works on a million prompt tokens (prefill) or completion tokens (decode)."""
    speed = inputs.prefill_tok_per_s if phase == "prefill" else inputs.decode_tok_per_s
    return TOKENS_PER_UNIT / speed.value


def working_kwh_per_million_tokens(inputs: Inputs, phase: Phase) -> float:
    power = inputs.prefill_power_w if phase == "prefill" else inputs.decode_power_w
    return power.value * seconds_per_million_tokens(inputs, phase) / JOULES_PER_KWH


def idle_kwh_per_working_second(inputs: Inputs) -> float:
    """What a machine draws while it waits, laid upon each second it works."""
    utilisation = inputs.utilisation.value
    return inputs.idle_power_w.value * (1 - utilisation) / utilisation / JOULES_PER_KWH


def whole_kwh_per_million_tokens(inputs: Inputs, phase: Phase) -> float:
    """Energy drawn from the grid: at work and waiting, times the power usage effectiveness (PUE) of the building."""
    waiting = idle_kwh_per_working_second(inputs) * seconds_per_million_tokens(inputs, phase)
    return (working_kwh_per_million_tokens(inputs, phase) + waiting) * inputs.pue.value


def idle_kwh_per_month(inputs: Inputs) -> float:
    """One machine's energy while it waits, from the grid."""
    hours = HOURS_PER_MONTH * (1 - inputs.utilisation.value)
    return inputs.idle_power_w.value / 1000 * hours * inputs.pue.value


def blend(inputs: Inputs, prefill: float, decode: float) -> float:
    """The mean over tokens of something told per million prompt tokens and per million completion tokens."""
    share = inputs.prompt_share.value
    return share * prefill + (1 - share) * decode
