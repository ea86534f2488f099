"""Comparison, tables and the page of results, from runs made by hand."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest

from bench_parts import QUIET, SUBJECT, answer, finished, records
from gemstead.bench.charts import Bar, Group, Point, Series, bar_chart, distribution, line_chart
from gemstead.bench.compare import compare_pairs, compare_runs
from gemstead.bench.load import Request, Shape
from gemstead.bench.load_summary import Limits, summarise
from gemstead.bench.measures import Answer
from gemstead.bench.plots import Published, draw_plots, shown_runs
from gemstead.bench.predictions import memory_checks
from gemstead.bench.report import html_report
from gemstead.bench.results import LoadRun, Power, Run, gather_runs
from gemstead.bench.run import cached_prompts, clock_gap, decode_variation, full_length
from gemstead.bench.tables import point_figures
from gemstead.core.figures import Figure

A = finished("run-a", {128: [20.0, 20.2, 19.8], 512: [18.0, 18.1, 17.9]})
B = finished("run-b", {512: [27.0, 27.2, 26.8], 2048: [15.0]})


def test_only_common_prompt_lengths_are_compared() -> None:
    comparison = compare_runs(A, B)
    assert {line.prompt_tokens for line in comparison.lines} == {512}
    decode = next(line for line in comparison.lines if line.metric == "decode")
    assert decode.ratio.ratio == pytest.approx(1.5)
    assert decode.verdict == "better"
    latency = next(line for line in comparison.lines if line.metric == "latency")
    assert latency.ratio.ratio < 1
    assert latency.verdict == "better"


def test_a_run_does_not_differ_from_itself() -> None:
    assert {line.verdict for line in compare_runs(A, A).lines} == {"no difference shown"}


def test_what_else_differs_between_two_runs_is_said() -> None:
    machine = msgspec.structs.replace(SUBJECT.machine, fingerprint="another")
    subject = msgspec.structs.replace(SUBJECT, machine=machine, num_threads=8)
    noise = msgspec.structs.replace(QUIET, steal_share=0.5)
    other = gather_runs(records("run-c", {512: [18.0]}, subject=subject, noise=noise))[0]
    text = " ".join(compare_runs(A, other).warnings)
    assert "different machines" in text
    assert "num_threads" in text
    assert "hypervisor" in text
    assert compare_runs(A, A).warnings == ()


def test_a_pair_with_a_hole_is_left_out() -> None:
    hole = msgspec.structs.replace(answer(20.0), decode_tok_per_s=None)
    comparison = compare_pairs("a", "b", [(512, [answer(20.0), hole], [answer(22.0), answer(21.0)])])
    assert "decode" not in {line.metric for line in comparison.lines}
    assert "TTFT" in {line.metric for line in comparison.lines}


def test_energy_says_whether_it_was_metered_or_assumed() -> None:
    assumed = finished("run-d", {512: [20.0]}, Power(assumed=Figure(60.0, "assumed", None, "stated")))
    energy = point_figures(assumed)[0].energy_j_per_token
    assert energy is not None
    assert energy.basis == "assumed"
    assert energy.value == pytest.approx(3.0)
    assert point_figures(A)[0].energy_j_per_token is None
    point = msgspec.structs.replace(A.points[0], answers=(msgspec.structs.replace(answer(20.0), decode_j=5.0),))
    assert A.end is not None
    end = msgspec.structs.replace(A.end, power=Power(("rapl",), idle_w=2.0))
    figures = point_figures(msgspec.structs.replace(A, points=(point,), end=end))[0]
    assert figures.energy_j_per_token == Figure(0.5, "measured", None, "rapl")
    assert figures.net_energy_j_per_token is not None
    assert figures.net_energy_j_per_token.value == pytest.approx(0.4)


def test_prompts_out_of_a_cache_are_counted_but_not_the_template() -> None:
    template = msgspec.structs.replace(answer(20.0, prompt_tokens=540), prefill_tokens=510)
    cached = msgspec.structs.replace(template, prefill_tokens=300)
    assert cached_prompts(512, [template, cached, template]) == 1


class Page(HTMLParser):
    """Notes every tag, and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href") and value]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def load_run(*rates: float) -> LoadRun:
    """One level; an answer for each decode rate."""
    requests = [Request(0, 0.0, 1.0, answer(rate)) for rate in rates]
    level = summarise(Shape(arrival="poisson", duration_s=5.0, rate_per_s=2.0), requests, Limits())
    return LoadRun("load-1", "now", "0", "<server>", "gemma4:e2b", None, 64, 16, None, None, (level,))


