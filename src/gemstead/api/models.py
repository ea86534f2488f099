"""The models on offer, in a dialect's words."""

from __future__ import annotations

import msgspec

from gemstead.api.call import JSON, Call
from gemstead.api.dialect import ModelsRoute
from gemstead.api.services import Services
from gemstead.core.errors import NameUnknown


def is_visible(services: Services, call: Call, model: str) -> bool:
    """Whether the caller hears of a model: who administers of all, anybody else of those that policy and key allow."""
    dialect = call.dialect.name if call.dialect is not None else ""
    return "admin" in call.caller.scopes or services.may_see(call.caller, model, dialect)


class ModelListEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: ModelsRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        cards = tuple([card for card in self.services.models() if is_visible(self.services, call, card.name)])
        await call.answer(200, JSON, self.route.encode_list(cards))


class ModelEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: ModelsRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("GET", "HEAD")
        name = call.scope["path_params"]["name"]
        cards = {card.name: card for card in self.services.models() if is_visible(self.services, call, card.name)}
        if name not in cards:
            raise NameUnknown("model", name, sorted(cards), param="model")
        await call.answer(200, JSON, self.route.encode_one(cards[name]))
