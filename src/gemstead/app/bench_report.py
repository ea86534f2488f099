"""The page of all results, with what others published beside it."""

from __future__ import annotations

from pathlib import Path

from gemstead.bench.report import Published, html_report
from gemstead.bench.store import ResultStore
from gemstead.catalog.entries import load_catalog
from gemstead.catalog.manifests import now_utc
from gemstead.cost.speeds import published_speeds
from gemstead.hardware.profiles import profile_names


def bench_report(data: Path) -> str:
    """HTML of everything in the store below the data directory. Raises: as `ResultStore.read`."""
    results = ResultStore(data).read()
    return html_report(results.runs, results.loads, _published(), now_utc())


def _published() -> list[Published]:
    pairs = [(model.name, machine) for model in load_catalog().models for machine in profile_names()]
    found = [(model, machine, published_speeds(model, machine)) for model, machine in pairs]
    return [
        Published(model, machine, speeds.prefill_tok_per_s, speeds.decode_tok_per_s)
        for model, machine, speeds in found
        if speeds is not None
    ]