def test_the_page_is_whole_and_fetches_nothing() -> None:
    published = [Published("gemma4:e2b", "rtx-4090", Figure(11234, "published"), Figure(143, "published"))]
    page, text = Page(), html_report([A, B], [load_run(20.0)], published, "today")
    page.feed(text)
    assert page.open == []
    assert page.fetched == []
    assert "script" not in page.tags
    assert page.tags.count("svg") == len(draw_plots([A, B], [load_run(20.0)], published)) > 6
    assert "&lt;server&gt;" in text
    assert "url(" not in text
    assert text == html_report([A, B], [load_run(20.0)], published, "today")


def test_charts_show_the_latest_finished_run_of_each_subject_and_no_more_than_can_be_told_apart() -> None:
    subjects = [msgspec.structs.replace(SUBJECT, num_threads=number) for number in range(1, 9)]
    runs = [gather_runs(records(f"run-{one.num_threads}", {512: [9.0]}, subject=one))[0] for one in subjects]
    cut = gather_runs(records("run-cut", {512: [9.0]}, is_finished=False))[0]
    assert [run.start.run for run in shown_runs([A, B, cut])] == ["run-b"]
    assert [run.start.run for run in shown_runs(runs)] == [f"run-{number}" for number in range(3, 9)]


def test_what_others_published_stands_beside_the_same_model_only() -> None:
    published = [
        Published(model, "somewhere", Figure(1.0, "published"), Figure(2.0, "published"))
        for model in ("gemma4:e2b", "gemma4:e")
    ]
    names = {plot.name: plot.picture for plot in draw_plots([A], [], published)}
    assert names["published"].count("somewhere") == 1
    assert "published" not in {plot.name for plot in draw_plots([A], [], published[1:])}


def test_every_chart_has_a_name_of_its_own_that_a_file_can_have() -> None:
    names = [plot.name for plot in draw_plots([A], [load_run(20.0)], [])]
    assert len(names) == len(set(names)) > 6
    assert all(name.replace("-", "").isalnum() for name in names)


def test_what_was_disturbed_says_so_in_every_chart() -> None:
    noise = msgspec.structs.replace(QUIET, others_share=0.9)
    noisy = gather_runs(records("run-n", {512: [9.0]}, noise=noise))[0]
    assert all("@synthetic, disturbed" in plot.picture for plot in draw_plots([noisy], [], []))
    assert not any("disturbed" in plot.picture for plot in draw_plots([A], [], []))


def test_our_clock_is_held_against_the_engines() -> None:
    answers = [Answer(decode_tok_per_s=rate, engine_decode_tok_per_s=20.0) for rate in (18.0, 19.0, 15.0)]
    assert clock_gap(answers) == pytest.approx(-0.1)
    assert clock_gap([Answer(decode_tok_per_s=18.0)]) is None
    hidden = Answer(decode_tok_per_s=9.0, engine_decode_tok_per_s=20.0, has_hidden_tokens=True)
    assert clock_gap([hidden]) is None


def test_answers_that_should_be_alike_and_are_not_are_seen() -> None:
    assert decode_variation([answer(rate) for rate in (20.0, 20.0, 20.0, 40.0)]) == pytest.approx(0.25)
    assert decode_variation([answer(20.0), answer(10.0)]) is None


def test_generated_weights_are_told_to_say_something_that_can_be_seen() -> None:
    assert set(full_length("gemma4:e2b-q4_0@synthetic")) - set(full_length("gemma4:e2b-q4_0")) == {"logit_bias"}


def on_gpu(**changes: int) -> Run:
    assert A.end is not None
    assert A.end.memory is not None
    assert A.start.prediction is not None
    planned = msgspec.structs.replace(A.start.prediction, gpu_bytes=5 << 30)
    end = msgspec.structs.replace(A.end, memory=msgspec.structs.replace(A.end.memory, **changes))
    return Run(msgspec.structs.replace(A.start, prediction=planned), A.points, end)


