"""The door's Prometheus metrics. Every label has a bounded set of values: routes, statuses, known models, kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gemstead import __version__
from gemstead.access.policy_watch import ReloadResult
from gemstead.api.evidence_metrics import EvidenceMetrics
from gemstead.api.readiness import ENGINE_STATES, EngineStatus
from gemstead.core.errors import SignInFailure
from gemstead.pipeline.outcome import Outcome

TTFT_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
DURATION_BUCKETS_S = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class DoorMetrics:
    """Counts requests (by the HTTP layer) and outcomes (by the exchange) in its own registry."""

    def __init__(self) -> None:
        # Without it every series has a twin that says when it was made: twice the text, read by nobody in this format.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.in_flight = Gauge("gemstead_requests_in_flight", "Requests being answered.", registry=self.registry)
        self._requests = self._counter("requests", "Requests answered.", ("route", "status", "finish_reason"))
        self._durations = Histogram(
            "gemstead_request_duration_seconds",
            "From the request's head to the last byte handed to the socket.",
            ("route",),
            buckets=DURATION_BUCKETS_S,
            registry=self.registry,
        )
        self._answers: dict[tuple[str, int, str], tuple[Counter, Histogram]] = {}
        """The series of each kind of answer there was: looking them up by label costs more than counting."""
        self._ttft = Histogram(
            "gemstead_ttft_seconds",
            "From the exchange's start to the first token of the answer; waiting in line included.",
            ("model",),
            buckets=TTFT_BUCKETS_S,
            registry=self.registry,
        )
        self._prompt_tokens = self._counter("prompt_tokens", "Prompt tokens, cached ones included.", ("model",))
        self._completion_tokens = self._counter(
            "completion_tokens", "Tokens generated, reasoning included.", ("model",)
        )
        self._catches = self._counter(
            "verify_catches", "Engine replies that broke a promise.", ("model", "engine", "kind", "action")
        )
        self._neutralised = self._counter("neutralised", "Control tokens that were typed, and broken.", ("model",))
        self._sign_in_failures = self._counter("sign_in_failures", "Calls without a valid key or token.", ("reason",))
        self._policy_reloads = self._counter("policy_reloads", "Changes of the policy file.", ("result",))
        self._policy = Gauge(
            "gemstead_policy_info", "Always 1; the policy in force is its label.", ("sha256",), registry=self.registry
        )
        self.evidence = EvidenceMetrics(self.registry)
        build = Gauge(
            "gemstead_build_info", "Always 1; the version is its label.", ("version",), registry=self.registry
        )
        build.labels(__version__).set(1)

    def watch_engines(self, engines: Callable[[], Iterable[EngineStatus]]) -> None:
        """Shows the engines' states, asked at each scrape."""
        self.registry.register(_EngineCollector(engines))

    def count_request(self, route: str, status: int, finish_reason: str, duration_s: float) -> None:
        """`route` is the route's pattern, never the path; `finish_reason` is empty where nothing was generated."""
        found = self._answers.get((route, status, finish_reason))
        if found is None:
            counter = self._requests.labels(route, str(status), finish_reason)
            found = self._answers[route, status, finish_reason] = (counter, self._durations.labels(route))
        found[0].inc()
        found[1].observe(duration_s)

    def count_outcome(self, outcome: Outcome) -> None:
        """For `Exchange.record`. A name that is no model's is never made a label."""
        if outcome.error_code == "name_unknown":
            return
        if outcome.ttft_s is not None:
            self._ttft.labels(outcome.model).observe(outcome.ttft_s)
        if outcome.usage is not None:
            self._prompt_tokens.labels(outcome.model).inc(outcome.usage.prompt_tokens)
            self._completion_tokens.labels(outcome.model).inc(outcome.usage.completion_tokens)
        if outcome.num_neutralised:
            self._neutralised.labels(outcome.model).inc(outcome.num_neutralised)
        for catch in outcome.catches:
            self._catches.labels(outcome.model, outcome.engine or "none", catch.kind, catch.action).inc()

    def count_sign_in_failure(self, reason: SignInFailure) -> None:
        self._sign_in_failures.labels(reason).inc()

    def show_policy(self, sha256: str) -> None:
        """The one in force; it takes the place of the one before."""
        self._policy.clear()
        self._policy.labels(sha256).set(1)

    def count_policy_reload(self, result: ReloadResult, sha256: str) -> None:
        """`sha256` is of the policy that is in force now, whatever came of the change."""
        self._policy_reloads.labels(result).inc()
        self.show_policy(sha256)

    def render(self) -> bytes:
        """The Prometheus text format, version 0.0.4."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"gemstead_{name}", text, labels, registry=self.registry)


class _EngineCollector(Collector):
    def __init__(self, engines: Callable[[], Iterable[EngineStatus]]) -> None:
        self._engines = engines

    def collect(self) -> Iterator[GaugeMetricFamily]:
        states = GaugeMetricFamily(
            "gemstead_engine_state", "1 for the state the engine is in.", labels=("model", "engine", "state")
        )
        for status in self._engines():
            for state in ENGINE_STATES:
                states.add_metric((status.model, status.engine, state), float(state == status.state))
        yield states
