"""The evidence that is tampered with: written by gemstead's own ledger, with a rotated key, expired records, cuts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemstead.app.evidence_bundle import write_bundle
from gemstead.app.evidence_query import Filter
from gemstead.evidence import records
from gemstead.evidence.canonical import Value
from gemstead.evidence.expiry import expire
from gemstead.evidence.identity import KEY_FILE, ensure_identity
from gemstead.evidence.ledger import Ledger, LedgerOptions, opened_ledger
from gemstead.evidence.rotation import rotate_key
from gemstead.settings.load import load_settings
from gemstead.settings.paths import DATA_DIR_VARIABLE

YEAR_S = 31_536_000.0
NOW_S = 1_795_000_000.0
SIZES = (64, 128, 192, 256, 320)
"""Of the checkpoints; the last covers all."""
EXPIRED, ROTATED, SIZE = 40, 150, 400
"""The records 1 to 40 are blanked; 150 names the new key, 200 what was blanked."""
EXPIRED_AT = 200
CUTS = (149, 199, 399)
"""Opened, and never closed: what would close them is the rotation, what expired, and nothing."""


@dataclass(frozen=True)
class Original:
    """`key` is the verifier key that was given to an auditor at the beginning, `elsewhere` the second place."""

    data: Path
    key: str

    @property
    def database(self) -> Path:
        return self.data / "evidence.db"

    @property
    def elsewhere(self) -> Path:
        return self.data / "elsewhere.txt"


def make(data: Path) -> Original:
    """Evidence of `SIZE` records in the data folder `data`."""
    loaded = load_settings(environ={DATA_DIR_VARIABLE: str(data)})
    key_file = loaded.paths.secrets / KEY_FILE
    identity = ensure_identity(key_file)
    original = Original(data, identity.verifier_key)
    options = LedgerOptions(checkpoint_every=10**6, second_place=str(original.elsewhere))
    with opened_ledger(original.database, identity, options) as ledger:
        for position in range(1, SIZE):
            if position in SIZES:
                ledger.checkpoint_now()
            if position == ROTATED:
                rotate_key(ledger, key_file, now_ms=records.to_ms(NOW_S))
            elif position == EXPIRED_AT:
                before_ms = records.to_ms(NOW_S - YEAR_S / 2)
                expire(original.database, ledger, before_ms=before_ms, now_ms=records.to_ms(NOW_S))
            else:
                write_exchange(ledger, position)
    for name, asked in (("whole.zip", Filter()), ("part.zip", Filter(key="key2"))):
        write_bundle(loaded, asked, data / name, now_ms=records.to_ms(NOW_S))
    return original


def write_exchange(ledger: Ledger, position: int) -> None:
    """An opening record at an odd position, the one that closes it at the even one after."""
    assert ledger.write_now(record_at(position)) == position


def record_at(position: int) -> dict[str, Value]:
    at_s = NOW_S - (YEAR_S if position <= EXPIRED else 0.0) + position
    number = (position - 1) // 2
    opening = records.Opening(
        run="r-1-1",
        exchange=f"req_{number:06}",
        action="chat",
        model="gemma4:e2b",
        dialect="openai",
        key=f"key{number % 3}",
        actor="p-202611-0123456789abcdef",
        address="192.0.2.0/24",
        label="internal",
        model_digest="ab" * 32,
        engine="llama_cpp",
        engine_build="b9999 (0123456)",
        template="cd" * 32,
        policy="ef" * 32,
        rules=("staff",),
        route_to="llama_cpp",
        prompt=f"h-{number:064x}",
    )
    if position % 2:
        return records.exchange_opened(opening, at_s)
    closing = records.Closing(
        status="stop", tools=("search",) if number % 5 == 0 else (), prompt_tokens=100, completion_tokens=number,
        wait_s=0.001, ttft_s=0.2, total_s=1.5, reply=f"h-{number:064x}",
    )  # fmt: skip
    return records.exchange_closed(opening, position - 1, closing, at_s)
