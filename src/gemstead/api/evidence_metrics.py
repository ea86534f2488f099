"""What Prometheus is told of the evidence: records, how long answers stood still for them, what is not sealed yet."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gemstead.evidence.ledger import LedgerHealth
from gemstead.pipeline.recording import WRITTEN, Written

WAIT_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10)


class EvidenceMetrics:
    """What a `Recorder` counts, and the state of its ledger."""

    def __init__(self, registry: CollectorRegistry) -> None:
        written = Counter("gemstead_evidence_records", "Records that are safe.", ("record",), registry=registry)
        failed = Counter(
            "gemstead_evidence_failures", "Records that could not be written.", ("record",), registry=registry
        )
        waits = Histogram(
            "gemstead_evidence_wait_seconds",
            "How long an answer stood still for its record.",
            ("record",),
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )
        self._records = {what: written.labels(what) for what in WRITTEN}
        self._failures = {what: failed.labels(what) for what in WRITTEN}
        self._waits = {what: waits.labels(what) for what in WRITTEN}
        self._unsealed = Gauge(
            "gemstead_evidence_unsealed_records", "Records that no checkpoint covers yet.", registry=registry
        )
        self._undelivered = Gauge(
            "gemstead_evidence_undelivered_checkpoints",
            "Checkpoints that wait for the second place to take them.",
            registry=registry,
        )
        self._delivery_failures = Gauge(
            "gemstead_evidence_delivery_failures",
            "Attempts in vain to reach the second place, since the start.",
            registry=registry,
        )

    def count_record(self, what: Written) -> None:
        self._records[what].inc()

    def count_record_wait(self, what: Written, wait_s: float) -> None:
        self._waits[what].observe(wait_s)

    def count_record_failure(self, what: Written) -> None:
        self._failures[what].inc()

    def show_ledger(self, health: LedgerHealth) -> None:
        self._unsealed.set(max(0, health.size - health.sealed_size))
        if health.second_place is not None:
            self._undelivered.set(health.second_place.waiting)
            self._delivery_failures.set(health.second_place.failures)
