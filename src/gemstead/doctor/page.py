"""The page of the docs about the doctor, made from the checks and decision paths themselves."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.doctor.check import GROUPS, Check, Group, load_checks
from gemstead.doctor.path import load_path, path_names

_TITLES: dict[Group, str] = {
    "machine": "The machine",
    "engine": "The engine",
    "models": "The models",
    "service": "Servers and access",
    "answers": "The answers (`--deep`)",
}

_HEAD = """\
# The doctor

`gemstead doctor` looks at machine, engine, models and servers, and says of everything it finds what it is, why it
matters and which command fixes it. It takes seconds, starts nothing, fetches nothing and changes nothing, but for one
small file that it writes and reads to measure the disk. `--deep` also asks the model: a server that runs, else an
engine of its own with what is here already. `--json` prints everything, evidence included, under `gemstead/doctor/1`.

| severity | means | exit code |
|---|---|---|
| ok | looked at, and fine | 0 |
| note | worth knowing | 0 |
| warning | works now, and will hurt | 6 |
| error | does not work, or is unsafe | 3 |

The worst finding decides the exit code. What a check could not find out is a warning of its own, and no reason for the
others to stop. `gemstead doctor checks` lists the checks.
"""


def render_page() -> str:
    """`docs/doctor.md`."""
    return "\n".join([_HEAD, *_check_lines(), *_path_lines()]) + "\n"


def _check_lines() -> Iterator[str]:
    checks = load_checks()
    for group in GROUPS:
        yield f"## {_TITLES[group]}\n"
        yield "| check | looks at | complains when |"
        yield "|---|---|---|"
        members = [check for check in checks if check.group == group]
        yield from (f"| `{check.name}` | {check.looks_at} | {check.complains_when} |" for check in members)
        yield ""
        yield from _source_lines(members)


def _source_lines(checks: list[Check]) -> Iterator[str]:
    sources = dict.fromkeys(source for check in checks for source in check.sources)
    if sources:
        yield "Sources: " + ", ".join(f"<{source}>" for source in sources)
        yield ""


def _path_lines() -> Iterator[str]:
    yield "## From a complaint to its cause\n"
    yield "`gemstead doctor explain NAME` walks one of these with the numbers of this machine."
    for name in path_names():
        path = load_path(name)
        yield f"\n### `{name}`: {path.title.lower()}\n"
        yield f"{path.symptom[0].upper()}{path.symptom[1:]}.\n"
        yield from (f"{number}. {step.question}" for number, step in enumerate(path.steps, start=1))
        yield f"\nElse: `{path.last_resort.partition(' (')[0]}`"
