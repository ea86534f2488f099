"""Writes documents about this installation into a folder, and tells which of them are out of date.

Beside the documents lies `gemstead-report.json`: what was written, of which configuration. A document that somebody
changed by hand is not written over: what people say belongs into the questionnaire.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from gemstead.app.report_facts import configuration, gather, hash_of
from gemstead.catalog.partial import write_atomic
from gemstead.core.errors import FileDamaged, NameUnknown, RequestInvalid, SettingInvalid
from gemstead.report.blocks import Document, Picture, num_open
from gemstead.report.compose import compose, document_kind, document_names
from gemstead.report.controls import ControlBook, load_controls
from gemstead.report.diagram import draw
from gemstead.report.fill import Material
from gemstead.report.questions import NO_ANSWERS, Answers, as_toml, read_answers
from gemstead.report.words import Language
from gemstead.settings.load import Loaded
from gemstead.store.digest import file_sha256

Format: TypeAlias = Literal["md", "html", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)

ANSWERS_FILE = "report.toml"
LIST_FILE = "gemstead-report.json"
MAX_LIST_BYTES = 1024 * 1024


class Order(msgspec.Struct, frozen=True):
    """`questions` None: the questionnaire beside the settings, if there is one."""

    names: tuple[str, ...]
    languages: tuple[Language, ...]
    formats: tuple[Format, ...]
    folder: Path
    questions: Path | None = None
    overwrites: bool = False


class Written(msgspec.Struct, frozen=True):
    """One file in the folder. `parts` are the hashes of what it was made of. `made_at_s` is seconds since 1970."""

    name: str
    language: str
    format: str
    file: str
    sha256: str
    made_at_s: float
    num_open: int
    parts: dict[str, str]


class Listed(msgspec.Struct, frozen=True):
    """A kind of document, or a file of it in a folder. `state` is "not written", "current", "stale", "changed by hand"
    or "gone"; `why` lists what changed since."""

    name: str
    title: str
    law: str
    state: str
    file: str | None = None
    num_open: int | None = None
    why: tuple[str, ...] = ()


def write(loaded: Loaded, order: Order) -> list[Written]:
    """Raises: NameUnknown; SettingInvalid for a bad questionnaire or a folder that cannot be written; RequestInvalid
    for a document that was changed by hand; FileDamaged.
    """
    files = dict(_content(loaded, order))
    known = {one.file: one for one in read_list(order.folder)}
    if not order.overwrites:
        for name in files:
            _check_unchanged(order.folder, name, known.get(name))
    try:
        for name, (content, _written) in files.items():
            write_atomic(order.folder / name, content)
        written = {name: entry for name, (_content, entry) in files.items() if entry is not None}
        everything = [*(known | written).values()]
        write_atomic(order.folder / LIST_FILE, msgspec.json.format(msgspec.json.encode(everything), indent=2))
    except OSError as exc:
        raise SettingInvalid(f"{order.folder} cannot be written to: {exc.strerror}") from exc
    return list(written.values())


def planned(order: Order) -> list[str]:
    """The files that `write` would write. Raises: NameUnknown."""
    for name in order.names:
        document_kind(name)
    return [
        file_name(name, language, form)
        for name in order.names
        for language in order.languages
        for form in order.formats
    ]


def listed(loaded: Loaded, folder: Path | None, language: Language, questions: Path | None = None) -> list[Listed]:
    """Every kind of document, and with a folder what is in it of each. Raises: as `write`."""
    written = read_list(folder) if folder is not None else []
    parts = _parts(loaded, answers_of(loaded, questions), load_controls()) if written else {}
    found = []
    for name in document_names():
        kind = document_kind(name)
        title, law = kind.title.of(language), kind.law.of(language)
        mine = [one for one in written if one.name == name]
        found += [Listed(name, title, law, *_state(folder, one, parts)) for one in mine if folder is not None]
        if not mine:
            found.append(Listed(name, title, law, "not written"))
    return found


def questions_path(loaded: Loaded, given: Path | None) -> Path:
    return loaded.paths.config / ANSWERS_FILE if given is None else given


def answers_of(loaded: Loaded, given: Path | None) -> Answers:
    """That there is none is no mistake, unless one was named. Raises: SettingInvalid, NameUnknown."""
    path = questions_path(loaded, given)
    if given is None and not path.exists():
        return NO_ANSWERS
    return read_answers(path)


def write_questions(loaded: Loaded, given: Path | None, language: Language) -> Path:
    """A new questionnaire. Raises: SettingInvalid if there is one already, or it cannot be written."""
    path = questions_path(loaded, given)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as opened:
            opened.write(as_toml(NO_ANSWERS, language))
    except FileExistsError as exc:
        raise SettingInvalid(f"{path} is there already", hint="gemstead report questions --dry-run") from exc
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be written: {exc.strerror}") from exc
    return path


def read_list(folder: Path) -> list[Written]:
    """What was written into `folder`; nothing is known of one without a list. Raises: FileDamaged."""
    path = folder / LIST_FILE
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_LIST_BYTES)
        return msgspec.json.decode(content, type=list[Written])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as exc:
        raise FileDamaged(f"{path} cannot be read", why=str(exc), hint=f"delete {path}") from exc


def file_name(name: str, language: str, form: str) -> str:
    return f"{name}.{language}.{form}"


def check_names(names: list[str], *, is_all: bool) -> tuple[str, ...]:
    """Raises: NameUnknown for one that is none; RequestInvalid for none at all."""
    known = document_names()
    for name in names:
        if name not in known:
            raise NameUnknown("document", name, known)
    if not names and not is_all:
        raise RequestInvalid("no document is named", hint="gemstead report --all, or gemstead report list")
    return tuple(known if is_all else dict.fromkeys(names))


def _parts(loaded: Loaded, answers: Answers, controls: ControlBook) -> dict[str, str]:
    """What documents are made of, each as a hash."""
    told, tested = as_toml(answers, "en"), msgspec.json.encode(controls, order="sorted").decode()
    return configuration(loaded) | {"answers": hash_of(told), "controls": hash_of(tested)}


def _content(loaded: Loaded, order: Order) -> Iterator[tuple[str, tuple[bytes, Written | None]]]:
    """Each file with its bytes; a picture that belongs to a Markdown file has no entry of its own in the list."""
    answers, controls = answers_of(loaded, order.questions), load_controls()
    parts = _parts(loaded, answers, controls)
    material = Material(gather(loaded, config=hash_of(parts)), answers, controls)
    for name in order.names:
        document = compose(name, material)
        for language in order.languages:
            for form in order.formats:
                file = file_name(name, language, form)
                content = rendered(document, language, form)
                entry = Written(
                    name,
                    language,
                    form,
                    file,
                    hashlib.sha256(content).hexdigest(),
                    material.facts.at_s,
                    num_open(document.blocks),
                    parts,
                )
                yield file, (content, entry)
            if "md" in order.formats:
                for block in document.blocks:
                    if isinstance(block, Picture):
                        picture = draw(block.diagram, language).encode()
                        yield file_name(name, language, "svg"), (picture, None)


def rendered(document: Document, language: Language, form: Format) -> bytes:
    """The bytes of one file; the same document gives the same."""
    if form == "md":
        from gemstead.report.markdown import markdown

        return markdown(document, language, file_name(document.name, language, "svg")).encode()
    if form == "html":
        from gemstead.report.html import html

        return html(document, language).encode()
    from gemstead.report.pdf import pdf

    return pdf(document, language)


def _check_unchanged(folder: Path, name: str, known: Written | None) -> None:
    """A picture is made with its document and looked at by nobody here: people do not write into it."""
    path = folder / name
    if name.endswith(".svg") or not path.exists():
        return
    if known is None or _sha256(path) != known.sha256:
        raise RequestInvalid(
            f"{path} was changed by hand, or not written by gemstead",
            why="writing it anew would lose what somebody wrote there",
            hint="put it into the questionnaire (gemstead report questions), or write over it: --overwrite",
        )


def _state(folder: Path, written: Written, parts: dict[str, str]) -> tuple[str, str, int, tuple[str, ...]]:
    path = folder / written.file
    why = tuple(name for name in parts if written.parts.get(name) != parts[name])
    if not path.exists():
        return "gone", written.file, written.num_open, why
    if _sha256(path) != written.sha256:
        return "changed by hand", written.file, written.num_open, why
    return "stale" if why else "current", written.file, written.num_open, why


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as exc:
        raise SettingInvalid(f"{path} cannot be read: {exc.strerror}") from exc
