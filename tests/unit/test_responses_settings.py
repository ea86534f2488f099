"""How the settings and the catalogue say what is kept and what is left open."""

import pytest

from gemstead.app.gateway import conversations_of, open_sampling
from gemstead.catalog.entries import Sampling as Recommended
from gemstead.core.types import Sampling
from gemstead.settings.model import ResponsesSettings


@pytest.mark.parametrize(("settings", "can_keep"), [({}, True), ({"keep": "off"}, False), ({"max_bytes": 1024}, False)])
def test_responses_are_kept_as_the_settings_say(settings: dict[str, object], can_keep: bool) -> None:
    assert conversations_of(ResponsesSettings.model_validate(settings)).can_keep(2000) is can_keep


def test_sampling_left_open_is_as_recommended_else_as_the_api_documents_it() -> None:
    assert open_sampling(Recommended(temperature=0.7, top_p=0.9)) == Sampling(temperature=0.7, top_p=0.9)
    assert open_sampling(None) == Sampling(temperature=1.0, top_p=1.0)
