"""Changes to what an auditor was handed: a whole bundle, a selection, a proof."""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable

from benchmarks.tamper_suite.case import Case, Change, encoded
from benchmarks.tamper_suite.changes import AT, FORGER
from gemstead.evidence import verify

BUNDLE_CHANGES: list[Change] = []
Edit = Callable[[bytes], bytes]
WHOLE, PART = "whole.zip", "part.zip"


def change(name: str, target: str, at: int | None = None) -> Callable[[Callable[[Case], None]], None]:
    def listed(make: Callable[[Case], None]) -> None:
        def on_target(case: Case) -> None:
            case.target = target
            make(case)

        BUNDLE_CHANGES.append(Change(name, at, "", on_target))

    return listed


def rezip(case: Case, *, is_resigned: bool = False, drop: str | None = None, **edits: Edit) -> None:
    """Writes the bundle anew as gemstead does, its entries edited ("records_jsonl" is records.jsonl). `is_resigned`:
    with a manifest that fits, signed by a forger.
    """
    path = case.folder / case.target
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist() if name != drop}
    entries |= {
        name: edits[name.replace(".", "_")](old) for name, old in entries.items() if name.replace(".", "_") in edits
    }
    if is_resigned:
        manifest = json.loads(entries["manifest.json"])
        for name, listed in manifest["files"].items():
            listed["sha256"] = hashlib.sha256(entries[name]).hexdigest()
        entries["manifest.json"] = json.dumps(manifest).encode()
        entries["manifest.sig"] = encoded(FORGER.sign(verify.BUNDLE + entries["manifest.json"])).encode() + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _replaced(old: bytes, new: bytes) -> Edit:
    def edit(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return edit


def _of_line(position: int, edit: Edit) -> Edit:
    def on_line(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        mark = b'"position":%d,' % position
        return b"".join(edit(line) if mark in line else line for line in lines)

    return on_line


ANOTHER_MODEL = _of_line(AT, _replaced(b"gemma4", b"gemma5"))
for _name, _target in (("all records", WHOLE), ("a selection", PART)):
    change(f"bundle of {_name}: a record edited", _target, AT)(lambda case: rezip(case, records_jsonl=ANOTHER_MODEL))
    change(f"bundle of {_name}: edited, signed by another key", _target, AT)(
        lambda case: rezip(case, records_jsonl=ANOTHER_MODEL, is_resigned=True)
    )
    change(f"bundle of {_name}: a record left out", _target, AT if _target == WHOLE else None)(
        lambda case: rezip(case, records_jsonl=_of_line(AT, lambda _: b""), is_resigned=True)
    )
    change(f"bundle of {_name}: manifest edited", _target)(
        lambda case: rezip(case, manifest_json=_replaced(b'"made_ms": 1', b'"made_ms": 2'))
    )
    change(f"bundle of {_name}: verify.py replaced", _target)(
        lambda case: rezip(case, verify_py=lambda _: b"print('ok')\n")
    )
    change(f"bundle of {_name}: page edited", _target)(lambda case: rezip(case, README_txt=lambda old: old + b"more"))


@change("bundle: record given another position", PART, AT + 2)
def _moved(case: Case) -> None:
    old, new = b'"position":%d,' % AT, b'"position":%d,' % (AT + 2)
    rezip(case, records_jsonl=_replaced(old, new), is_resigned=True)


@change("bundle: a name twice in a record", WHOLE, AT)
def _name_twice(case: Case) -> None:
    rezip(case, records_jsonl=_of_line(AT, _replaced(b'"record":{', b'"record":{"model":"another",')), is_resigned=True)


@change("bundle: line that is no record", WHOLE)
def _no_record(case: Case) -> None:
    rezip(case, records_jsonl=_of_line(AT, _replaced(b'{"hash"', b'{ "hash"')), is_resigned=True)


@change("bundle: lines swapped", WHOLE, AT)
def _lines_swapped(case: Case) -> None:
    def swap(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        lines[AT], lines[AT + 1] = lines[AT + 1], lines[AT]
        return b"".join(lines)

    rezip(case, records_jsonl=swap, is_resigned=True)


@change("bundle: checkpoint of the manifest replaced by an older one", WHOLE)
def _older_checkpoint(case: Case) -> None:
    def older(content: bytes) -> bytes:
        return json.dumps({**json.loads(content), "checkpoint": case.note(128)}).encode()

    rezip(case, manifest_json=older, is_resigned=True)


@change("bundle: a checkpoint edited", WHOLE)
def _checkpoint(case: Case) -> None:
    rezip(case, checkpoints_txt=_replaced(b"\n128\n", b"\n129\n"), is_resigned=True)


@change("bundle: an entry left out", WHOLE)
def _left_out(case: Case) -> None:
    rezip(case, drop="checkpoints.txt")


@change("bundle: bytes after its end", WHOLE)
def _trailing(case: Case) -> None:
    _raw(case, lambda content: content + b"more")


@change("bundle: bytes before its beginning", WHOLE)
def _leading(case: Case) -> None:
    _raw(case, lambda content: b"more" + content)


@change("bundle: a byte flipped in the middle", WHOLE)
def _flipped(case: Case) -> None:
    def flip(content: bytes) -> bytes:
        middle = len(content) // 2
        return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]

    _raw(case, flip)


@change("bundle: an entry there twice", WHOLE)
def _twice(case: Case) -> None:
    _added(case, "records.jsonl")


@change("bundle: one more entry", WHOLE)
def _more(case: Case) -> None:
    _added(case, "more.txt")


@change("bundle: a comment", WHOLE)
def _comment(case: Case) -> None:
    with zipfile.ZipFile(case.folder / case.target, "a") as archive:
        archive.comment = b"more"


@change("proof: record edited", "proof.json", AT)
def _proof(case: Case) -> None:
    _proved(case, lambda text: text.replace("openai", "ollama"))


@change("proof: of another position", "proof.json", AT)
def _proof_position(case: Case) -> None:
    _proved(case, lambda text: text.replace(f'"position": {AT}', f'"position": {AT + 2}'))


@change("proof: checkpoint edited", "proof.json")
def _proof_checkpoint(case: Case) -> None:
    _proved(case, lambda text: text.replace("\\n400\\n", "\\n401\\n"))


def _proved(case: Case, edit: Callable[[str], str]) -> None:
    text = json.dumps(verify.prove(case.database, AT))
    edited = edit(text)
    assert edited != text
    (case.folder / "proof.json").write_text(edited)


def _raw(case: Case, edit: Edit) -> None:
    path = case.folder / case.target
    path.write_bytes(edit(path.read_bytes()))


def _added(case: Case, name: str) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(case.folder / case.target, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(zipfile.ZipInfo(name), b"{}\n")
