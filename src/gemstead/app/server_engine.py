"""The engine behind a running server of this user: its address from its arguments, its key from its environment."""

from __future__ import annotations

from pathlib import Path

from gemstead.app.servers import ServerRecord
from gemstead.core.errors import EngineFailed
from gemstead.engines.base import Endpoint

KEY_VARIABLE = "LLAMA_API_KEY"


def endpoint_of(record: ServerRecord) -> Endpoint:
    """Raises: EngineFailed if the server has no engine that can be found so."""
    import psutil

    try:
        for process in psutil.Process(record.pid).children(recursive=True):
            argv, environ = process.cmdline(), process.environ()
            if KEY_VARIABLE in environ and "--host" in argv:
                host, key = argv[argv.index("--host") + 1], environ[KEY_VARIABLE]
                if host.endswith(".sock"):
                    return Endpoint(api_key=key, socket_path=Path(host))
                return Endpoint(api_key=key, host=host, port=int(argv[argv.index("--port") + 1]))
    except psutil.Error as exc:
        raise EngineFailed(f"the engine of the server on port {record.port} cannot be looked at: {exc}") from exc
    raise EngineFailed(f"the engine of the server on port {record.port} cannot be found")
