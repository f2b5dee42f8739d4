"""The zoo's catalogue, its page of results, and what lies under weights/ of this clone."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from festkit._support.files import read_json, write_json
from festkit.cli.main import main
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
from festkit.zoo.results_page import results_page
from festkit.zoo.verify import verify

REPOSITORY = Path(__file__).parent.parent
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
        assert {entry.config.protocol for entry in ENTRIES.values()} == {"last"}

    def test_names_say_what_they_name(self):
        for name, entry in ENTRIES.items():
            backbone = str(entry.config.backbone).lower()
            plain = name.startswith(("synthetic/", "union/"))
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
        with pytest.raises(ValueError, match="unknown entry 'nuaa/acm'; known are nuaa-sirst/acm"):
            find_entry("nuaa/acm")


def row(iou, pd, th2):
    score = (iou + pd) / 2
    ratios = {"iou": iou, "niou": iou, "pd": pd, "fa": 4e-5, "score": score}
    intervals = {"score": [score - 0.02, score + 0.01]}
    return {"th1": 0.5, "th2": th2, **ratios, "valid": True, "images": 214, "intervals": intervals}


def put_record(folder, name, **more):
    """A record by hand: IoU 70 %, with AS 69 %."""
    entry = {
        "entry": name, "sha256": f"digest of {name}", "trained_on": 213, "train_split": "aa",
        "test_split": "bb", "protocol": "last", "seed": 0, "minutes": None, "device": "cpu",
        "test": [row(0.70, 0.95, None), row(0.69, 0.97, 0.1)],
    }  # fmt: skip
    write_json(folder / f"{name}.json", entry | more)


class TestResults:
    """On the zoo's own catalogue, with records by hand."""

    @pytest.fixture
    def page(self, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path))
        for size in (512, 768):
            put_record(tmp_path, f"nuaa-sirst/acm-{size}-eedm")
        put_record(tmp_path, "nuaa-sirst/acm-512-bce", test=[row(0.5, 0.9, None)] * 2)
        names = ["nuaa-sirst/acm-512-eedm", "nuaa-sirst/acm-768-eedm"]
        scales = {name: f"digest of {name}" for name in names}
        fused = {"entry": "nuaa-sirst/acm", "scales": scales, "dataset": "NUAA-SIRST"}
        fused |= {"command": "measure again", "test_split": "bb"}
        fused |= {"test": [row(0.8, 0.9, None), row(0.79, 0.98, 0.1)]}
        write_json(tmp_path / "nuaa-sirst" / "acm.on-nuaa-sirst.json", fused)
        return tmp_path

    def test_ours_beside_the_papers(self, page):
        lines = results_page().splitlines()
        rows = [line.split(" | ") for line in lines if line.startswith("| ACM |")][:3]
        assert rows[0][1:5] == ["Original", "50.00", "62.24", "−12.24"]
        assert rows[1][1:5] == ["LW-FEST", "69.00", "71.28", "−2.28"]
        assert rows[2][1:5] == ["FEST", "79.00", "73.57", "+5.43"]
        text = "\n".join(lines)
        assert "- ACM, LW-FEST: `nuaa-sirst/acm-512-eedm`, 0.5 / 0.1" in text
        assert "213 training images (split aa), 214 test images (split bb), protocol 'last'" in text
        assert "| MSDA-Net | FEST | not run | 80.51 | – |" in text
        assert "| `union/acm-256` | not run |" in text
        assert "- ACM, FEST: `nuaa-sirst/acm-512-eedm` + `nuaa-sirst/acm-768-eedm`, 0.5" in text
        assert text.index("## NUAA-SIRST") < text.index("## NUDT-SIRST") < text.index("## IRSTD-1K")

    def test_where_the_paper_is_not_reached(self, page):
        text = results_page()
        nuaa, nudt = text.split("## NUDT-SIRST")[0], text.split("## NUDT-SIRST")[1]
        behind = nuaa.partition("Behind the paper are:\n\n")[2].partition("\n\n")[0]
        assert behind.splitlines() == [
            "- ACM, Original: IoU 50.00 against 62.24, Pd 90.00 against 94.30",
            "- ACM, LW-FEST: IoU 69.00 against 71.28, Score 83.00 against 84.12",
            "- ACM, FEST: Fa 40.00 against 34.78",
        ]
        assert "Behind the paper are:\n\n- not run\n" in nudt

    def test_a_void_score_is_behind(self, page):
        void = row(0.72, 0.97, 0.1) | {"fa": 2e-4, "valid": False}
        put_record(page, "nuaa-sirst/acm-512-eedm", test=[row(0.7, 0.95, None), void])
        told = "- ACM, LW-FEST: Fa 200.00 against 42.94, Score void against 84.12"
        assert told in results_page().splitlines()

    def test_what_the_schemes_gain(self, page):
        gains = results_page().partition("in points:\n\n")[2].partition("\n\n")[0]
        assert gains.splitlines() == [
            "- ACM, LW-FEST: IoU +19.00 (paper +9.04), Pd +7.00 (paper +2.66), "
            "Fa +0.00 (paper −68.90), Score +13.00 (paper void)",
            "- ACM, FEST: IoU +29.00 (paper +11.33), Pd +8.00 (paper +3.42), "
            "Fa +0.00 (paper −77.06), Score +18.50 (paper void)",
        ]

    def test_a_network_that_is_not_in_the_papers_table(self, page):
        put_record(page, "nuaa-sirst/alcnet-lc-512-eedm")
        text = results_page()
        assert "| `nuaa-sirst/alcnet-lc-512-eedm` | 0.5 | 70.00 |" in text
        assert "| ALCNet-LC |" not in text

    @pytest.mark.parametrize("name", FAMILIES)
    def test_every_family_has_its_place(self, page, name):
        family = FAMILIES[name]
        for entry in (*family.scales, *filter(None, [family.original])):
            put_record(page, entry)
        images = ENTRIES[family.scales[0]].config.dataset
        scales = {entry: f"digest of {entry}" for entry in family.scales}
        fused = {"entry": name, "scales": scales, "dataset": images, "test_split": "bb"}
        fused |= {"command": "c", "test": [row(0.77, 0.9, None), row(0.7, 0.98, 0.1)]}
        write_json(record_file(name, images), fused)
        text = results_page()
        assert text.count(f"| `{family.light}` | 0.5 |") == 1
        assert text.count(f"| `{name}` | 0.5 | 77.00 |") == (len(family.scales) > 1)

    def test_the_highest_score(self, page):
        """The FEST has 85.00 and 88.50, both sizes 82.50 and 83.00, the Original 70.00."""
        told = "- ACM: `nuaa-sirst/acm` with AS, Score 88.50 [86.50, 89.50]; of 7 others the "
        assert f"{told}intervals of 0 meet its own" in results_page().splitlines()
        put_record(page, "nuaa-sirst/acm-512-bce", test=[row(0.88, 0.91, None), row(0.8, 0.9, 0.1)])
        told = "- ACM: `nuaa-sirst/acm-512-bce` without AS, Score 89.50 [87.50, 90.50]; of 7 others"
        assert f"{told} the intervals of 1 meet its own" in results_page().splitlines()

    @pytest.mark.parametrize(
        ("dataset", "heading"),
        [
            ("NUDT-SIRST", "## On other test images, of sets that share images with those the en"),
            ("SIRST-V2", "## On other test images, of sets that share images with those the en"),
            ("sky", "## On other datasets than the entry's own"),
        ],
    )
    def test_other_datasets(self, page, dataset, heading):
        assert "| not run |" in results_page().partition(heading)[2].splitlines()[4]
        put_record(page, "union/acm-256")
        scales = {"union/acm-256": "digest of union/acm-256"}
        record = {"entry": "union/acm-256", "scales": scales, "dataset": dataset}
        record |= {"command": "c", "test_split": "bb"}
        record |= {"test": [row(0.61, 0.9, None), row(0.6, 0.91, 0.1)]}
        write_json(page / "union" / f"acm-256.on-{dataset.lower()}.json", record)
        rows = results_page().partition(heading)[2].splitlines()[4:6]
        images = f"{dataset} (214)"
        assert rows[0].startswith(f"| `union/acm-256` | {images} | 0.5 | 61.00 | 61.00 | 90.00 |")
        assert rows[1].startswith(f"| `union/acm-256` | {images} | 0.5 / 0.1 | 60.00 |")

    def test_a_fest_of_other_scales(self, page):
        path = page / "nuaa-sirst" / "acm.on-nuaa-sirst.json"
        record = read_json(path)
        del record["scales"]["nuaa-sirst/acm-768-eedm"]
        write_json(path, record)
        with pytest.raises(ValueError, match=r"measured with nuaa-sirst/acm-512-eedm, not with"):
            results_page()

    def test_a_fest_on_other_images_than_its_scales(self, page):
        path = page / "nuaa-sirst" / "acm.on-nuaa-sirst.json"
        write_json(path, read_json(path) | {"test_split": "cc"})
        with pytest.raises(ValueError, match=r"other images of NUAA-SIRST \(split cc\) than nuaa-"):
            results_page()

    def test_a_fest_of_weights_that_are_gone(self, page):
        put_record(page, "nuaa-sirst/acm-512-eedm", sha256="another")
        with pytest.raises(ValueError, match=r"other weights of nuaa-sirst/acm-512.*measure again"):
            results_page()

    def test_a_damaged_record(self, page, tmp_path, capsys):
        put_record(
            page, "nuaa-sirst/acm-512-eedm", test=[row(0.5, 0.9, None) | {"iou": "high"}] * 2
        )
        assert main(["zoo", "results", "--out", str(tmp_path / "page.md")]) == 1
        assert "acm-512-eedm.json is damaged: test, 0, iou is 'high'" in capsys.readouterr().err

    def test_the_command(self, page, tmp_path, capsys):
        assert main(["zoo", "results", "--out", str(tmp_path / "new" / "page.md")]) == 0
        assert (tmp_path / "new" / "page.md").read_text(encoding="utf-8") == results_page()


