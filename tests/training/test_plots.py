"""Learning curves: what is drawn, and a page that needs no other file."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from training.checkpoint import CheckpointError
from training.pictures.style import PictureError
from training.plots import log_page, measurements, plot_log, read_log

EPOCHS: list[dict[str, Any]] = [
    {"epoch": 1, "step": 10, "input_side": 128, "loss": 5.5, "lr": 1e-3, "minutes": 1.0},
    {"epoch": 2, "step": 20, "input_side": 128, "loss": 4.5, "lr": 9e-4, "minutes": 2.0,
     "held_out": {"mean14": 40.25, "mean12": 30.0}},
    {"epoch": 3, "step": 30, "input_side": 192, "loss": 4.9, "lr": 5e-4, "minutes": 3.5},
    {"epoch": 4, "step": 40, "input_side": 192, "loss": 4.1, "lr": 1e-5, "minutes": 5.0,
     "held_out": {"mean14": 61.5, "mean12": 58.0}},
]  # fmt: skip


def write(folder: Path, epochs: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    return log


class Page(HTMLParser):
    """Collects the table, the links and the tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[list[str]] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            value or ""
            for name, value in attrs
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#")
        ]
        if tag == "tr":
            self.cells.append([])
        self.cell = tag in ("td", "th")

    def handle_endtag(self, tag: str) -> None:
        self.cell = False

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.cells[-1].append(data)


def test_the_page_holds_the_curve_and_every_epoch(tmp_path: Path) -> None:
    out = plot_log(write(tmp_path / "my <run>", EPOCHS), tmp_path / "new" / "curve.html")
    text = out.read_text("utf-8")
    parsed = Page()
    parsed.feed(text)
    assert parsed.cells[0] == [
        "epoch", "step", "input side", "loss", "lr", "minutes", "held out mean14",
        "held out mean12",
    ]  # fmt: skip
    assert [row[0] for row in parsed.cells[1:]] == ["1", "2", "3", "4"]
    assert parsed.cells[2][6:] == ["40.25", "30"]
    assert len(parsed.cells[1]) == 6  # two cells are empty
    assert parsed.loads == []
    assert parsed.tags.count("svg") == 1
    assert not {"script", "link", "iframe", "img"} & set(parsed.tags)
    assert "<title>my &lt;run&gt;</title>" in text


def test_the_figure_in_the_page_is_whole(tmp_path: Path) -> None:
    text = log_page(EPOCHS, title="run")
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])  # noqa: S314
    words = [node.text for node in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"training loss", "learning rate", "epoch", "192 px"} <= set(words)
    assert not any("128 px" in (word or "") for word in words)  # it did not change to that


def test_the_picture_changes_with_what_was_measured(tmp_path: Path) -> None:
    plain = [{k: v for k, v in epoch.items() if k != "held_out"} for epoch in EPOCHS]
    with_accuracy = cv2.imread(str(plot_log(write(tmp_path / "a", EPOCHS), tmp_path / "a.png")))
    without = cv2.imread(str(plot_log(write(tmp_path / "b", plain), tmp_path / "b.png")))
    assert with_accuracy is not None
    assert without is not None
    assert with_accuracy.shape[1] == without.shape[1] > 800
    assert with_accuracy.shape[0] > without.shape[0] + 200  # a panel more
    assert (without != 255).any(axis=2).mean() > 0.01


def test_a_run_of_one_epoch_with_little_in_its_log(tmp_path: Path) -> None:
    out = plot_log(write(tmp_path, [{"epoch": 1, "loss": 3.0}]), tmp_path / "curve.svg")
    assert ElementTree.parse(out).getroot().tag.endswith("svg")  # noqa: S314


def test_the_first_figure_of_a_table_counts() -> None:
    assert measurements(EPOCHS) == {"held out, mean14": ([2, 4], [40.25, 61.5])}


@pytest.mark.parametrize(
    ("content", "what"),
    [("{", "not a training log"), ("", "no epoch"), ('{"loss": 1}', "no epoch"), ("[]", "no epo")],
)
def test_what_is_no_log_is_one_line(tmp_path: Path, content: str, what: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(content)
    with pytest.raises(CheckpointError, match=what) as error:
        read_log(log)
    assert "\n" not in str(error.value)


def test_a_missing_log_and_a_bad_place(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        plot_log(tmp_path / "log.jsonl", tmp_path / "curve.png")
    log = write(tmp_path, EPOCHS)
    with pytest.raises(PictureError, match=r"curve\.xyz: Format 'xyz' is not supported"):
        plot_log(log, tmp_path / "curve.xyz")
    for name in ("curve.png", "curve.html"):
        with pytest.raises(PictureError, match="cannot be written"):
            plot_log(log, log / name)


def test_colours_differ_in_lightness_or_hue_for_everyone() -> None:
    from matplotlib.colors import to_rgb

    from training.pictures.style import LINES

    colours = np.array([to_rgb(colour) for colour in LINES])
    # Deuteranopia, after Vienot, Brettel and Mollon (1999): red and green fall together.
    seen = colours @ np.array([[0.29, 0.71, 0.0], [0.29, 0.71, 0.0], [-0.02, 0.02, 1.0]]).T
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert distance[~np.eye(len(LINES), dtype=bool)].min() > 0.1
