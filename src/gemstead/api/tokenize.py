"""A tokenize call: how many tokens a prompt has, and which ones where it is a plain text."""

from __future__ import annotations

import msgspec

from gemstead.api.call import JSON, Call
from gemstead.api.chat import warning_headers
from gemstead.api.dialect import TokenizeRoute
from gemstead.api.disconnect import cancelled_if_client_leaves
from gemstead.api.services import Services


class TokenizeEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: TokenizeRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("POST")
        services = self.services
        decoded = self.route.decode(await call.read_json_body(services.max_body_bytes, services.body_limit_s))
        request = call.asked(decoded.request)
        async with cancelled_if_client_leaves(call.receive):
            count = await services.count_tokens(request)
            tokens = None if request.prompt is None else await services.tokenize(request.model, request.prompt)
            lengths = {card.name: card.context_length for card in services.models()}
            body = self.route.encode_reply(count, tokens, lengths.get(request.model))
            await call.answer(200, JSON, body, warning_headers(decoded.warnings))
