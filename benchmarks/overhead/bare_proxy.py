"""The least a proxy in these libraries can do: decode, forward, encode. A yardstick for the door, not a product."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


class Chat(msgspec.Struct):
    model: str
    messages: list[dict[str, Any]]
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None


class BareProxy:
    def __init__(self, upstream: Path) -> None:
        self.upstream = upstream
        self.session: aiohttp.ClientSession | None = None

    async def chat(self, request: Request) -> Response:
        asked = msgspec.json.decode(await request.body(), type=Chat)
        if self.session is None:
            connector = aiohttp.UnixConnector(str(self.upstream), limit=0)
            self.session = aiohttp.ClientSession("http://engine", connector=connector)
        body = msgspec.json.encode(asked)
        headers = {"content-type": "application/json"}
        response = await self.session.post("/v1/chat/completions", data=body, headers=headers)
        if asked.stream:
            return StreamingResponse(response.content.iter_any(), media_type="text/event-stream")
        reply = msgspec.json.decode(await response.read())
        return Response(msgspec.json.encode(reply), media_type="application/json")


async def serve(asked: argparse.Namespace) -> None:
    app = Starlette(routes=[Route("/v1/chat/completions", BareProxy(asked.upstream).chat, methods=["POST"])])
    config = uvicorn.Config(app, port=asked.port, access_log=False, log_config=None, lifespan="off")
    await uvicorn.Server(config).serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=Path, required=True)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
