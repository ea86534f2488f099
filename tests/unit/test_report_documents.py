"""Every document, of nothing and of everything, in every language and form.

After a change of texts or controls: `tests/write_report_golden.py` writes the golden files anew.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gemstead.report
from gemstead.app.report import rendered
from gemstead.core.errors import NameUnknown
from gemstead.report.blocks import Heading, Mark, Open, Paragraph, Picture, Table, num_open
from gemstead.report.compose import compose, document_kind, document_names
from gemstead.report.diagram import Label, draw, shapes
from gemstead.report.fill import Material
from gemstead.report.html import html
from gemstead.report.markdown import markdown
from gemstead.report.plain import clean
from gemstead.report.questions import NO_ANSWERS
from gemstead.report.words import LANGUAGES, Language, Words, same, sentences
from report_samples import BAD_EVIDENCE, BARE, BROKEN_POLICY, FULL, bare_material, book, full_material

GOLDEN = Path(__file__).parents[1] / "golden" / "report"
TEXTS = Path(gemstead.report.__file__).parent / "texts"

NAMES = document_names()
EVERY = [(name, language) for name in NAMES for language in LANGUAGES]

STRANGE = msgspec.structs.replace(FULL, policy=BROKEN_POLICY, evidence=BAD_EVIDENCE, open_files=("/data/pepper",))


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_the_same_facts_give_the_same_document(name: str, language: Language) -> None:
    made = markdown(compose(name, full_material()), language, f"{name}.{language}.svg")
    assert made == (GOLDEN / f"{name}.{language}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("material", [bare_material(), full_material(), Material(STRANGE, NO_ANSWERS, book())])
@pytest.mark.parametrize(("name", "language"), EVERY)
def test_nothing_is_left_unfilled_by_mistake(name: str, language: Language, material: Material) -> None:
    document = compose(name, material)
    text = markdown(document, language, "picture.svg")
    assert not re.search(r"\{\w*\}", text)
    assert not re.search(r"\bNone\b(?! of|\.)|Words\(", text)
    assert rendered(document, language, "html").startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize("name", NAMES)
def test_every_filled_field_says_where_it_was_read_and_when(name: str) -> None:
    for block in compose(name, full_material()).blocks:
        for entry in getattr(block, "entries", ()):
            assert isinstance(entry.content, Open) != (entry.source is not None), entry.label.en


def test_what_only_a_person_can_say_is_open_until_it_is_said() -> None:
    open_before = num_open(compose("processing-record", bare_material()).blocks)
    told = Material(BARE, full_material().answers, book())
    document = compose("processing-record", told)
    assert num_open(document.blocks) == open_before - 4
    text = markdown(document, "fr", "")
    assert "Commune d'Exemple-sur-Œuvre" in text
    assert "**À COMPLÉTER** (processing.legal_basis)" in text
    assert "(processing.legal_basis)" in text


def test_the_act_notes_claim_support_and_never_conformity() -> None:
    for language in LANGUAGES:
        for name in NAMES:
            text = markdown(compose(name, full_material()), language, "").lower()
            assert not re.search(r"\bcompliant\b|\bcomplies\b|\bconforme\b|\ben conformité\b", text), name


def test_what_is_not_built_is_said_to_be_not_built() -> None:
    for name in ("owasp-llm", "owasp-agentic", "prohibited-use"):
        marks = [cell for cell in compose(name, full_material()).cells() if isinstance(cell, Mark)]
        assert {"yes", "later"} <= {mark.state for mark in marks}


def test_a_test_that_failed_or_never_ran_is_shown_as_such() -> None:
    failed = msgspec.structs.replace(
        book().results, outcomes=dict.fromkeys(book().results.outcomes, "failed"), failing_without=()
    )
    for results, word in ((failed, "FAILED"), (type(failed)(), "not run")):
        text = markdown(compose("owasp-llm", Material(BARE, NO_ANSWERS, book(results))), "en", "")
        assert word in text
        assert "| passed |" not in text


def test_without_evidence_the_documents_say_so_and_are_whole() -> None:
    assert "Evidence is off" in markdown(compose("incident-log", bare_material()), "en", "")
    assert "evidence is off" in markdown(compose("security-measures", bare_material()), "en", "")
    assert "7: edited" in markdown(compose("security-measures", Material(STRANGE, NO_ANSWERS, book())), "en", "")


def test_an_unknown_document_is_suggested() -> None:
    with pytest.raises(NameUnknown) as caught:
        document_kind("owasp-lm")
    assert "owasp_llm" in (caught.value.hint or "")


class _Page(HTMLParser):
    """Notes what a page asks for, and that its tags are closed in order."""

    VOID = frozenset({"meta", "col", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wanted: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.wanted += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_a_page_is_well_formed_and_asks_for_nothing(name: str, language: Language) -> None:
    text = html(compose(name, full_material()), language)
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.wanted == []
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert "url(" not in text
    assert "@import" not in text
    assert f'<html lang="{language}">' in text


@settings(deadline=None)
@given(st.text(max_size=80))
def test_no_text_breaks_out_of_a_document(text: str) -> None:
    blocks = (
        Heading(same(text)),
        Paragraph(same(text)),
        Table((same(text),), ((same(text),), (Open(same(text)),)), (1,)),
    )
    document = msgspec.structs.replace(compose("retention", bare_material()), title=same(text), blocks=blocks)
    page = _Page()
    page.feed(html(document, "en"))
    assert page.open == []
    assert page.tags <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "colgroup", "col"),
        *("thead", "tbody", "tr", "th", "td", "mark"),
    }
    for line in markdown(document, "en", "").split("\n"):
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 2


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\u202e", "\u2066", "\ud800"])
def test_characters_that_deceive_or_cannot_be_shown_are_replaced(char: str) -> None:
    assert clean(f"a{char}b") == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_is_xml_and_its_words_fit_their_boxes(language: Language) -> None:
    for material in (bare_material(), full_material()):
        blocks = compose("data-flow", material).blocks
        diagram = next(block.diagram for block in blocks if isinstance(block, Picture))
        ET.fromstring(draw(diagram, language))
        labels = [shape for shape in shapes(diagram, language) if isinstance(shape, Label)]
        assert all(len(label.text) <= 26 for label in labels), [label.text for label in labels]


def test_each_language_has_every_sentence_with_the_same_places_to_fill() -> None:
    for path in TEXTS.glob("*.toml"):
        for key, words in sentences(path.stem).items():
            assert words.en.strip(), (path.stem, key)
            assert words.fr.strip(), (path.stem, key)
            assert _places(words.en) == _places(words.fr), (path.stem, key)


def _places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_sentence_is_said_somewhere() -> None:
    source = "".join(path.read_text() for path in TEXTS.parent.rglob("*.py"))
    built = re.compile(r"kind_\w+|use_\w+|(access|change|loss)_threats|not_run")
    for path in TEXTS.glob("*.toml"):
        for key in sentences(path.stem):
            assert f'"{key}"' in source or built.fullmatch(key), (path.stem, key)


def test_french_signs_do_not_begin_a_line() -> None:
    for path in TEXTS.glob("*.toml"):
        for key, words in sentences(path.stem).items():
            assert not re.search(r" [:;?!»%]|« ", words.fr), (path.stem, key)
            assert "\N{RIGHT SINGLE QUOTATION MARK}" not in words.fr, (path.stem, key)


def test_words_are_of_the_language_asked_for() -> None:
    assert Words("a", "b").of("en") == "a"
    assert Words("a", "b").of("fr") == "b"
