"""A subject for the doctor out of real parts in a folder of the test: settings, an empty store, a plain machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fake_engine import small_plan
from gemstead.catalog.manifests import Manifest, StoredFile
from gemstead.catalog.store import Store
from gemstead.core.figures import BytesFigure
from gemstead.core.plan import Plan
from gemstead.core.units import GIB
from gemstead.doctor.check import load_check
from gemstead.doctor.examination import look_through
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import MemoryHistory, RunningServer, Subject
from gemstead.engines.base import Installation
from gemstead.engines.kinds.llama_cpp import ENGINE
from gemstead.hardware.snapshot import Cpu, Machine, Memory
from gemstead.settings.load import load_settings

NOW_S = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


def machine(*, total_bytes: int = 16 * GIB, sets: tuple[str, ...] = ("avx2",), **changes: Any) -> Machine:
    cpu = Cpu("a processor", "x86_64", 4, 8, 4, instruction_sets=sets)
    memory = Memory(total_bytes, BytesFigure(total_bytes // 2, "measured"))
    return Machine(**{"name": "a machine", "origin": "probed", "cpu": cpu, "memory": memory, **changes})


def installation(version: str = "0.5.0-dev", **changes: Any) -> Installation:
    given = {"kind": ENGINE.name, "program": Path("/opt/llama-server"), "version": version, "origin": "built"}
    return Installation(**(given | {"can_use_gpu": False} | changes))


def server(**changes: Any) -> RunningServer:
    given = {"pid": 4711, "port": 9000, "model": "gemma4:e2b-q4_0", "engine": "llama_cpp 0.5.0-dev", "rss_bytes": GIB}
    return RunningServer(**(given | {"state": "ready", "listens_at": ("127.0.0.1:9000",)} | changes))


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise error

    return fail


def plan_of(plan: Plan | None = None) -> Callable[[float | None], Plan]:
    return lambda _headroom: plan or small_plan("gemma4:e2b-q4_0", context_length=8192)


def subject(folder: Path, *, environ: dict[str, str] | None = None, **changes: Any) -> Subject:
    """`changes` replace fields; `environ` adds variables to an otherwise empty environment."""
    loaded = load_settings(environ={"GEMSTEAD_DATA_DIR": str(folder), **(environ or {})})
    given: dict[str, Any] = {
        "loaded": loaded,
        "store": Store(loaded.paths.models),
        "kind": ENGINE,
        "machine": machine(),
        "memory_history": MemoryHistory(0, 0),
        "find_engine": installation,
        "plan": plan_of(),
        "servers": tuple,
        "stale_folders": tuple,
        "is_loopback": lambda host: host in ("127.0.0.1", "::1", "localhost"),
        "now_s": NOW_S,
    }
    return Subject(**(given | changes))


def add(store: Store, name: str, content: bytes = b"weights", file: str = "m.gguf", **changes: Any) -> Manifest:
    """Publishes a model of one file; `model` and `tag` come from its name (`gemma4:e2b-q4_0`)."""
    sha256 = hashlib.sha256(content).hexdigest()
    store.incoming.mkdir(parents=True, exist_ok=True)
    path = store.incoming / "new"
    path.write_bytes(content)
    store.add_blob(path, sha256)
    model, _, tag = name.partition("-")
    given: dict[str, Any] = {
        "name": name,
        "model": model,
        "tag": tag or None,
        "format": "gguf",
        "source": "file",
        "place": "here",
        "files": (StoredFile(file, "model", sha256, len(content)),),
        "stored_at": "2026-11-20T00:00:00+00:00",
    }
    return store.publish(Manifest(**(given | changes)))


def look(name: str, subject: Subject) -> list[Finding]:
    """What one check says."""
    return look_through([load_check(name)], subject)


def worst(findings: list[Finding]) -> Finding:
    order = ["ok", "note", "warning", "error"]
    return max(findings, key=lambda finding: order.index(finding.severity))
