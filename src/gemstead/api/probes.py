"""Alive, ready, and how much: for supervisors, load balancers and Prometheus."""

from __future__ import annotations

import msgspec
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from gemstead.api.call import JSON, Call
from gemstead.api.readiness import readiness_of
from gemstead.api.services import Services


class HealthEndpoint(msgspec.Struct, frozen=True):
    """200 as long as this process answers at all, whatever its engines do."""

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        await call.answer(200, JSON, b'{"status":"alive"}')


class ReadyEndpoint(msgspec.Struct, frozen=True):
    """200 if every engine is ready to answer, else 503 with why not and how far loading is.

    Who has no key, where one is needed, learns only whether: no model's name, and no reason.
    """

    services: Services

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        readiness = readiness_of(self.services.engines())
        if not call.caller.scopes:
            reason = None if readiness.is_ready else "not ready"
            readiness = msgspec.structs.replace(readiness, reason=reason, engines=())
        body = msgspec.json.encode(readiness)
        if readiness.is_ready:
            await call.answer(200, JSON, body)
        else:
            await call.answer(503, JSON, body, [(b"retry-after", b"1")])


class MetricsEndpoint(msgspec.Struct, frozen=True):
    services: Services

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        call.require_scope("metrics", "admin")
        await call.answer(200, CONTENT_TYPE_PLAIN_0_0_4, self.services.metrics.render())