class TestShipped:
    """What lies under weights/ of this clone."""

    @pytest.fixture(autouse=True)
    def clone(self, monkeypatch):
        monkeypatch.delenv("FESTKIT_WEIGHTS", raising=False)
        assert weights_dir() == SHIPPED

    def test_every_file_is_what_its_record_says(self, tmp_path, request, monkeypatch):
        if not request.config.getoption("--slow"):  # of scenes alone the images can be made anew
            monkeypatch.setattr(verifying, "are_here", lambda *_: False)
        found = list(verify(data_root=tmp_path))
        assert [verdict for verdict in found if verdict.fault] == []
        assert "nuaa-sirst/acm-256-eedm" in [verdict.name for verdict in found]

    def test_they_fit_into_git(self):
        assert sum(path.stat().st_size for path in SHIPPED.rglob("*.safetensors")) < 60e6

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
        assert page == results_page(), "write it anew: festkit zoo results"

    def test_the_readme_quotes_that_page(self):
        """Of each network on NUAA-SIRST: its Original without AS, its LW-FEST and FEST with it."""
        text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
        quoted = [line for line in text.splitlines() if line.startswith("| `nuaa-sirst/")]
        own, _, rest = results_page().partition("## Every entry and FEST")[2].partition("\n## ")
        rows = {tuple(line.split(" | ")[:2]): line for line in own.splitlines() if " | " in line}
        used = [
            rows.get((f"| `{name}`", thresholds))
            for family in FAMILIES.values()
            if family.dataset == "NUAA-SIRST"
            for name, thresholds in (
                (family.original, "0.5"), (family.light, "0.5 / 0.1"), (family.name, "0.5 / 0.1"),
            )
        ]  # fmt: skip
        assert rest
        assert len(quoted) > 5
        assert quoted == [row for row in used if row]

    def test_it_works_out_of_the_box_anywhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        fest = FEST.from_pretrained("acm", "nuaa-sirst")
        image = np.full((64, 64), 60, np.uint8)
        image[30:34, 30:34] = 255
        (target,) = fest.predict(image).targets()
        assert np.hypot(*np.subtract(target.centroid, (31.5, 31.5))) < 3

    @pytest.mark.real
    def test_a_card_is_reproduced_on_its_images(self):
        if not os.environ.get("FESTKIT_DATA"):
            pytest.skip("FESTKIT_DATA is not set")
        (verdict,) = verify(["nuaa-sirst/acm-256-eedm"])
        if "no dataset" in verdict.note:
            pytest.skip(verdict.note)
        assert not verdict.fault
        assert "figures on NUAA-SIRST differ by 0.0" in verdict.note
