"""An embeddings call: texts in, vectors out."""

from __future__ import annotations

import msgspec

from gemstead.api.call import JSON, Call
from gemstead.api.chat import warning_headers
from gemstead.api.dialect import EmbedRoute
from gemstead.api.disconnect import cancelled_if_client_leaves
from gemstead.api.quota_headers import headers_left
from gemstead.api.services import Services


class EmbedEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: EmbedRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("POST")
        decoded = self.route.decode(await call.read_json_body(self.services.max_body_bytes, self.services.body_limit_s))
        request = call.asked(decoded.request)
        async with cancelled_if_client_leaves(call.receive):
            embeddings = await self.services.embed(request)
            warnings = decoded.warnings + embeddings.warnings
            body = self.route.encode_reply(decoded.request, msgspec.structs.replace(embeddings, warnings=warnings))
            quota = await headers_left(self.services, call)
            await call.answer(200, JSON, body, [*warning_headers(warnings), *quota])
