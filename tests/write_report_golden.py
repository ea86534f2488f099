"""Writes the golden documents of tests/golden/report anew: run it, then read the difference.

PYTHONPATH=src:tests python tests/write_report_golden.py
"""

from __future__ import annotations

from pathlib import Path

from gemstead.report.compose import compose, document_names
from gemstead.report.markdown import markdown
from gemstead.report.words import LANGUAGES
from report_samples import full_material

FOLDER = Path(__file__).parent / "golden" / "report"

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in document_names():
        for language in LANGUAGES:
            text = markdown(compose(name, full_material()), language, f"{name}.{language}.svg")
            (FOLDER / f"{name}.{language}.md").write_text(text, encoding="utf-8")
