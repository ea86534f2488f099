from gemstead.evidence import records
from gemstead.evidence.canonical import canonical
from gemstead.evidence.records import MAX_LISTED, MAX_NAME_CHARS, Closing, Opening
from gemstead.evidence.tallies import MAX_GROUPS, Tallies

OPENING = Opening(run="r-1-1", exchange="req_1", action="chat", model="m")


def test_every_record_says_its_version_its_kind_and_when_and_can_be_written() -> None:
    made = [
        records.exchange_opened(OPENING, 1.5),
        records.exchange_closed(OPENING, 7, Closing(status="stop"), 1.5),
        records.exchange_refused(None, "quota_exceeded", 3, 1.0, 1.5),
        records.sign_in_failed("192.0.2.0/24", "unknown", 3, 1.0, 1.5),
        records.server_started(1.5, run="r-1-1", cut=[], settled=0, version="1"),
        records.event("review.decided", 1.5, verdict="allow"),
    ]
    for record in made:
        assert (record["v"], record["at_ms"]) == (1, 1500)
        assert canonical(record)
    assert [record["kind"] for record in made] == [
        "exchange.opened",
        "exchange.closed",
        "exchange.refused",
        "sign_in.failed",
        "server.started",
        "review.decided",
    ]


def test_a_closing_record_points_to_its_opening_one_and_counts_in_whole_numbers() -> None:
    closing = Closing(status="stop", wait_s=0.0004, ttft_s=0.0126, total_s=1.0, prompt_tokens=5, energy_j=1.25)
    record = records.exchange_closed(OPENING, 7, closing, 2.0)
    assert (record["opened"], record["exchange"], record["model"]) == (7, "req_1", "m")
    assert record["ms"] == {"wait": 0, "ttft": 13, "total": 1000}
    assert record["tokens"] == {"prompt": 5, "cached": None, "completion": None, "reasoning": None}
    assert record["energy_mj"] == 1250


def test_nobody_chooses_how_large_a_record_gets() -> None:
    closing = Closing(status="stop", tools=("x" * 10_000,) * 1000)
    record = records.exchange_closed(OPENING, 0, closing, 0.0)
    assert record["tools"] == ["x" * MAX_NAME_CHARS] * MAX_LISTED
    cut = [(position, f"req_{position}") for position in range(1000)]
    started = records.server_started(0.0, run="r", cut=cut, settled=1000)
    assert started["num_cut"] == 1000
    assert started["cut"] == [{"opened": position, "exchange": f"req_{position}"} for position in range(MAX_LISTED)]


def test_a_name_that_is_no_unicode_can_be_written_all_the_same() -> None:
    assert canonical(records.exchange_closed(OPENING, 0, Closing(status="stop", tools=("a\ud800b",)), 0.0))


def test_what_is_counted_is_one_record_a_kind_and_the_kinds_are_bounded() -> None:
    tallies: Tallies[tuple[str, str]] = Tallies(
        lambda group, num, first_s, at_s: records.sign_in_failed(*group, num, first_s, at_s), ("", "other")
    )
    for moment in range(3):
        tallies.add(("192.0.2.0/24", "unknown"), float(moment))
    tallies.add(("192.0.2.0/24", "expired"), 5.0)
    assert [(record["reason"], record["num"], record["first_ms"]) for record in tallies.take(9.0)] == [
        ("unknown", 3, 0),
        ("expired", 1, 5000),
    ]
    assert tallies.take(9.0) == []
    for number in range(MAX_GROUPS + 50):
        tallies.add((f"net {number}", "unknown"), 0.0)
    taken = tallies.take(9.0)
    assert len(taken) == MAX_GROUPS + 1
    assert (taken[-1]["reason"], taken[-1]["num"]) == ("other", 50)
