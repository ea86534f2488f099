from gemstead.api.metrics import DoorMetrics
from gemstead.api.readiness import EngineStatus
from gemstead.core.types import Usage
from gemstead.evidence.ledger import LedgerHealth
from gemstead.evidence.second_place import DeliveryHealth
from gemstead.pipeline.catches import Catch
from gemstead.pipeline.outcome import Outcome


def test_an_outcome_counts_tokens_time_to_first_token_and_catches() -> None:
    metrics = DoorMetrics()
    metrics.count_outcome(
        Outcome(
            "m", "stop", 2.0, engine="e", ttft_s=0.3, usage=Usage(10, 4), catches=(Catch("empty_reply", "retried"),)
        )
    )
    text = metrics.render().decode()
    assert 'gemstead_prompt_tokens_total{model="m"} 10.0' in text
    assert 'gemstead_completion_tokens_total{model="m"} 4.0' in text
    assert 'gemstead_ttft_seconds_bucket{le="0.25",model="m"} 0.0' in text
    assert 'gemstead_ttft_seconds_bucket{le="0.5",model="m"} 1.0' in text
    assert 'gemstead_verify_catches_total{action="retried",engine="e",kind="empty_reply",model="m"} 1.0' in text


def test_control_tokens_that_were_typed_are_counted_by_model() -> None:
    metrics = DoorMetrics()
    for number in (0, 2, 3):
        metrics.count_outcome(Outcome("m", "stop", 1.0, num_neutralised=number))
    assert 'gemstead_neutralised_total{model="m"} 5.0' in metrics.render().decode()


def test_a_name_that_is_no_models_never_becomes_a_label() -> None:
    metrics = DoorMetrics()
    for number in range(10):
        metrics.count_outcome(Outcome(f"made up {number}", "error", 0.1, error_code="name_unknown"))
    assert "made up" not in metrics.render().decode()


def test_the_engines_state_is_asked_at_each_scrape() -> None:
    metrics = DoorMetrics()
    states = ["starting"]
    metrics.watch_engines(lambda: (EngineStatus("m", "e", states[-1]),))  # type: ignore[arg-type]
    assert 'gemstead_engine_state{engine="e",model="m",state="ready"} 0.0' in metrics.render().decode()
    states.append("ready")
    assert 'gemstead_engine_state{engine="e",model="m",state="ready"} 1.0' in metrics.render().decode()


def test_two_doors_in_one_process_count_apart() -> None:
    one, other = DoorMetrics(), DoorMetrics()
    one.count_request("/v1/models", 200, "", 0.1)
    assert 'route="/v1/models"' not in other.render().decode()


def test_what_no_checkpoint_covers_and_what_the_second_place_did_not_take_is_shown() -> None:
    metrics = DoorMetrics()
    metrics.evidence.show_ledger(LedgerHealth(70, 50, 0, 0, None, DeliveryHealth("elsewhere", 3, 2, 7, "refused")))
    text = metrics.render().decode()
    assert "gemstead_evidence_unsealed_records 20.0" in text
    assert "gemstead_evidence_undelivered_checkpoints 2.0" in text
    assert "gemstead_evidence_delivery_failures 7.0" in text