def test_memory_of_a_model_on_a_gpu_is_held_against_what_the_process_holds_there() -> None:
    run = on_gpu(gpu_bytes=4 << 30, kept_bytes=0)
    assert [(check.place, check.ratio) for check in memory_checks(run)] == [("host", 1.0), ("gpu", 1.25)]
    assert memory_checks(on_gpu()) == []
    assert "+25.0%" in html_report([run], [], [], "today")


def test_earlier_prompts_that_the_engine_keeps_are_no_error_of_the_plan() -> None:
    (host,) = memory_checks(on_gpu(pss_bytes=7 << 30, kept_bytes=4 << 30))
    assert (host.held_bytes, host.planned_bytes) == (3 << 30, 3 << 30)


def test_a_load_without_an_answer_has_no_chart() -> None:
    assert draw_plots([], [load_run()], []) == []


def test_planned_memory_stands_beside_the_measured() -> None:
    assert "+0.0%" in html_report([A], [], [], "today")


def test_a_page_without_results_says_how_to_get_some() -> None:
    assert "gemstead bench run" in html_report([], [], [], "today")


def test_charts_are_well_formed_whatever_the_names_and_numbers() -> None:
    series = [Series("<a> & b", (Point(1.0, 0.0), Point(1.0, 0.0, 0.0, 0.0))), Series("empty", ())]
    for text in (
        line_chart("<t>", "x & y", "z", series),
        line_chart("t", "x", "y", []),
        bar_chart("b", "GiB", [Group("<g>", (Bar("<x>", 0.0),))]),
        bar_chart("b", "GiB", []),
    ):
        ElementTree.fromstring(text)


def shapes(picture: str, tag: str) -> list[dict[str, str]]:
    return [element.attrib for element in ElementTree.fromstring(picture).iter(f"{{http://www.w3.org/2000/svg}}{tag}")]


def test_bars_are_as_long_as_their_values_and_leave_room_for_the_words() -> None:
    picture = bar_chart("b", "tok/s", [Group("g", (Bar("a", 10.0), Bar("b" * 60, 5.0, 0, 4.0, 12.0)))])
    _paper, long, short = shapes(picture, "rect")
    assert float(long["width"]) == pytest.approx(2 * float(short["width"]), abs=0.2)
    assert max(float(line["x2"]) for line in shapes(picture, "line")) < 520 - 40 * 7


@pytest.mark.parametrize("lengths", [(1.0, 2.0), (1.0, 10.0), (0.004, 90_000.0), (0.0, 1e9), (7.0,)])
def test_axes_have_a_few_round_numbers_and_lines_stay_between_them(lengths: tuple[float, ...]) -> None:
    picture = line_chart("t", "x", "y", [Series("s", tuple(Point(x, x, x / 2, 2 * x) for x in lengths))])
    below = [text for text in shapes(picture, "text") if text.get("text-anchor") == "middle"]
    assert 1 < len(below) <= 14
    places = shapes(picture, "polyline")[0]["points"].split()
    assert all(62 <= float(x) <= 502 and 68 <= float(y) <= 298 for x, y in (place.split(",") for place in places))


def test_a_distribution_ends_at_all_values_and_stays_small() -> None:
    points = distribution([float(value) for value in range(10_000)])
    assert points[-1] == Point(9999.0, 100.0)
    assert len(points) < 250
    assert distribution([]) == ()


def test_predicted_speed_stands_beside_the_measured_one_on_the_page() -> None:
    noise = msgspec.structs.replace(QUIET, others_share=0.9)
    noisy = gather_runs(records("run-n", {512: [9.0]}, noise=noise))[0]
    fast = finished("run-f", {512: [40.0]})
    page = html_report([A, noisy, fast], [], [], "now")
    part = page.partition("<h2>Speed: predicted against measured</h2>")[2].partition("</table>")[0]
    a, disturbed, outside = part.split("<tr>")[2:]
    for cell in ("decode", "512", "20", "17 to 23", "18", "+11%", "yes"):
        assert f"<td>{cell}</td>" in a
    assert "<td>not to be trusted</td>" in disturbed
    assert "<td>-50%</td><td>no</td>" in outside
