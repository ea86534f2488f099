"""Every field of every dialect at a whole gateway with the real llama-server: what happens is what the tables say."""

import os
from pathlib import Path
from typing import get_args

import aiohttp
import msgspec
import pytest

from benchmarks.field_matrix.asking import Door, opened_door
from benchmarks.field_matrix.samples import MODELS, ModelRole, Sample, load_sheets
from benchmarks.field_matrix.trial import try_sample, try_samples
from door_fakes import FakeEngine, fake_services, serving
from gemstead.app.setup import Setup, make_setup
from gemstead.settings.load import load_settings

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), pytest.mark.xdist_group("field_matrix")]

STORE = Path(__file__).parents[2] / ".work"
SHEETS = load_sheets()
CHAT = SHEETS["/v1/chat/completions"]


def setup_of(folder: Path, program: Path, model: str) -> Setup:
    """As the command line would set it up, with a state folder of its own and the models that tests share."""
    flags = {"engine.program": str(program), "model.name": model, "model.context_length": 1024}
    environ = {"GEMSTEAD_DATA_DIR": str(folder), "PATH": os.environ["PATH"]}
    loaded = load_settings(flags, environ=environ)
    return make_setup(msgspec.structs.replace(loaded, paths=msgspec.structs.replace(loaded.paths, data=STORE)))


@pytest.mark.parametrize("role", get_args(ModelRole))
@pytest.mark.usefixtures("smollm2", "tiny_e2b")
async def test_every_field_does_what_its_table_says(tmp_path: Path, llama_server: Path, role: ModelRole) -> None:
    async with opened_door(setup_of(tmp_path, llama_server, MODELS[role])) as door:
        rows = await try_samples(door, role, SHEETS)
    assert [f"{row.endpoint}: {row.field}: {row.problem}" for row in rows if row.problem is not None] == []
    assert len(rows) == sum(sample.model == role for sheet in SHEETS.values() for sample in sheet.samples)


async def found_out(sample: Sample, says: str) -> str | None:
    """The problem with a sample at the door of a fake engine that says hello, whatever it is asked."""
    async with (
        serving(fake_services(FakeEngine())) as url,
        aiohttp.ClientSession(url, trust_env=False) as session,
    ):
        row = await try_sample(Door(session, "fake"), CHAT, sample, says)  # type: ignore[arg-type]
    return row.problem


@pytest.mark.parametrize(
    ("sample", "says", "problem"),
    [
        (Sample("max_tokens", 3, seen={"tokens": 3}), "honoured", "not seen: `3` completion tokens"),
        (Sample("seed", 7, seen={"repeats": True, "changes": True}), "honoured", "not seen: another answer"),
        (Sample("store", True), "refused", "warned, status 200"),
        (Sample("n", 2), "warned", "refused, status 400"),
        (Sample("verbosity", "low"), "honoured", "warned, status 200"),
        (Sample("top_p", 7), "honoured", "refused, status 400"),
    ],
)
async def test_a_field_that_does_not_do_what_its_table_says_is_found_out(
    sample: Sample, says: str, problem: str
) -> None:
    assert problem in (await found_out(sample, says) or "")


async def test_a_field_that_does_what_its_table_says_is_no_problem() -> None:
    assert await found_out(Sample("seed", 7, seen={"repeats": True}), "honoured") is None
    assert await found_out(Sample("n", 2), "refused") is None
    assert await found_out(Sample("store", True), "warned") is None
