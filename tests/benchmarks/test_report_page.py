"""The HTML report in a real browser: what is on it, that it loads nothing, how it prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.device_files import Named
from benchmarks.report_page.frontier import Point, frontiers, like, pareto
from benchmarks.report_page.heat_map import fastest
from benchmarks.report_page.page import page
from benchmarks.report_page.power_time import pieces
from benchmarks.report_page.stage_bars import parts_ms
from benchmarks.result import DeviceResult, PowerSeries

Planted = Callable[..., DeviceResult]
INVALID = {
    "division": "closed",
    "min_accuracy": 90.0,
    "measured_power": True,
    "valid": False,
    "reasons": ["accuracy: 80.0 PCKh@0.5 on blobs (n = 100) is below 90"],
}


class Page(HTMLParser):
    """Collects what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def several(planted: Planted) -> list[Named]:
    """Two devices, two precisions, one invalid, power measured and estimated."""
    pi = {"device__profile": "raspberry_pi_5", "environment__cpu_model": "Cortex-A76"}
    meter = {"meter__source": "measured", "meter__name": "rpi_pmic"}
    return [
        Named("pc", planted(accuracy=79.0)),
        Named("pi", planted(slow=3.0, accuracy=79.5, **pi, **meter)),
        Named("pi8", planted(slow=1.5, accuracy=79.0, artifact__precision="int8", **pi, **meter)),
        Named("bad", planted(slow=20.0, validity=INVALID)),
    ]


@pytest.fixture
def text(several: list[Named], _pages: list[str]) -> str:
    """Return the page of `several`; it is drawn once."""
    if not _pages:
        _pages.append(page(several))
    return _pages[0]


@pytest.fixture(scope="session")
def _pages() -> list[str]:
    return []


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium here, and CI must run this")
        pytest.skip("no chromium here")
    return found


