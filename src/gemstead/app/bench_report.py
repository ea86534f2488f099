"""The page of all results, with what others published beside it, and its charts as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemstead.bench.plots import Published, draw_plots
from gemstead.bench.png import png_of
from gemstead.bench.quality_store import QualityStore
from gemstead.bench.report import html_report
from gemstead.bench.store import ResultStore
from gemstead.catalog.entries import load_catalog
from gemstead.catalog.manifests import now_utc
from gemstead.core.errors import RequestInvalid
from gemstead.cost.speeds import published_speeds
from gemstead.hardware.profiles import profile_names


def write_report(data: Path, page: Path) -> None:
    """One HTML page of everything in the store below the data directory.

    Raises: as `ResultStore.read`; RequestInvalid if the page cannot be written.
    """
    results = ResultStore(data).read()
    text = html_report(results.runs, results.loads, _published(), now_utc(), QualityStore(data).runs())
    with _writing(page):
        page.write_text(text, encoding="utf-8")


def write_charts(data: Path, folder: Path) -> list[Path]:
    """Every chart of that page as a PNG file of its own; the folder is made if need be. Raises: likewise."""
    results = ResultStore(data).read()
    pictures = {
        folder / f"{plot.name}.png": plot.picture for plot in draw_plots(results.runs, results.loads, _published())
    }
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for path, picture in pictures.items():
        with _writing(path):
            path.write_bytes(png_of(picture))
    return list(pictures)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise RequestInvalid(f"{path} cannot be written: {exc.strerror}", hint="give another path") from exc


def _published() -> list[Published]:
    pairs = [(model.name, machine) for model in load_catalog().models for machine in profile_names()]
    found = [(model, machine, published_speeds(model, machine)) for model, machine in pairs]
    return [
        Published(model, machine, speeds.prefill_tok_per_s, speeds.decode_tok_per_s)
        for model, machine, speeds in found
        if speeds is not None
    ]
