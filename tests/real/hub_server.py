"""A model hub on this machine: what a client of Hugging Face's hub sees, with faults to order.

Two ports, as on the real one: the hub answers about repositories and redirects to a second origin that holds the bytes.

    with HubServer({"owner/repo": Repo({"model.gguf": b"..."})}) as hub:
        hub.faults["model.gguf"] = Fault(cut_after_bytes=1000)
        ... hub.endpoint ...
        hub.served("model.gguf")

By hand: python tests/real/hub_server.py FOLDER   serves FOLDER/OWNER/REPO/* until Ctrl-C.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

CHUNK_BYTES = 64 * 1024
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_SUFFIXES = (".gguf", ".safetensors", ".litertlm")
TOKEN = "hf_good"
TOKEN_WITHOUT_ACCESS = "hf_other"


@dataclass
class Repo:
    """`is_private`: needs a token. `is_gated`: needs one whose owner accepted the licence."""

    files: dict[str, bytes]
    commit: str = COMMIT
    is_private: bool = False
    is_gated: bool = False


@dataclass
class Fault:
    """What goes wrong with the bytes of one file, `times` times (None: always)."""

    cut_after_bytes: int | None = None
    status: int | None = None
    retry_after_s: int | None = None
    is_wrong: bool = False
    bytes_per_s: float | None = None
    has_length: bool = True
    has_ranges: bool = True
    times: int | None = 1


@dataclass
class Exchange:
    """One request as it arrived, and how many body bytes were sent."""

    origin: str
    method: str
    path: str
    headers: Mapping[str, str]
    status: int = 0
    num_sent: int = 0


@dataclass
class HubServer:
    repos: dict[str, Repo]
    faults: dict[str, Fault] = field(default_factory=dict)
    log: list[Exchange] = field(default_factory=list)
    hub_port: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self._servers = [_Server(self, _HubHandler, self.hub_port), _Server(self, _BytesHandler, 0)]
        self.endpoint, self.bytes_endpoint = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in self._servers
        ]

    def __enter__(self) -> HubServer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def exchanges(self, name: str, origin: str = "bytes") -> list[Exchange]:
        with self.lock:
            return [entry for entry in self.log if entry.origin == origin and entry.path.endswith(f"/{name}")]

    def served(self, name: str) -> int:
        """Body bytes of the file that left the second origin, all requests together."""
        return sum(entry.num_sent for entry in self.exchanges(name))

    def take_fault(self, name: str) -> Fault:
        with self.lock:
            fault = self.faults.get(name)
            if fault is None or fault.times == 0:
                return Fault(times=None)
            if fault.times is not None:
                fault.times -= 1
            return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, hub: HubServer, handler: type[_Handler], port: int) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    origin = "hub"

    def log_message(self, *args: object) -> None:
        """Requests are kept in `HubServer.log`."""

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.entry = Exchange(self.origin, self.command, path, {k.lower(): v for k, v in self.headers.items()})
        with self.server.hub.lock:
            self.server.hub.log.append(self.entry)
        self.answer(path)

    def answer(self, path: str) -> None:
        raise NotImplementedError

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.start(status, {**headers, "Content-Length": headers.get("Content-Length", str(len(body)))})
        if self.command != "HEAD" and body:
            self.wfile.write(body)
            self.entry.num_sent += len(body)

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.entry.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _HubHandler(_Handler):
    def answer(self, path: str) -> None:
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            self._list(*match.groups())
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*match.groups())
        else:
            self.refuse(404, "NotFound", "no such page")

    def refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self.send(status, {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "application/json"}, body)

    def _repo(self, name: str, revision: str) -> Repo | None:
        """The repository, if this caller may see it; otherwise the refusal is sent."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        repo = self.server.hub.repos.get(name)
        if token not in ("", TOKEN, TOKEN_WITHOUT_ACCESS):
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif repo is None or (repo.is_private and token != TOKEN):
            self.refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        elif repo.is_gated and token != TOKEN:
            self.refuse(403 if token else 401, "GatedRepo", f"Access to model {name} is restricted")
        elif revision not in ("main", repo.commit):
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repo
        return None

    def _list(self, name: str, revision: str) -> None:
        if (repo := self._repo(name, revision)) is None:
            return
        entries = []
        for path, content in repo.files.items():
            entry = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            if path.endswith(LARGE_SUFFIXES):
                entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
            entries.append(entry)
        self.send(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())

    def _resolve(self, name: str, revision: str, path: str) -> None:
        if (repo := self._repo(name, revision)) is None:
            return
        if path not in repo.files:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        content = repo.files[path]
        headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes"}
        if not path.endswith(LARGE_SUFFIXES):
            self.send(200, {**headers, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content)
            return
        location = f"{self.server.hub.bytes_endpoint}/{quote(name)}/{quote(path)}?signature=secret"
        linked = {"X-Linked-Etag": f'"{_sha256(content)}"', "X-Linked-Size": str(len(content))}
        self.send(302, {**headers, **linked, "Location": location})


class _BytesHandler(_Handler):
    """The second origin. It knows no tokens: one that arrives here has leaked."""

    origin = "bytes"

    def answer(self, path: str) -> None:
        owner, repo, name = path.lstrip("/").split("/", 2)
        hub = self.server.hub
        content = hub.repos[f"{owner}/{repo}"].files[name]
        fault = hub.take_fault(name)
        if fault.status is not None:
            retry = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
            self.send(fault.status, retry, b"fault to order")
            return
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        start = self._start_of_range(etag) if fault.has_ranges else 0
        if start > len(content) or (start == len(content) and start):
            self.send(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        if fault.is_wrong:
            content = bytes(byte ^ 1 for byte in content[:64]) + content[64:]
        headers = {"ETag": etag, "Content-Type": "application/octet-stream"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if fault.has_length:
            headers["Content-Length"] = str(len(content) - start)
        else:
            headers["Connection"] = "close"
        self.start(206 if start else 200, headers)
        self._body(memoryview(content)[start:], fault)

    def _start_of_range(self, etag: str) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range", etag) == etag
        return int(match[1]) if match and is_same else 0

    def _body(self, content: memoryview, fault: Fault) -> None:
        end = len(content) if fault.cut_after_bytes is None else min(fault.cut_after_bytes, len(content))
        for offset in range(0, end, CHUNK_BYTES):
            chunk = content[offset : min(offset + CHUNK_BYTES, end)]
            self.wfile.write(chunk)
            self.entry.num_sent += len(chunk)
            if fault.bytes_per_s is not None:
                time.sleep(len(chunk) / fault.bytes_per_s)
        if end < len(content) or not fault.has_length:
            self.close_connection = True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def repos_in(folder: Path) -> dict[str, Repo]:
    """FOLDER/OWNER/REPO/files, read into memory."""
    repos = {}
    for path in sorted(folder.glob("*/*")):
        files = {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
        repos[f"{path.parent.name}/{path.name}"] = Repo(files)
    return repos


def main() -> None:
    parser = argparse.ArgumentParser(description="a model hub on this machine")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with HubServer(repos_in(arguments.folder), hub_port=arguments.port) as hub:
        sys.stdout.write(f"HF_ENDPOINT={hub.endpoint}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
