"""`gemstead cost`: energy, emissions and money of a million tokens on a machine of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.cost.cloud import CloudPrice
    from gemstead.cost.demand import Demand
    from gemstead.cost.report import CostReport

MAX_USERS = 10_000_000_000
MAX_TOKENS_PER_USER_DAY = 1e12
MAX_PRICE_USD = 1e6

On = Annotated[str | None, typer.Option("--on", help="A named machine (gemstead hardware --profiles).")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True)
    group.callback()(cost)
    group.command("init")(init)
    app.add_typer(group, name="cost")


def cost(
    context: typer.Context,
    model: Annotated[str | None, typer.Option("--model", "-m", help="A model of the catalogue.")] = None,
    on: On = None,
    assumptions: Annotated[Path | None, typer.Option("--assumptions", help="The file that cost init wrote.")] = None,
    region: Annotated[str | None, typer.Option("--region", help='Where it stands: DE, US-CA ... or "world".')] = None,
    prefill: Annotated[
        float | None, typer.Option("--prefill-tok-per-s", help="Prompt tokens per second, all slots together.")
    ] = None,
    decode: Annotated[
        float | None, typer.Option("--decode-tok-per-s", help="Completion tokens per second, all slots together.")
    ] = None,
    utilisation: Annotated[
        float | None, typer.Option("--utilisation", help="Share of all hours it works, above 0, at most 1.")
    ] = None,
    users: Annotated[int | None, typer.Option("--users", min=1, max=MAX_USERS, help="People it is for.")] = None,
    tokens_per_user_day: Annotated[
        float | None, typer.Option("--tokens-per-user-day", help="Prompt and completion tokens of one user a day.")
    ] = None,
    cloud_price_in: Annotated[
        float | None, typer.Option("--cloud-price-in", help="Of a cloud: $ per million prompt tokens.")
    ] = None,
    cloud_price_out: Annotated[
        float | None, typer.Option("--cloud-price-out", help="Of a cloud: $ per million completion tokens.")
    ] = None,
    tornado: Annotated[Path | None, typer.Option("--tornado", help="Write the sensitivity chart to this .svg.")] = None,
    json: options.Json = False,
) -> None:
    """Compute energy, CO2 and cost of a million tokens; per user; against a cloud's price; and what matters most."""
    if context.invoked_subcommand is not None:
        return
    from gemstead.app.costs import CostRequest, cost_inputs, speeds_on_this
    from gemstead.cli.cost_text import print_report
    from gemstead.cli.output import note, print_json
    from gemstead.cost.report import Question, make_report

    stated = {
        "electricity.region": region,
        "speeds.prefill_tok_per_s": prefill,
        "speeds.decode_tok_per_s": decode,
        "load.utilisation": utilisation,
    }
    question = Question(model, on, _demand(users, tokens_per_user_day), _cloud(cloud_price_in, cloud_price_out))
    if tornado is not None and tornado.suffix.lower() != ".svg":
        _refuse(f"{tornado} is not an SVG file", "--tornado", f"--tornado {tornado.with_suffix('.svg')}")
    overrides = {name: value for name, value in stated.items() if value is not None}
    # Where no machine is named, it is this one.
    speeds = speeds_on_this(options.load(), model) if model is not None and on is None else None
    report = make_report(cost_inputs(CostRequest(model, on, assumptions, overrides, speeds)), question)
    if tornado is not None:
        _write_chart(report, tornado)
        note(f"the chart is in {tornado}")
    if json:
        print_json("cost/1", report)
    else:
        print_report(report)


def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("gemstead-cost.toml"),
    on: On = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write every assumption, with its range and a comment, to a file to be changed."""
    from gemstead.app.costs import write_assumptions
    from gemstead.cli.output import note

    write_assumptions(file, machine=on, is_overwriting=force)
    note(f"wrote {file}: change it, then gemstead cost --assumptions {file}")


def _demand(users: int | None, tokens_per_user_day: float | None) -> Demand | None:
    from gemstead.cost.demand import Demand

    if users is None and tokens_per_user_day is None:
        return None
    if users is None or tokens_per_user_day is None:
        _refuse("users need tokens a day, and the other way round", "--users", "--users N --tokens-per-user-day N")
    if not 1 <= tokens_per_user_day <= MAX_TOKENS_PER_USER_DAY:
        _refuse(f"{tokens_per_user_day} tokens a day", "--tokens-per-user-day", "--tokens-per-user-day 20000")
    return Demand(users, tokens_per_user_day)


def _cloud(price_in: float | None, price_out: float | None) -> CloudPrice | None:
    from gemstead.cost.cloud import CloudPrice

    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        _refuse("a cloud's price has two parts", "--cloud-price-in", "--cloud-price-in USD --cloud-price-out USD")
    if not (0 <= price_in <= MAX_PRICE_USD and 0 <= price_out <= MAX_PRICE_USD):
        _refuse(f"a cloud's price of {price_in} and {price_out}", "--cloud-price-in", "give US dollars per million")
    return CloudPrice(price_in, price_out)


def _refuse(what: str, param: str, hint: str) -> NoReturn:
    from gemstead.core.errors import RequestInvalid

    raise RequestInvalid(what, param=param, hint=hint)


def _write_chart(report: CostReport, path: Path) -> None:
    from gemstead.cost.tornado import svg_chart

    title = f"Cost of a million tokens, one assumption moved at a time: {report.subject}"
    try:
        path.write_text(svg_chart(report.swings, report.blended.cost_usd.value, title), encoding="utf-8")
    except OSError as exc:
        _refuse(f"{path} cannot be written: {exc.strerror}", "--tornado", "give another path")
