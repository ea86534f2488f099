"""Tries every feature of the suite on the engine itself and through the door, and writes docs/structured-output.md.

python -m benchmarks.schema_suite                          # smollm2:135m and gemma4:e2b@tiny, 5 answers each
python -m benchmarks.schema_suite --samples 1 --model smollm2:135m --out /dev/stdout
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.schema_suite.ask import ask, asking
from benchmarks.schema_suite.cases import load_cases
from benchmarks.schema_suite.judge import judge
from benchmarks.schema_suite.report import Row, Run, render
from gemstead.app.bench_door import engine_target
from gemstead.app.detached import bring_up
from gemstead.app.servers import ServerRecord, stop_server
from gemstead.app.setup import Setup, ensure_engine, make_setup
from gemstead.app.synthesize import synthesize
from gemstead.bench.door import Target
from gemstead.settings.load import load_settings

PAGE = Path(__file__).parents[2] / "docs" / "structured-output.md"
MODELS = ["smollm2:135m", "gemma4:e2b@tiny"]
"""Small real weights with a template of ChatML, and Gemma 4's own template, whose grammar is another."""


def main() -> int:
    asked = _parse()
    rows, engine = [], ""
    for model in asked.models:
        setup = make_setup(load_settings({"model.name": model, "server.port": 0}), say=_say)
        if model.endswith("@tiny"):
            synthesize(setup, model.removesuffix("@tiny"), "q4_0", is_tiny=True)
        installation = ensure_engine(setup)
        engine = f"{setup.kind.title} {installation.version}"
        rows += asyncio.run(_try_model(setup, model, asked.num_samples))
    run = Run(engine, asked.models, asked.num_samples, rows)
    asked.page.write_text(render(run))
    for row in run.lies():
        _say(f"off the schema and yet a success: {row.feature} with {row.model}")
    return 1 if run.lies() else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", dest="models", action="append", help="may be given more than once")
    parser.add_argument("--samples", dest="num_samples", type=int, default=5, help="answers to each question")
    parser.add_argument("--out", dest="page", type=Path, default=PAGE)
    asked = parser.parse_args()
    asked.models = asked.models or MODELS
    return asked


async def _try_model(setup: Setup, model: str, num_samples: int) -> list[Row]:
    """Starts a server on a free port, asks it and its engine, and ends it."""
    record = (await asyncio.to_thread(bring_up, setup, None)).record
    try:
        return await _try_cases(record, model, num_samples)
    finally:
        await asyncio.to_thread(stop_server, record)


async def _try_cases(record: ServerRecord, model: str, num_samples: int) -> list[Row]:
    rows = []
    async with asking(engine_target(record)) as engine, asking(Target("door", record.url)) as door:
        for group, cases in load_cases().items():
            for case in cases:
                raw = [await ask(engine, record.model, case, seed) for seed in range(num_samples)]
                shown = [await ask(door, record.model, case, seed) for seed in range(num_samples)]
                row = Row(
                    group,
                    case.feature,
                    model,
                    engine=[judge(case.schema, answer, has_formats=True) for answer in raw],
                    door=[judge(case.schema, answer, has_formats=False) for answer in shown],
                )
                why = next((answer.error for answer in [*shown, *raw] if answer.error), "")
                _say(f"{model}: {group}: {case.feature}: engine {row.engine}, door {row.door} {why}")
                rows.append(row)
    return rows


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
