"""The models on offer, in a dialect's words."""

from __future__ import annotations

import msgspec

from gemstead.api.call import JSON, Call
from gemstead.api.dialect import ModelsRoute
from gemstead.api.services import Services
from gemstead.core.errors import NameUnknown


class ModelListEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: ModelsRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        await call.answer(200, JSON, self.route.encode_list(self.services.models()))


class ModelEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: ModelsRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        name = call.scope["path_params"]["name"]
        cards = {card.name: card for card in self.services.models()}
        if name not in cards:
            raise NameUnknown("model", name, sorted(cards), param="model")
        await call.answer(200, JSON, self.route.encode_one(cards[name]))
