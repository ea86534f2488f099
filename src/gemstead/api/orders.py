"""Orders for the model desk: answered at once, or long work told step by step."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, assert_never

import msgspec

from gemstead.api.call import JSON, Call, ClientLeft
from gemstead.api.chat import warning_headers
from gemstead.api.desk import (
    CopyModel,
    CreateModel,
    ListLoaded,
    ListModels,
    LoadedModel,
    ModelDesk,
    ModelDetails,
    Order,
    PullModel,
    RemoveModel,
    ShowModel,
    StoredModel,
    Work,
    WorkProgress,
)
from gemstead.api.dialect import DecodedWork, FixedRoute, OrderRoute, RefusedRoute, WorkRoute
from gemstead.api.disconnect import cancelled_if_client_leaves
from gemstead.api.models import is_visible
from gemstead.api.services import Services
from gemstead.core.errors import GemsteadError, Missing, PolicyRefused

logger = logging.getLogger(__name__)


class OrderEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: OrderRoute

    async def __call__(self, call: Call) -> None:
        has_body = self.route.method != "GET"
        call.require_method(*((self.route.method,) if has_body else ("GET", "HEAD")))
        services = self.services
        payload = await call.read_json_body(services.max_body_bytes, services.body_limit_s) if has_body else b""
        decoded = self.route.decode(payload)
        if isinstance(decoded.order, CopyModel | RemoveModel):
            call.require_scope("admin")
        answer = await _carry_out(_desk_of(services), decoded.order)
        if isinstance(decoded.order, ListModels | ListLoaded):
            answer = tuple([one for one in answer if is_visible(services, call, _name_of(one))])
        elif isinstance(answer, ModelDetails) and not is_visible(services, call, answer.model.name):
            raise PolicyRefused(f"no rule allows this caller the model {answer.model.name}")
        await call.answer(200, JSON, self.route.encode(answer), warning_headers(decoded.warnings))


class WorkEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: WorkRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("POST")
        call.require_scope("admin")
        services = self.services
        decoded = self.route.decode(await call.read_json_body(services.max_body_bytes, services.body_limit_s))
        async with (
            cancelled_if_client_leaves(call.receive),
            aclosing(_begin(_desk_of(services), decoded.work)) as steps,
        ):
            if decoded.is_stream:
                await self._stream(call, decoded, steps)
                return
            async for _step in steps:
                pass
            body = self.route.encode_done(decoded.warnings)
            await call.answer(200, JSON, body, warning_headers(decoded.warnings))

    async def _stream(self, call: Call, decoded: DecodedWork, steps: AsyncGenerator[WorkProgress]) -> None:
        """The head waits for the first step: until then an error can still be a status."""
        first = await anext(steps, None)
        await call.start(200, self.route.stream_media_type, warning_headers(decoded.warnings))
        if first is not None:
            await call.write(self.route.encode_step(first))
        await call.write(await self._pump(call, decoded, steps), is_last=True)

    async def _pump(self, call: Call, decoded: DecodedWork, steps: AsyncGenerator[WorkProgress]) -> bytes:
        """Writes all but the last bytes, which it returns."""
        try:
            async for step in steps:
                await call.write(self.route.encode_step(step))
        except ClientLeft:
            raise
        except GemsteadError as exc:
            return self.route.encode_failure(exc)
        except Exception:
            logger.exception("request %s failed in mid-stream", call.request_id)
            return self.route.encode_failure(GemsteadError("internal error", why=f"request {call.request_id}"))
        return self.route.encode_done(decoded.warnings)


class FixedEndpoint(msgspec.Struct, frozen=True):
    route: FixedRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        await call.answer(200, self.route.media_type, self.route.body)


class RefusedEndpoint(msgspec.Struct, frozen=True):
    route: RefusedRoute

    async def __call__(self, call: Call) -> None:  # noqa: ARG002 (one signature)
        raise self.route.error()


def endpoint_of(
    route: OrderRoute | WorkRoute | FixedRoute | RefusedRoute, services: Services
) -> Callable[[Call], Awaitable[None]]:
    match route:
        case OrderRoute():
            return OrderEndpoint(services, route)
        case WorkRoute():
            return WorkEndpoint(services, route)
        case FixedRoute():
            return FixedEndpoint(route)
        case RefusedRoute():
            return RefusedEndpoint(route)


def _desk_of(services: Services) -> ModelDesk:
    if services.desk is None:
        raise Missing("this server has no model store", hint="gemstead serve")
    return services.desk


def _name_of(listed: StoredModel | LoadedModel) -> str:
    return listed.name if isinstance(listed, StoredModel) else listed.model.name


async def _carry_out(desk: ModelDesk, order: Order) -> Any:
    answer: Any = None
    match order:
        case ListModels():
            answer = await desk.list_models()
        case ListLoaded():
            answer = await desk.list_loaded()
        case ShowModel(name=name):
            answer = await desk.show(name)
        case CopyModel(source=source, name=name):
            await desk.copy(source, name)
        case RemoveModel(name=name):
            await desk.remove(name)
        case _:
            assert_never(order)
    return answer


def _begin(desk: ModelDesk, work: Work) -> AsyncGenerator[WorkProgress]:
    match work:
        case PullModel(name=name):
            return desk.pull(name)
        case CreateModel():
            return desk.create(work)
        case _:
            assert_never(work)
