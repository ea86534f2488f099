"""How many tokens a prompt has, answered before anything is generated."""

from __future__ import annotations

import msgspec

from gemstead.api.call import JSON, Call
from gemstead.api.chat import warning_headers
from gemstead.api.dialect import CountRoute
from gemstead.api.disconnect import cancelled_if_client_leaves
from gemstead.api.services import Services


class CountEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: CountRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("POST")
        decoded = self.route.decode(await call.read_json_body(self.services.max_body_bytes, self.services.body_limit_s))
        request = call.asked(decoded.request)
        async with cancelled_if_client_leaves(call.receive):
            num_tokens = await self.services.count_tokens(request)
            await call.answer(200, JSON, self.route.encode_count(num_tokens), warning_headers(decoded.warnings))
