"""`gemstead report`: documents about this installation, filled from what it is and from what people answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.report.words import Language

LanguageOption = Annotated[str, typer.Option("--language", help="en or fr.")]
Questions = Annotated[
    Path | None, typer.Option("--questions", help="The questionnaire; default: report.toml beside the settings.")
]


class _Group(TyperGroup):
    """`gemstead report NAME` is `gemstead report write NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["write", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=_Group, help="Write documents that fill themselves: processing, security, risks.", no_args_is_help=True
    )
    for name, command in (("write", write), ("questions", questions), ("list", list_documents)):
        group.command(name)(command)
    app.add_typer(group, name="report")


def write(
    names: Annotated[list[str] | None, typer.Argument(help="Documents, as `gemstead report list` names them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    language: Annotated[list[str] | None, typer.Option("--language", help="en or fr; may be given twice.")] = None,
    form: Annotated[list[str] | None, typer.Option("--format", help="md, html or pdf; several as md,pdf.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder they are written into.")] = Path("report"),
    file: Questions = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also over those changed by hand.")] = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Write documents by name, or --all (the word `write` may be left out).

    What only a person can say is marked as open; answers come from the questionnaire.
    """
    from gemstead.app import report
    from gemstead.cli.output import note, print_json
    from gemstead.report.words import LANGUAGES

    order = report.Order(
        names=report.check_names(names or [], is_all=everything),
        languages=tuple(one for one in LANGUAGES if one in _words("--language", language or ["en"], LANGUAGES)),
        formats=tuple(one for one in report.FORMATS if one in _words("--format", form or ["html"], report.FORMATS)),
        folder=out,
        questions=file,
        overwrites=overwrite,
    )
    if dry_run:
        files = [str(out / name) for name in report.planned(order)]
        if json:
            print_json("report_plan/1", files)
        else:
            print("\n".join(files))
        return
    written = report.write(options.load(), order)
    if json:
        print_json("report/1", written)
        return
    for one in written:
        print(out / one.file)
    if open_places := sum({one.name: one.num_open for one in written}.values()):
        note(f"{open_places} places are open: gemstead report questions")


def questions(
    file: Questions = None,
    language: LanguageOption = "en",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print it, with the answers there are, and write nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Write the questionnaire; if it is there already, leave it alone and list what is open."""
    from gemstead.app import report
    from gemstead.cli.output import note, print_json, print_table
    from gemstead.report.questions import as_toml

    loaded, chosen = options.load(), _language(language)
    path = report.questions_path(loaded, file)
    if not dry_run and not json and not path.exists():
        print(report.write_questions(loaded, file, chosen))
        note("fill it in, then: gemstead report --all")
        return
    answers = report.answers_of(loaded, file if path.exists() else None)
    if json:
        rows = [
            {"name": one.name, "ask": one.ask.of(chosen), "answer": one.answer or None} for one in answers.questions()
        ]
        print_json("report_questions/1", rows)
    elif dry_run:
        print(as_toml(answers, chosen), end="")
    else:
        left = [(one.name, one.ask.of(chosen)) for one in answers.questions() if not one.answer]
        print(f"{len(left)} questions of {path} are open" if left else f"every question of {path} has an answer")
        if left:
            print_table(("question", "asks for"), left)


def list_documents(
    out: Annotated[Path | None, typer.Option("--out", help="Say of a folder what is in it, and what is stale.")] = None,
    file: Questions = None,
    language: LanguageOption = "en",
    json: options.Json = False,
) -> None:
    """List the documents, and with --out which of them are current, stale, or were changed by hand."""
    from gemstead.app import report
    from gemstead.cli.output import print_json, print_table

    found = report.listed(options.load(), out, _language(language), file)
    if json:
        print_json("report_list/1", found)
        return
    if out is None:
        print_table(("document", "title", "asked for by"), [(one.name, one.title, one.law) for one in found])
        return
    rows = [(one.name, one.state, one.file, one.num_open, ", ".join(one.why)) for one in found]
    print_table(("document", "state", "file", "open", "changed since"), rows)


def _language(word: str) -> Language:
    from gemstead.report.words import LANGUAGES

    options.check_word("--language", word, list(LANGUAGES))
    return next(one for one in LANGUAGES if one == word)


def _words(option: str, texts: list[str], valid: tuple[str, ...]) -> set[str]:
    words = {word.strip() for text in texts for word in text.split(",")}
    for word in words:
        options.check_word(option, word, list(valid))
    return words
