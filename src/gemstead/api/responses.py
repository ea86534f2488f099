"""Responses that can be gone on from: the chat exchange with a memory beside it, and what is done with kept ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TypeAlias
from urllib.parse import parse_qsl

import msgspec

from gemstead.api.call import JSON, Call
from gemstead.api.chat import ChatEndpoint
from gemstead.api.conversations import OwnedMemory
from gemstead.api.count import CountEndpoint
from gemstead.api.dialect import ChatRoute, CountRoute, Decoded, ResponsesRoute
from gemstead.api.services import Services
from gemstead.core.errors import RequestInvalid

Endpoint: TypeAlias = Callable[[Call], Awaitable[None]]


def responses_endpoints(services: Services, route: ResponsesRoute) -> Iterator[tuple[str, Endpoint]]:
    """Each path with its endpoint, the fixed ones before those with an id."""
    path = route.path
    yield path, CreateResponse(services, route)
    yield f"{path}/input_tokens", CountResponse(services, route)
    yield f"{path}/{{response_id}}", KeptResponseEndpoint(services, route)
    yield f"{path}/{{response_id}}/input_items", InputItemsEndpoint(services, route)
    yield f"{path}/{{response_id}}/cancel", CancelResponse(services)


class CreateResponse(msgspec.Struct, frozen=True):
    """POST `path`: the exchange of every chat call, its dialect reading and writing what is kept."""

    services: Services
    route: ResponsesRoute

    async def __call__(self, call: Call) -> None:
        services, route, memory = self.services, self.route, _memory(self.services, call)
        bound = ChatRoute(
            path=route.path,
            stream_media_type=route.stream_media_type,
            decode=lambda payload: _with_sampling(services, route.decode(memory, payload)),
            encode_reply=partial(route.encode_reply, memory),
            new_stream=partial(route.new_stream, memory),
        )
        await ChatEndpoint(services, bound)(call)


class CountResponse(msgspec.Struct, frozen=True):
    """POST `path`/input_tokens: how long the prompt would be, what it goes on from included."""

    services: Services
    route: ResponsesRoute

    async def __call__(self, call: Call) -> None:
        bound = CountRoute(
            path=self.route.path,
            decode=partial(self.route.decode, _memory(self.services, call)),
            encode_count=self.route.encode_count,
        )
        await CountEndpoint(self.services, bound)(call)


class KeptResponseEndpoint(msgspec.Struct, frozen=True):
    """GET and DELETE `path`/ID."""

    services: Services
    route: ResponsesRoute

    async def __call__(self, call: Call) -> None:
        memory, response_id = _memory(self.services, call), _response_id(call)
        call.require_method("GET", "HEAD", "DELETE")
        if call.method == "DELETE":
            memory.forget(response_id)
            await call.answer(200, JSON, self.route.encode_deleted(response_id))
            return
        if _query(call).get("stream", "").lower() in ("true", "1"):
            raise RequestInvalid(
                "a kept response is not streamed again", param="stream", hint="leave stream out to get it whole"
            )
        await call.answer(200, JSON, memory.find(response_id).body)


class InputItemsEndpoint(msgspec.Struct, frozen=True):
    """GET `path`/ID/input_items."""

    services: Services
    route: ResponsesRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        response = _memory(self.services, call).find(_response_id(call))
        await call.answer(200, JSON, self.route.encode_items(response, _query(call)))


class CancelResponse(msgspec.Struct, frozen=True):
    """POST `path`/ID/cancel: refused, since nothing runs in the background."""

    services: Services

    async def __call__(self, call: Call) -> None:
        call.require_method("POST")
        response = _memory(self.services, call).find(_response_id(call))
        raise RequestInvalid(
            f"response {response.id} cannot be cancelled",
            param="response_id",
            why="only one that runs in the background could be, and none does",
            hint="close the connection to end a response under way",
        )


def _memory(services: Services, call: Call) -> OwnedMemory:
    """What was kept for the call's own key; without keys nobody is told apart. Raises: ScopeMissing."""
    call.require_scope("use")
    return OwnedMemory(services.conversations, call.caller.key_id)


def _response_id(call: Call) -> str:
    return str(call.scope["path_params"]["response_id"])


def _query(call: Call) -> dict[str, str]:
    """The last value of each parameter; what is no text in it is replaced."""
    return dict(parse_qsl(call.scope.get("query_string", b"").decode("latin-1")))


def _with_sampling(services: Services, decoded: Decoded) -> Decoded:
    """The reply names temperature and top_p: so they are settled before, not left to the engine."""
    request = decoded.request
    sampling = request.sampling.filled(services.sampling(request.model))
    return msgspec.structs.replace(decoded, request=msgspec.structs.replace(request, sampling=sampling))
