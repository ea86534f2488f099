"""The API as one ASGI application: routes inside, and around each call its id, host check, errors and metrics."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import msgspec
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gemstead.api.call import JSON, Call, ClientLeft, Header
from gemstead.api.chat import ChatEndpoint
from gemstead.api.cors import answer_preflight, cors_headers, is_preflight
from gemstead.api.count import CountEndpoint
from gemstead.api.dialect import (
    AnyRoute,
    ChatRoute,
    CountRoute,
    Dialect,
    EmbedRoute,
    FixedRoute,
    FormRoute,
    ModelsRoute,
    OrderRoute,
    RefusedRoute,
    ResponsesRoute,
    TokenizeRoute,
    WorkRoute,
)
from gemstead.api.embed import EmbedEndpoint
from gemstead.api.errors import RETRY_AFTER_S, PathUnknown, challenge, http_status, retry_after_s
from gemstead.api.form import FormEndpoint
from gemstead.api.hosts import check_host
from gemstead.api.models import ModelEndpoint, ModelListEndpoint
from gemstead.api.openapi import OpenApiEndpoint
from gemstead.api.orders import endpoint_of
from gemstead.api.ownership import choose, owner_of
from gemstead.api.probes import HealthEndpoint, MetricsEndpoint, ReadyEndpoint
from gemstead.api.quota_headers import quota_headers
from gemstead.api.responses import responses_endpoints
from gemstead.api.services import Services
from gemstead.api.sign_in import EVERYBODY, OPEN_PATHS, credential_of
from gemstead.api.tokenize import TokenizeEndpoint
from gemstead.core.errors import GemsteadError, Interrupted, QuotaExceeded, ScopeMissing
from gemstead.core.lots import RandomNames
from gemstead.core.plugins import load_plugin, plugin_names

logger = logging.getLogger(__name__)

DIALECTS = "gemstead.api.dialects"

Endpoint: TypeAlias = Callable[[Call], Awaitable[None]]

_NAMES = RandomNames()

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def build_api(services: Services) -> ASGIApp:
    """Every dialect's routes, health, readiness and metrics. No pages, no CORS headers."""
    dialects = tuple(load_plugin(DIALECTS, name, "DIALECT", Dialect) for name in plugin_names(DIALECTS))
    services.metrics.watch_engines(services.engines)
    apps: dict[str, ASGIApp] = {
        **{path: _Shared(path, *zip(*found, strict=True)) for path, found in _offers(dialects, services).items()},
        **{path: _Routed(path, endpoint) for path, endpoint in _own_routes(dialects, services)},
    }
    # Most paths are plain texts: a look-up finds them, where a router would try one pattern after another.
    patterns = [Route(path, app) for path, app in apps.items() if "{" in path]
    router = Router(patterns, redirect_slashes=False, default=_unknown_path)
    return _Door(services, dialects, {path: app for path, app in apps.items() if "{" not in path}, router)


def _offers(dialects: tuple[Dialect, ...], services: Services) -> dict[str, list[tuple[Dialect, Endpoint]]]:
    """By path: the dialects that serve it, most often one."""
    offers: dict[str, list[tuple[Dialect, Endpoint]]] = {}
    for dialect in dialects:
        for route in dialect.routes:
            for path, endpoint in _endpoints(route, services):
                offers.setdefault(path, []).append((dialect, endpoint))
    return offers


def _endpoints(route: AnyRoute, services: Services) -> Iterator[tuple[str, Endpoint]]:
    match route:
        case ChatRoute():
            yield route.path, ChatEndpoint(services, route)
        case FormRoute():
            yield route.path, FormEndpoint(services, route)
        case ResponsesRoute():
            yield from responses_endpoints(services, route)
        case CountRoute():
            yield route.path, CountEndpoint(services, route)
        case TokenizeRoute():
            yield route.path, TokenizeEndpoint(services, route)
        case EmbedRoute():
            yield route.path, EmbedEndpoint(services, route)
        case ModelsRoute():
            yield route.path, ModelListEndpoint(services, route)
            yield route.path + "/{name:path}", ModelEndpoint(services, route)
        case OrderRoute() | WorkRoute() | FixedRoute() | RefusedRoute():
            yield route.path, endpoint_of(route, services)


