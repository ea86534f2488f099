"""The admin API as an ASGI application: who may come in, and what every answer and error looks like."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gemstead.api.admin.openapi import document
from gemstead.api.admin.routes import ROOT, ROUTES, AdminDesk, AdminRoute, Asked
from gemstead.api.admin.shapes import ErrorReply, Problem
from gemstead.api.asgi import refusal_headers, request_id_of
from gemstead.api.call import JSON, Call, ClientLeft
from gemstead.api.errors import RETRY_AFTER_S, PathUnknown, http_status
from gemstead.api.hosts import check_host, check_origin
from gemstead.api.sign_in import SignIn, credential_of
from gemstead.core.errors import GemsteadError, Interrupted, RequestInvalid

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 2 * 1024 * 1024
BODY_LIMIT_S = 10.0
STALL_LIMIT_S = 30.0
MAX_QUERY_FIELDS = 16


class AdminServices(msgspec.Struct, frozen=True):
    """`sign_in` is the door's own lock. There is no open admin API: without a key nobody gets in."""

    desk: AdminDesk
    sign_in: SignIn
    host_names: frozenset[str] = frozenset()


def build_admin(services: AdminServices) -> ASGIApp:
    """Every route below `/admin/v1`, and `/openapi.json` for them."""
    by_path: dict[str, dict[str, AdminRoute]] = {}
    for route in ROUTES:
        by_path.setdefault(ROOT + route.path, {})[route.method] = route
    endpoints: list[Route] = [Route(path, _Endpoint(services, methods)) for path, methods in by_path.items()]
    endpoints.append(Route("/openapi.json", _Document()))
    return _AdminDoor(services, Router(endpoints, redirect_slashes=False, default=_unknown_path))


class _AdminDoor(msgspec.Struct, frozen=True):
    services: AdminServices
    router: Router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        call = Call(scope, receive, send, request_id_of(scope), STALL_LIMIT_S)
        scope["gemstead.call"] = call
        try:
            await self._let_in(call)
            await self.router(scope, receive, send)
        except ClientLeft:
            return
        except asyncio.CancelledError:
            if call.status is None:
                await _refuse(call, Interrupted("the server is stopping", retry_after_s=RETRY_AFTER_S))
        except GemsteadError as exc:
            await _refuse(call, exc)
        except Exception:
            logger.exception("admin request %s failed", call.request_id)
            await _refuse(call, GemsteadError("internal error", why=f"request {call.request_id}"))

    async def _let_in(self, call: Call) -> None:
        """Before anything is done for a call. Raises: HostRefused, SignInRefused, SignInUnavailable, ScopeMissing."""
        host = call.header(b"host")
        check_host(host, self.services.host_names)
        check_origin(call.header(b"origin"), host)
        call.caller = await self.services.sign_in.identify(credential_of(call.scope["headers"]), call.address)
        call.require_scope("admin")


class _Endpoint(msgspec.Struct, frozen=True):
    services: AdminServices
    methods: Mapping[str, AdminRoute]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (in the Call)
        call: Call = scope["gemstead.call"]
        call.require_method(*self.methods)
        route = self.methods[call.method]
        body = None if route.request_type is None else await _body_of(call, route.request_type)
        asked = Asked(call.caller, body, scope["path_params"], _query_of(call, route))
        answer = await route.answer(self.services.desk, asked)
        if route.is_change:
            logger.info("admin: %s %s by %s", route.method, call.path, call.caller.key_id)
        await call.answer(200, JSON, msgspec.json.encode(answer))


class _Document:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (in the Call)
        call: Call = scope["gemstead.call"]
        call.require_method("GET", "HEAD")
        await call.answer(200, JSON, msgspec.json.encode(document()))


async def _body_of(call: Call, kind: Any) -> Any:
    """Raises: RequestInvalid naming the field; what reading a body raises."""
    content = await call.read_json_body(MAX_BODY_BYTES, BODY_LIMIT_S)
    try:
        return msgspec.json.decode(content or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RequestInvalid(f"the body is not as this route takes it: {exc}", hint="see /openapi.json") from exc


def _query_of(call: Call, route: AdminRoute) -> dict[str, str]:
    """Raises: RequestInvalid for a parameter the route does not know: a mistyped filter must not show everything."""
    try:
        given = dict(parse_qsl(call.scope["query_string"].decode("latin-1"), max_num_fields=MAX_QUERY_FIELDS))
    except ValueError as exc:
        raise RequestInvalid("the query has too many fields") from exc
    for name in given:
        if name not in route.query:
            known = ", ".join(route.query) or "none"
            raise RequestInvalid(f"unknown parameter {name[:60]!r}", param=name[:60], hint=f"known: {known}")
    return given


async def _refuse(call: Call, error: GemsteadError) -> None:
    """Raises: `error` itself if the answer has begun: the server then cuts the connection."""
    if call.status is not None:
        raise error
    problem = Problem(code=error.code, message=error.what, request_id=call.request_id, why=error.why, hint=error.hint)
    await call.answer(http_status(error), JSON, msgspec.json.encode(ErrorReply(problem)), refusal_headers(error))


async def _unknown_path(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 (in the scope)
    raise PathUnknown(f"there is nothing at {scope['path'][:200]}", hint="see /openapi.json")
