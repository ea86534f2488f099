"""A running installation with keys, rules and evidence: every document in every form, out of the command itself."""

from __future__ import annotations

import io
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader

from browser import opened_browser
from cli_runner import Cli

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("browser")]

ANSWERS = """
[controller]
name = "Commune d'Exemple-sur-Œuvre"
[processing]
purposes = ["Rédiger des courriers"]
"""


@pytest.fixture(scope="module")
def documents(
    tmp_path_factory: pytest.TempPathFactory, llama_server: Path, smollm2: Path
) -> Iterator[tuple[Cli, Path]]:
    cli = Cli(tmp_path_factory.mktemp("data"), llama_server)
    cli("models", "import", str(smollm2), "--name", "smollm2:135m", "--how", "link")
    key = cli("keys", "create", "--name", "laptop", "--owner", "ada", "--group", "staff").stdout.strip()
    cli("policy", "init")
    (cli.data / "report.toml").write_text(ANSWERS)
    url = cli.json("up", "--model", "smollm2:135m", "--port", "0", "--context", "512")["url"]
    try:
        _ask(url, key)
        out = cli.data.parent / "documents"
        cli(
            *("report", "--all", "--out", str(out), "--language", "en", "--language", "fr"),
            *("--format", "md,html,pdf"),
        )
        yield cli, out
    finally:
        cli("stop", "--all", status=None)


def _ask(url: str, key: str) -> None:
    body = {"model": "smollm2:135m", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{url}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        assert response.status == 200


def test_the_documents_tell_of_the_running_installation(documents: tuple[Cli, Path]) -> None:
    _cli, out = documents
    measures = (out / "security-measures.fr.md").read_text()
    assert "actives : 1" in measures.replace("\u00a0", " ")
    assert "smollm2:135m" in measures
    assert "aucune anomalie" in measures
    record = (out / "processing-record.en.md").read_text()
    assert "Commune d'Exemple-sur-Œuvre" in record
    assert re.search(r"evidence of each exchange.*\([1-9]\d* records\)", record)
    assert "**OPEN** (processing.legal_basis)" in record


def test_no_name_of_an_owner_and_no_key_is_in_a_document(documents: tuple[Cli, Path]) -> None:
    _cli, out = documents
    for path in out.glob("*.md"):
        text = path.read_text()
        assert not re.search(r"gk_[0-9a-z]{8}_", text), path.name
        assert not re.search(r"\bada\b", text), path.name


def test_each_pdf_says_what_its_page_says(documents: tuple[Cli, Path]) -> None:
    _cli, out = documents
    with opened_browser() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for path in sorted(out.glob("*.html")):
            asked.clear()
            page.goto(path.as_uri())
            assert asked == [path.as_uri()]
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path.name
            cells = page.evaluate("[...document.querySelectorAll('td, h1, h2')].map(cell => cell.textContent)")
            reader = PdfReader(io.BytesIO(path.with_suffix(".pdf").read_bytes()))
            text = re.sub(r"\s", "", "".join(one.extract_text() for one in reader.pages))
            missing = {word for cell in cells for word in cell.split() if word not in text}
            assert missing == set(), path.name
        page.close()


def test_they_are_current_until_something_changes(documents: tuple[Cli, Path]) -> None:
    cli, out = documents
    items = cli.json("report", "list", "--out", str(out))["items"]
    assert {item["state"] for item in items} == {"current"}
    (cli.data / "policy.toml").write_text((cli.data / "policy.toml").read_text() + "\n# reviewed\n")
    items = cli.json("report", "list", "--out", str(out))["items"]
    assert {(item["state"], tuple(item["why"])) for item in items} == {("stale", ("policy",))}