def _own_routes(dialects: tuple[Dialect, ...], services: Services) -> Iterator[tuple[str, Endpoint]]:
    yield "/healthz", HealthEndpoint()
    yield "/readyz", ReadyEndpoint(services)
    yield "/metrics", MetricsEndpoint(services)
    yield "/openapi.json", OpenApiEndpoint(dialects)


class _Routed(msgspec.Struct, frozen=True):
    """An endpoint as the router takes it. The route's pattern is its name in the metrics."""

    path: str
    endpoint: Endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (in the Call)
        call: Call = scope["gemstead.call"]
        call.route = self.path
        await self.endpoint(call)


class _Shared(msgspec.Struct, frozen=True):
    """A path of one dialect or several: each call goes to the endpoint of the dialect it is written for."""

    path: str
    dialects: tuple[Dialect, ...]
    endpoints: tuple[Endpoint, ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (in the Call)
        call: Call = scope["gemstead.call"]
        call.route = self.path
        index = choose(self.dialects, call)
        call.dialect = self.dialects[index]
        await self.endpoints[index](call)


async def _unknown_path(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 (in the scope)
    raise PathUnknown(f"there is nothing at {scope['path'][:200]}", hint="see /v1/models")


class _Door(msgspec.Struct, frozen=True):
    services: Services
    dialects: tuple[Dialect, ...]
    apps: dict[str, ASGIApp]
    router: Router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        call = Call(scope, receive, send, request_id_of(scope), self.services.stall_limit_s)
        scope["gemstead.call"] = call
        metrics = self.services.metrics
        with metrics.in_flight.track_inprogress():
            try:
                await self._answer(call)
            finally:
                metrics.count_request(call.route, call.status or 499, call.finish_reason, call.elapsed_s())

    async def _answer(self, call: Call) -> None:
        """Whatever happens inside ends in an answer, in the words of the path's dialect."""
        try:
            check_host(call.header(b"host"), self.services.host_names)
            call.added_headers = cors_headers(call, self.services.origins)
            if call.added_headers and is_preflight(call):
                await answer_preflight(call)
                return
            await self._identify(call)
            app = self.apps.get(call.path, self.router)
            await app(call.scope, call.receive, call.send)
        except ClientLeft:
            return
        except asyncio.CancelledError:
            # The stopping server has run out of patience. This is the root of the task: nobody above waits for it.
            if call.status is None:
                await self._refuse(call, Interrupted("the server is stopping", retry_after_s=RETRY_AFTER_S))
        except GemsteadError as exc:
            await self._refuse(call, exc)
        except Exception:
            logger.exception("request %s failed", call.request_id)
            await self._refuse(call, GemsteadError("internal error", why=f"request {call.request_id}"))

    async def _identify(self, call: Call) -> None:
        """Before anything is done for a call, its body read included. Raises: SignInRefused, SignInUnavailable."""
        sign_in = self.services.sign_in
        if sign_in is None or not sign_in.is_required():
            call.caller = EVERYBODY
            return
        credential = credential_of(call.scope["headers"])
        if credential is not None or call.path not in OPEN_PATHS:
            call.caller = await sign_in.identify(credential, call.address)

    async def _refuse(self, call: Call, error: GemsteadError) -> None:
        """Raises: `error` itself if the answer has begun: the server then cuts the connection."""
        if isinstance(error, ScopeMissing):
            self.services.note_refusal(call.caller.key_id, error.code)
        if call.status is not None:
            raise error
        error.request_id = call.request_id
        dialect = call.dialect = call.dialect or owner_of(self.dialects, call)
        await call.answer(http_status(error), JSON, dialect.encode_error(error), refusal_headers(error))


def refusal_headers(error: GemsteadError) -> list[Header]:
    """When to try again, how to sign in, what is left."""
    headers: list[Header] = []
    if (wait_s := retry_after_s(error)) is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(wait_s)))
    if (asks_for := challenge(error)) is not None:
        headers.append((b"www-authenticate", asks_for))
    if isinstance(error, QuotaExceeded):
        headers += quota_headers(error.state)
    return headers


def request_id_of(scope: Scope) -> str:
    """The caller's own id if it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(given := value.decode("latin-1")):
            return str(given)
    return f"req_{_NAMES.hex(12)}"
