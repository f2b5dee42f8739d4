"""The study of the intervals, and what its page says of them."""

import pytest

from benchmarks import coverage
from festkit.metrics import Counts


@pytest.fixture(scope="module")
def populations():
    return coverage.stored_counts()


def test_the_stored_counts_are_those_of_the_shipped_records(populations):
    """Which are sums of the same counts."""
    assert {key: len(images) for key, images in populations.items()} == {
        (data, entry + how): {"NUAA-SIRST": 214, "IRSTD-1K": 201}[data]
        for data, entries in coverage.ENTRIES.items()
        for entry in entries
        for how in ("", " AS")
    }
    best = sum(populations["NUAA-SIRST", "acm-512-bce AS"], Counts())
    assert (best.images, best.targets, best.detected) == (214, 263, 256)


@pytest.mark.parametrize("data", ["NUAA-SIRST", "IRSTD-1K"])
def test_intervals_hold_the_truth(populations, data):
    """94 to 96 % in the study; of 300 samples the share is known to 1.3 points."""
    held = coverage.measure(populations[data, "acm-256-eedm"], None, 200, repeats=300)
    for before, now, _ in held.values():
        assert 91 < now < 99
        assert now > before - 1
    assert held["fa"][1] > held["fa"][0] + 1


def test_differences_hold_the_truth(populations):
    """Where one image in 200 makes the difference, the bootstrap has no width in two of five."""
    one, other = (populations["NUAA-SIRST", f"acm-512-bce{how}"] for how in (" AS", ""))
    held = coverage.measure(one, other, 200, repeats=200)
    for name in ("pd", "score"):
        assert held[name][0] < 75
        assert held[name][1] > 98
    assert held["pd"][2] > 25
    assert 90 < held["iou"][1] < 99


def test_the_page_is_written_by_one_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(coverage, "PAGE", tmp_path / "intervals.md")
    monkeypatch.setattr(coverage, "DRAWS", 20)
    coverage.main(write=True, repeats=2)
    text = (tmp_path / "intervals.md").read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    page = coverage.FOLDER.parent.joinpath("docs/intervals.md").read_text(encoding="utf-8")
    assert page.count("|") == text.count("|") > 300
    assert coverage.READING.strip() in page
    assert [row.split("|")[1] for row in page.splitlines() if row.startswith("| ")] == [
        row.split("|")[1] for row in text.splitlines() if row.startswith("| ")
    ]
