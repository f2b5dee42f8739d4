"""The zoo's catalogue, its page of results, and what lies under weights/ of this clone."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from festkit._support.files import read_json
from festkit.fest import FEST
from festkit.ops.resize import MASK_RULE
from festkit.pretrained import (
    ENTRIES,
    FAMILIES,
    find_entry,
    record_file,
    trained,
    weights_dir,
    weights_file,
)
from festkit.weights import read_card
from festkit.zoo import verify as verifying
from festkit.zoo.verify import verify
from tools.results_page import results_page

REPOSITORY = Path(__file__).parents[2]
SHIPPED = REPOSITORY / "weights"


class TestCatalogue:
    def test_an_entry_starts_from_a_smaller_size_squares_or_fewer_epochs_before_it(self):
        before = {}
        for name, entry in ENTRIES.items():
            if entry.start is not None:
                start = before[entry.start].config
                assert (start.backbone, start.dataset) == (
                    entry.config.backbone,
                    entry.config.dataset,
                )
                squares = start.crop is not None and entry.config.crop is None
                longer = start.size == entry.config.size and start.epochs < entry.config.epochs
                longer = longer and name == f"{entry.start}-long"
                assert start.size < entry.config.size or squares or longer
            before[name] = entry

    def test_the_scales_of_a_family_fit_together(self):
        for family in FAMILIES.values():
            configs = [ENTRIES[name].config for name in family.scales]
            assert {config.backbone for config in configs} == {family.backbone}
            assert len({config.dataset for config in configs}) == 1
            assert [c.size for c in configs] == sorted({c.size for c in configs})
            assert family.light in family.scales
            if family.original:
                assert ENTRIES[family.original].config.loss == "BCE"

    def test_nothing_is_chosen_on_test_images(self):
        assert {entry.config.protocol for entry in ENTRIES.values()} <= {"last", "holdout"}

    def test_names_say_what_they_name(self):
        for name, entry in ENTRIES.items():
            backbone = str(entry.config.backbone).lower()
            plain = name.startswith(("synthetic/", "union/", "universal/"))
            loss = "" if plain else entry.config.loss.lower()
            crop = "" if entry.config.crop is None else "crop"
            parts = (backbone, str(entry.config.size), loss, crop)
            said = name.partition("/")[2].removesuffix("-long")
            assert said == "-".join(part for part in parts if part)

    def test_every_entry_has_its_row_in_the_agenda(self):
        text = (SHIPPED / "AGENDA.md").read_text(encoding="utf-8")
        rows = [re.split(r" *\| *", line) for line in re.findall(r"^\| \d.*", text, re.M)]
        numbers = {row[2].strip("`"): row[1] for row in rows}
        assert list(numbers) == list(ENTRIES)
        assert list(numbers.values()) == [str(n + 1) for n in range(len(ENTRIES))]
        for entry, row in zip(ENTRIES.values(), rows, strict=True):
            assert row[3] == str(entry.config.epochs)
            assert row[4] == numbers.get(entry.start, "")
            told = row[5].partition(" ")[0]
            assert told == ("days" if entry.cpu_minutes is None else str(entry.cpu_minutes))
            assert row[6] == str(entry.gpu_minutes)

    def test_the_agenda_says_what_is_trained(self):
        text = (SHIPPED / "AGENDA.md").read_text(encoding="utf-8")
        for name in ENTRIES:
            (row,) = re.findall(rf"^\| \d+ \| `{name}` .*", text, re.M)
            record = SHIPPED / f"{name}.json"
            if record.is_file():
                stored = read_json(record)["tensors"].removeprefix("torch.")
                assert f"trained, {stored}" in row
            else:
                assert "trained" not in row

    def test_an_unknown_entry(self):
        with pytest.raises(ValueError, match="unknown entry 'nuaa/acm'; choose from nuaa-sirst"):
            find_entry("nuaa/acm")


class TestShipped:
    """What lies under weights/ of this clone."""

    @pytest.fixture(autouse=True)
    def clone(self, monkeypatch):
        monkeypatch.delenv("FESTKIT_WEIGHTS", raising=False)
        assert weights_dir() == SHIPPED

    @pytest.mark.slow
    def test_every_file_is_what_its_record_says(self, tmp_path, request, monkeypatch):
        if not request.config.getoption("--slow"):  # of scenes alone the images can be made anew
            monkeypatch.setattr(verifying, "is_available", lambda *_: False)
        found = list(verify(data_root=tmp_path))
        assert [verdict for verdict in found if verdict.fault] == []
        assert "nuaa-sirst/acm-256-eedm" in [verdict.name for verdict in found]

    def test_they_fit_into_git(self):
        assert sum(path.stat().st_size for path in SHIPPED.rglob("*.safetensors")) < 60e6

    @pytest.mark.slow
    def test_every_card_says_how_its_training_masks_were_made(self):
        cards = {name: read_card(weights_file(name)) for name in trained()}
        assert len(cards) > 20
        told = {name: card["training_masks"] for name, card in cards.items()}
        assert told["nuaa-sirst/acm-256-bce"] == (
            "float linear, above 0.5: half-covered pixels and some targets were lost"
        )
        assert set(told.values()) <= {told["nuaa-sirst/acm-256-bce"], MASK_RULE}

    def test_every_start_is_the_file_here_or_the_run_it_was_made_of(self):
        for name in trained():
            card = read_card(weights_file(name))
            if card["initial_weights"] is None:
                assert card["initial_sha256"] is None
                continue
            start = read_json(record_file(card["initial_weights"]))
            assert card["initial_sha256"] in (start["sha256"][:12], start["run_sha256"][:12])

    def test_records_name_no_place_of_a_machine(self):
        for path in SHIPPED.rglob("*.json"):
            assert not re.search(r"(?<![\w.])/[a-z]|[A-Z]:\\", path.read_text()), path

    def test_the_page_of_results_is_that_of_the_records(self):
        page = (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")
        assert page == results_page(), "write it again: python tools/results_page.py"

    @pytest.mark.parametrize(
        ("readme", "section"), [("README.md", "Results"), ("README.zh-CN.md", "结果")]
    )
    def test_the_readme_quotes_that_page(self, readme, section):
        text = (REPOSITORY / readme).read_text(encoding="utf-8")
        own = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
        quoted = re.findall(r"\d+\.\d\d", own)
        assert len(quoted) >= 4
        assert [each for each in quoted if each not in results_page()] == []

    def test_it_works_out_of_the_box_anywhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        fest = FEST.from_pretrained("acm", "nuaa-sirst")
        image = np.full((64, 64), 60, np.uint8)
        image[30:34, 30:34] = 255
        (target,) = fest.predict(image).targets()
        assert np.hypot(*np.subtract(target.centroid, (31.5, 31.5))) < 3

    @pytest.mark.slow
    @pytest.mark.real
    def test_a_card_is_reproduced_on_its_images(self):
        if not os.environ.get("FESTKIT_DATA"):
            pytest.skip("FESTKIT_DATA is not set")
        (verdict,) = verify(["nuaa-sirst/acm-256-eedm"])
        if "no dataset" in verdict.note:
            pytest.skip(verdict.note)
        assert not verdict.fault
        assert "metrics on NUAA-SIRST differ by 0.0" in verdict.note
