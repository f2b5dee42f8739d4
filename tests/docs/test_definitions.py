import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from goldens import bits, each_case
from scipy.ndimage import binary_dilation, binary_fill_holes

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "definitions.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\]\(([^)\s]+)\)", PAGE)
PICTURES = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE)
WIDEST = 16


@pytest.fixture
def drawn(monkeypatch):
    """The module of the page's maps and pictures, found as the page finds it."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("definitions")


def anchor(heading):
    """The address that code hosts give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_example_is_true(drawn):
    result = drawn.check_page()
    assert result.failed == 0
    assert result.attempted == PAGE.count(">>> ")


def test_every_block_of_python_is_an_example():
    parts = re.split(r"^(```.*)\n", PAGE, flags=re.MULTILINE)
    fences, texts = parts[1::2], parts[::2]
    assert set(fences[::2]) == {"```python", "```sh"}  # every other one opens,
    assert set(fences[1::2]) == {"```"}  # and the rest close
    inside = [text for fence, text in zip(fences[::2], texts[1::2], strict=True) if "py" in fence]
    assert all(text.startswith(">>> ") for text in inside)
    assert not any(">>> " in text for text in texts[::2])


def test_a_false_example_is_seen(drawn, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    monkeypatch.setattr(drawn, "PAGE", page)
    assert drawn.check_page().failed == 1
    assert "Expected:\n    3\nGot:\n    2" in capsys.readouterr().out


def test_the_page_shows_every_picture(drawn):
    assert sorted(PICTURES) == sorted(f"definitions/{name}.png" for name in drawn.PICTURES)
    assert sorted(PICTURES) == sorted(
        path.relative_to(DOCS).as_posix() for path in (DOCS / "definitions").iterdir()
    )


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_every_link_leads_somewhere(link):
    headings = re.findall(r"^#+ (.+)$", PAGE, flags=re.MULTILINE)
    file, _, place = link.partition("#")
    assert (DOCS / file).exists()
    assert not place or place in map(anchor, headings)


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_are_small(picture):
    assert (DOCS / picture).stat().st_size < 60_000


@pytest.mark.slow
def test_pictures_can_be_drawn_anew(drawn, tmp_path):
    drawn.draw_pictures(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(drawn.PICTURES)


@each_case("edge")
def test_the_published_edge_is_the_published_one(drawn, case):
    edge = drawn.published_edge(bits(case["mask"]))
    np.testing.assert_array_equal(edge, bits(case["official"]))


def test_maps_are_small_enough_to_check_by_hand(drawn):
    maps = [value for value in vars(drawn).values() if isinstance(value, np.ndarray)]
    pairs = [drawn.MATCHING, drawn.ORIGINAL, drawn.EQUAL_AREAS]
    pairs += [*drawn.THREE_IMAGES, *drawn.METHOD_A, *drawn.METHOD_B, *drawn.BATCH]
    maps += [truth for truth, _ in pairs]
    assert len(maps) > 20
    assert all(max(each.shape) <= WIDEST for each in maps)


def test_the_page_uses_the_words_of_the_field():
    assert "mIoU" not in PAGE


def test_what_published_contours_add(drawn):
    """The hole and the component's pixels beside it are an object; its centroid is added."""
    above = drawn.HOLES[:, :8] > np.float32(0.1)  # the left component, with its hole
    hole = binary_fill_holes(above) & ~above
    beside = above & binary_dilation(hole)
    centre = np.argwhere(hole | beside).mean(axis=0).astype(int)
    assert tuple(centre) == drawn.PUBLISHED_ADDS
