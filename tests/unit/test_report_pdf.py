"""The PDF says what the other forms say."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from pypdf import PdfReader

from gemstead.report.blocks import Open, Paragraph
from gemstead.report.compose import compose, document_names
from gemstead.report.pdf import pdf
from gemstead.report.plain import cell_text, open_word
from gemstead.report.questions import Answers, Questionnaire
from gemstead.report.words import LANGUAGES, Language, same
from report_samples import ANSWERS, bare_material, full_material


def text_of(content: bytes) -> str:
    """Without blanks: where lines break is the page's business."""
    reader = PdfReader(io.BytesIO(content))
    return re.sub(r"\s", "", "".join(page.extract_text() for page in reader.pages))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", document_names())
def test_every_word_of_a_document_is_in_its_pdf(name: str, language: Language) -> None:
    document = compose(name, full_material())
    text = text_of(pdf(document, language))
    for cell in document.cells():
        # By words: a cell may go on on the next page.
        assert [word for word in cell_text(cell, language).split() if word not in text] == []
        if isinstance(cell, Open):
            assert re.sub(r"\s", "", open_word(language)) in text


def test_the_same_facts_give_the_same_bytes() -> None:
    document = compose("data-flow", full_material())
    assert pdf(document, "fr") == pdf(document, "fr")


def test_a_pdf_has_its_title_language_and_fonts_inside() -> None:
    reader = PdfReader(io.BytesIO(pdf(compose("retention", bare_material()), "fr")))
    assert reader.metadata is not None
    assert reader.metadata.title == "Durées de conservation"
    assert reader.root_object["/Lang"] == "fr"
    fonts = reader.pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    embedded = [font.get_object() for font in fonts.values()]
    assert any("/FontDescriptor" in font and "/FontFile2" in font["/FontDescriptor"] for font in embedded)


def test_a_character_that_the_font_lacks_is_shown_by_its_number() -> None:
    document = msgspec.structs.replace(
        compose("retention", bare_material()), blocks=(Paragraph(same("Жódź, œuvre, « été » <b>&amp;")),)
    )
    assert "[U+0416]ód[U+017A],œuvre,«été»<b>&amp;" in text_of(pdf(document, "fr"))


def test_an_answer_of_any_length_goes_over_pages() -> None:
    long = "Une phrase d'une certaine longueur. " * 110
    given = Questionnaire.model_validate({"controller": {"name": long, "contact": "x" * 3900}})
    material = msgspec.structs.replace(full_material(), answers=Answers(given, "report.toml", ANSWERS.at_s))
    content = pdf(compose("processing-record", material), "fr")
    assert text_of(content).count("longueur.") == 110
