from gemstead.api.readiness import EngineStatus, readiness_of


def test_it_is_ready_only_if_every_engine_is() -> None:
    ready, loading = EngineStatus("a", "e", "ready"), EngineStatus("b", "e", "starting", progress=0.4)
    assert readiness_of((ready,)).is_ready
    assert readiness_of((ready,)).reason is None
    assert not readiness_of((ready, loading)).is_ready
    assert readiness_of((ready, loading)).reason == "b is starting"


def test_the_engine_says_itself_why_it_failed() -> None:
    assert readiness_of((EngineStatus("a", "e", "failed", reason="out of memory"),)).reason == "out of memory"


def test_without_engines_there_is_nothing_to_answer() -> None:
    assert readiness_of(()).reason == "no engine is loaded"


def test_a_model_unloaded_because_nobody_used_it_is_as_good_as_ready() -> None:
    assert readiness_of((EngineStatus("a", "e", "stopped", is_on_demand=True),)).is_ready
    assert not readiness_of((EngineStatus("a", "e", "stopped"),)).is_ready
