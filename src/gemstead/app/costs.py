"""What `gemstead cost` reckons with: the file, the flags, the named machine, the region and the model's speed there."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gemstead.app.candidates import candidate_of
from gemstead.app.measured import speeds_here
from gemstead.app.setup import this_machine
from gemstead.catalog.entries import load_catalog
from gemstead.catalog.names import parse_name
from gemstead.core.errors import DoesNotFit, RequestInvalid
from gemstead.core.figures import Figure
from gemstead.cost.assumption_file import AssumptionFile, Stated
from gemstead.cost.assumption_text import parse_assumptions, render_assumptions, validated
from gemstead.cost.inputs import Inputs
from gemstead.cost.machines import MachineCost, machine_cost
from gemstead.cost.regions import load_region
from gemstead.cost.resolve import resolve
from gemstead.cost.speeds import Speeds, published_speeds
from gemstead.hardware.profiles import load_profile
from gemstead.hardware.snapshot import Machine
from gemstead.planner.plan import make_plan
from gemstead.settings.load import Loaded

MAX_FILE_BYTES = 1 << 20


class CostRequest(msgspec.Struct, frozen=True):
    """`model` is a catalogue name, `machine` a hardware profile.

    `overrides` ("load.utilisation" -> 0.5) win over the file.
    `speeds`: of this model on this machine, where the caller has them; None: published or predicted for a named one.
    """

    model: str | None = None
    machine: str | None = None
    assumptions: Path | None = None
    overrides: dict[str, float | str] = {}
    speeds: Speeds | None = None


def cost_inputs(request: CostRequest) -> Inputs:
    """Raises: NameUnknown, SettingInvalid, RequestInvalid; Missing if a figure nobody tells is needed."""
    stated = _with_overrides(_read(request.assumptions), request.overrides)
    speeds = request.speeds
    if speeds is None and request.model and request.machine:
        speeds = published_speeds(parse_name(request.model).model, request.machine)
        speeds = speeds or predicted_speeds(request.model, load_profile(request.machine))
    return resolve(stated, load_region(stated.electricity.region), _machine(request.machine), speeds)


def speeds_on_this(loaded: Loaded, model: str) -> Speeds | None:
    """As measured on this machine, else as predicted. Raises: as both."""
    return speeds_here(loaded, model) or predicted_speeds(model, this_machine(loaded))


def predicted_speeds(model: str, machine: Machine) -> Speeds | None:
    """What the planner says of a catalogue model with llama.cpp, one answer at a time: of the first file that fits.

    None: nothing of it fits, or its shape or a ceiling of the machine is not known. Raises: NameUnknown.
    """
    name = parse_name(model)
    entry = load_catalog().model(name.model)
    if entry.shape is None:
        return None
    files = entry.choices()
    if name.tag is not None:
        files = [file for file in entry.artefacts if file.tag == name.tag and file.format == "gguf"]
    for artefact in files:
        try:
            plan = make_plan(candidate_of(entry, artefact), machine)
        except (DoesNotFit, RequestInvalid):
            continue  # it does not fit, or nobody published its size: the next file may do
        speed = plan.speed
        if speed is not None and speed.prefill_tok_per_s is not None:
            where = f"gemstead plan for {plan.model} on {machine.name}"
            return Speeds(_named(speed.prefill_tok_per_s, where), _named(speed.decode_tok_per_s, where))
    return None


def _named(figure: Figure, where: str) -> Figure:
    return msgspec.structs.replace(figure, source=f"{where}, {figure.source}" if figure.source else where)


def write_assumptions(path: Path, *, machine: str | None = None, is_overwriting: bool = False) -> None:
    """Writes every assumption with its comment; with a named machine, its price and watts too.

    Raises: NameUnknown; RequestInvalid if the file is there already, or cannot be written.
    """
    assumptions = AssumptionFile()
    if (known := _machine(machine)) is not None:
        figures = msgspec.structs.asdict(known)
        filled = assumptions.machine.model_copy(
            update={name: Stated(**msgspec.structs.asdict(figure)) for name, figure in figures.items()}
        )
        assumptions = assumptions.model_copy(update={"machine": filled})
    try:
        with path.open("w" if is_overwriting else "x", encoding="utf-8") as file:
            file.write(render_assumptions(assumptions))
    except FileExistsError as exc:
        raise RequestInvalid(f"{path} is there already", hint=f"gemstead cost init {path} --force") from exc
    except OSError as exc:
        raise RequestInvalid(f"{path} cannot be written: {exc.strerror}", hint="give another path") from exc


def _machine(profile: str | None) -> MachineCost | None:
    return machine_cost(load_profile(profile).name) if profile is not None else None


def _read(path: Path | None) -> AssumptionFile:
    if path is None:
        return AssumptionFile()
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise RequestInvalid(f"{path} is too large for a file of assumptions", hint=f"gemstead cost init {path}")
        return parse_assumptions(content.decode("utf-8"), str(path))
    except OSError as exc:
        raise RequestInvalid(
            f"the assumptions {path} cannot be read: {exc.strerror}", hint=f"gemstead cost init {path}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise RequestInvalid(f"{path} is not text in UTF-8", hint=f"gemstead cost init {path}") from exc


def _with_overrides(assumptions: AssumptionFile, overrides: dict[str, float | str]) -> AssumptionFile:
    """Checked by the same rules as the file."""
    content = assumptions.model_dump(exclude_none=True)
    for name, value in overrides.items():
        section, key = name.split(".")
        is_number = not isinstance(value, str)
        content[section][key] = {"value": value, "source": "stated on the command line"} if is_number else value
    return validated(content, "the command line")
