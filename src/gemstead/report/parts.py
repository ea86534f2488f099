"""What several documents say in the same way."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.report.blocks import Block, Cell, Heading, Mark, Paragraph, Table
from gemstead.report.controls import Catalogue, Control, ControlBook
from gemstead.report.facts import Facts
from gemstead.report.words import Say, Words, joined, moment, same

SHOWN_HASH_CHARS = 16


def program_in_words(facts: Facts, say: Say) -> Words:
    program = facts.program
    return say("program_is", version=program.version, python=program.python, system=program.system)


def models_in_words(facts: Facts, say: Say) -> Words:
    if not facts.models:
        return say("none")
    return joined(
        (
            say(
                "model_is",
                name=model.name,
                quant=model.quant or "-",
                place=model.place,
                sha256=model.sha256[:SHOWN_HASH_CHARS],
                licence=model.licence or say("not_known"),
            )
            for model in facts.models
        ),
        "; ",
    )


def outside_in_words(facts: Facts, say: Say) -> Words:
    """What may be connected to, and for what."""
    if not facts.outside:
        return say("outside_none")
    return joined((joined((same(address), say(f"use_{use}")), " - ") for use, address in facts.outside), "; ")


def control_results(book: ControlBook, say: Say) -> Words:
    """When the tests were last run, and what for."""
    results = book.results
    if results.at_s is None:
        return say("results_never")
    placed = [control.id for control in book.controls if control.state == "in place"]
    proven = sum(name in results.failing_without for name in placed)
    commit = results.commit[:19] or "-"
    return say("results_at", at=moment(results.at_s), commit=commit, proven=proven, total=len(placed))


def control_tables(book: ControlBook, catalogue: Catalogue, say: Say) -> Iterator[Block]:
    """One table for each risk of a list."""
    yield Paragraph(say("controls_note"))
    headers = (say("control"), say("state"), say("test"), say("last_result"))
    for risk in book.listed(catalogue):
        yield Heading(risk.title if catalogue == "use" else joined((same(risk.id), risk.title), " "))
        controls = book.against(risk.id)
        if not any(control.state == "in place" for control in controls):
            yield Paragraph(say("no_control"))
        if controls:
            yield Table(headers, tuple(_row(book, control, say) for control in controls), (7, 3, 7, 2))


def _row(book: ControlBook, control: Control, say: Say) -> tuple[Cell, ...]:
    if control.state != "in place":
        return control.sentence, Mark("later", say("later")), same("-"), same("-")
    outcome = book.outcome(control)
    result = Mark({"passed": "yes", "failed": "no", "not run": "unknown"}[outcome], say(outcome.replace(" ", "_")))  # type: ignore[arg-type]
    tests = "; ".join(test.rpartition("/")[2].replace("::", " ") for test in control.tests)
    return control.sentence, Mark("yes", say("yes")), same(tests), result