def browse(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a browser without a screen, which resolves no host name."""
    common = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    alone = ("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}")
    return subprocess.run(
        [browser(), *common, *alone, *flags],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_the_page_of_several_results(text: str, several: list[Named]) -> None:
    found = Page(text)
    titles = " ".join(str(label.get("aria-label")) for label in found.all("div"))
    for start in (
        "Scatter of accuracy against median latency. pc: 79.0 % at",
        "ms, invalid. Heat map",
        "Heat map of frames per second",
        "Stacked bars of the mean time per stage",
        "Histograms of end-to-end latency",
        "Bars of the time per stage",
        "Power over time, measured",
        "Power over time, estimated",
    ):
        assert start in titles
    # Two models' names (one is int8 of the same name), the frontier, the shares, three for each.
    pictures = found.all("svg")
    assert len(pictures) == len(found.all("figure")) >= 3 + 3 * len(several)
    assert found.text.count("INVALID") == 2  # in the overview and at its section
    assert "This result is invalid in the closed division" in found.text
    assert "is below 90" in found.text
    assert "Not everything here compares" in found.text
    assert "power: estimated against measured" in found.text
    badges = [span["class"] for span in found.all("span") if span.get("class")]
    assert {"badge measured", "badge estimated", "badge invalid"} <= set(badges)
    for one in several:
        assert one.result.environment.libraries["numpy"] in found.text
        assert all(warning in found.text for warning in one.result.warnings)


def test_the_page_of_one_result(planted: Planted) -> None:
    found = Page(page([Named("only", planted(scatter=(0.0,)))]))
    assert len(found.all("figure")) == 5
    assert "At a glance" not in found.text
    assert "Inference threads" in found.text
    assert not [span for span in found.all("span") if span.get("class") == "error"]


def test_it_is_the_same_text_for_the_same_results(planted: Planted) -> None:
    results = [Named("only", planted())]
    assert page(results) == page(results)


def test_it_can_load_nothing(text: str) -> None:
    found = Page(text)
    assert not {tag for tag, _ in found.tags} & {"script", "link", "img", "iframe", "object"}
    for _, attributes in found.tags:
        assert "src" not in attributes
        for name, value in attributes.items():
            if not name.startswith("xmlns"):
                assert not re.search(r"(?i)https?:|//|javascript:", value or ""), (name, value)
            if name in ("href", "xlink:href"):
                assert (value or "").startswith("#")
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    (policy,) = (m for m in found.all("meta") if m.get("http-equiv"))
    assert str(policy["content"]).startswith("default-src 'none'")


def test_every_identifier_is_unique_and_every_reference_is_kept(text: str) -> None:
    found = Page(text)
    names = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in found.tags:
        for name in ("href", "xlink:href"):
            if name in attributes:
                assert str(attributes[name])[1:] in names
        for reference in re.findall(r"url\(#([^)]+)\)", " ".join(map(str, attributes.values()))):
            assert reference in names
        assert not attributes.get("aria-labelledby") or attributes["aria-labelledby"] in names


def test_what_a_result_says_is_never_code(planted: Planted) -> None:
    evil = "<script>alert(1)</script>$\\frac{$ \" ' & \x07"
    changes = dict.fromkeys(("artifact__name", "device__profile", "source__name"), evil)
    result = planted(**changes, warnings=[evil], meter__detail=evil, device__description=evil)
    text = page([Named(evil, result), Named("other", planted())])
    found = Page(text)
    assert "script" not in {tag for tag, _ in found.tags}
    assert "<script>alert(1)</script>$\\frac{$" in found.text
    assert "\x07" not in text


def test_the_browser_shows_it_without_a_complaint(
    text: str, several: list[Named], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(text, "utf-8")
    shots = {}
    for width, height in ((1280, 2400), (500, 2400)):
        shots[width] = tmp_path / f"{width}.png"
        done = browse(
            tmp_path,
            f"--window-size={width},{height}",
            f"--screenshot={shots[width]}",
            "--enable-logging=stderr",
            "--dump-dom",
            file.as_uri(),
        )
        assert "CONSOLE" not in done.stderr, done.stderr
        assert shots[width].stat().st_size > 50_000
    shown = Page(done.stdout)
    assert len(shown.all("svg")) == len(Page(text).all("svg"))
    assert len(shown.all("table")) == 1 + 3 * len(several)
    assert len(shown.all("h2")) == 1 + len(several)


def test_nothing_is_wider_than_a_phone(text: str, tmp_path: Path) -> None:
    """Inside a frame of 360 px, which the browser's smallest window is not."""
    (tmp_path / "report.html").write_text(text, "utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<iframe id=f width=360 height=800 src=report.html></iframe><script>f.onload = () => {"
        "const d = f.contentDocument.documentElement;"
        "document.title = `${d.scrollWidth} of ${d.clientWidth}`}</script>",
        "utf-8",
    )
    done = browse(tmp_path, "--allow-file-access-from-files", "--dump-dom", frame.as_uri())
    match = re.search(r"<title>(\d+) of (\d+)</title>", done.stdout)
    assert match is not None
    assert int(match[1]) <= int(match[2]) <= 360


def test_it_prints_on_few_pages(text: str, several: list[Named], tmp_path: Path) -> None:
    file, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    file.write_text(text, "utf-8")
    browse(tmp_path, f"--print-to-pdf={paper}", file.as_uri())
    pages = paper.read_bytes().count(b"/Type /Page\n")
    # The overview on one or two, each result on two or three.
    assert 1 + 2 * len(several) <= pages <= 2 + 3 * len(several)


def test_the_command_writes_the_page(
    planted: Planted,
    write: Callable[..., Path],
    bench: Callable[..., tuple[int, str, str]],
    errors: Callable[..., str],
    tmp_path: Path,
) -> None:
    file, out = write("here", planted()), tmp_path / "report.html"
    code, printed, err = bench("report", file, "--out", out)
    assert (code, printed, err) == (0, "", f"{out}: 1 result\n")
    assert "here" in Page(out.read_text("utf-8")).text
    lost = tmp_path / "none" / "x.html"
    assert f"{lost}: cannot be written" in errors("report", file, "--out", lost)
    file.write_text(file.read_text("utf-8")[:99], "utf-8")
    assert "not valid JSON" in errors("report", file, "--out", out)


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_missing_library_is_one_line(
    missing: str,
    planted: Planted,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[..., Path],
    errors: Callable[..., str],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    told = errors("report", write("here", planted()))
    assert f"{missing} is not installed; pip install 'edge-pose[report]'" in told


def test_the_frontier_leaves_out_what_is_beaten_and_what_is_invalid() -> None:
    points = [
        Point("fast", "pi", 1.0, 0.1, 70.0, valid=True),
        Point("beaten", "pi", 2.0, 0.1, 69.0, valid=True),
        Point("equal", "pi", 3.0, 0.1, 70.0, valid=True),
        Point("invalid", "pi", 4.0, 0.1, 99.0, valid=False),
        Point("good", "pi", 5.0, 0.1, 80.0, valid=True),
        Point("other", "pc", 0.1, 0.1, 90.0, valid=True),
    ]
    assert [point.name for point in pareto(points, "pi")] == ["fast", "good"]
    assert [point.name for point in pareto(points, "pc")] == ["other"]


def test_only_like_results_share_a_frontier(planted: Planted) -> None:
    results = [
        Named("a", planted()),
        Named("b", planted(slow=2.0, device__profile="raspberry_pi_5")),
        Named("coco", planted(artifact__accuracy__dataset="coco")),
        Named("clip", planted(source__sha256="ab" * 32)),
    ]
    groups = [[one.name for one in group] for group in like(results)]
    assert groups == [["a", "b"], ["coco"], ["clip"]]
    drawn = frontiers(results)
    assert [picture.key for picture in drawn] == ["frontier1", "frontier2", "frontier3"]
    assert ["a: " in picture.alt for picture in drawn] == [True, False, False]


def test_a_cell_is_the_fastest_valid_result(planted: Planted) -> None:
    slow, fast = planted(slow=2.0), planted()
    broken = planted(slow=0.1, validity=INVALID)
    (cell,) = fastest([slow, broken, fast]).values()
    assert cell is fast
    (cell,) = fastest([broken]).values()
    assert cell is broken


def test_the_parts_of_a_bar_are_the_whole(planted: Planted) -> None:
    result = planted()
    parts = parts_ms(Named("a", result))
    whole = result.modes["single_stream"].latency["end_to_end"].mean_ms.mean
    assert sum(parts.values()) == pytest.approx(whole)
    assert set(parts) == {"capture", "preprocess", "infer", "decode", "publish", "waiting"}


def test_repeats_are_told_apart_by_their_pauses() -> None:
    series = PowerSeries(time_s=(0.0, 0.1, 0.2, 5.0, 5.1), power_w=(1.0, 2.0, 3.0, 4.0, 5.0))
    assert pieces(series) == [([0.0, 0.1, 0.2], [1.0, 2.0, 3.0]), ([5.0, 5.1], [4.0, 5.0])]
    assert pieces(PowerSeries(time_s=(), power_w=())) == []
    assert pieces(PowerSeries(time_s=(3.0,), power_w=(1.0,))) == [([3.0], [1.0])]


def test_names_of_points_at_one_place_stand_above_each_other(planted: Planted) -> None:
    names = ("before", "after", "again")
    (drawn,) = frontiers([Named(name, planted()) for name in names])
    found = [re.search(rf'y="([\d.]+)"[^>]*>{name}</text>', drawn.svg) for name in names]
    first, second, third = [float(match[1]) for match in found if match]
    assert first - second > 8 < second - third  # px from the top, of letters of 8 pt
