"""The page of results, on the zoo's own catalogue with records by hand."""

import pytest

from festkit._support.files import read_json, write_json
from festkit.pretrained import ENTRIES, FAMILIES, record_file
from tools import results_page as script
from tools.results_page import results_page


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


@pytest.fixture
def page(tmp_path, monkeypatch):
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


def test_ours_beside_the_papers(page):
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


def test_where_the_paper_is_not_reached(page):
    text = results_page()
    nuaa, nudt = text.split("## NUDT-SIRST")[0], text.split("## NUDT-SIRST")[1]
    behind = nuaa.partition("Behind the paper are:\n\n")[2].partition("\n\n")[0]
    assert behind.splitlines() == [
        "- ACM, Original: IoU 50.00 against 62.24, Pd 90.00 against 94.30",
        "- ACM, LW-FEST: IoU 69.00 against 71.28, Score 83.00 against 84.12",
        "- ACM, FEST: Fa 40.00 against 34.78",
    ]
    assert "Behind the paper are:\n\n- not run\n" in nudt


def test_a_void_score_is_behind(page):
    void = row(0.72, 0.97, 0.1) | {"fa": 2e-4, "valid": False}
    put_record(page, "nuaa-sirst/acm-512-eedm", test=[row(0.7, 0.95, None), void])
    told = "- ACM, LW-FEST: Fa 200.00 against 42.94, Score void against 84.12"
    assert told in results_page().splitlines()


def test_what_the_schemes_gain(page):
    gains = results_page().partition("in points:\n\n")[2].partition("\n\n")[0]
    assert gains.splitlines() == [
        "- ACM, LW-FEST: IoU +19.00 (paper +9.04), Pd +7.00 (paper +2.66), "
        "Fa +0.00 (paper −68.90), Score +13.00 (paper void)",
        "- ACM, FEST: IoU +29.00 (paper +11.33), Pd +8.00 (paper +3.42), "
        "Fa +0.00 (paper −77.06), Score +18.50 (paper void)",
    ]


def test_a_network_that_is_not_in_the_papers_table(page):
    put_record(page, "nuaa-sirst/alcnet-lc-512-eedm")
    text = results_page()
    assert "| `nuaa-sirst/alcnet-lc-512-eedm` | 0.5 | 70.00 |" in text
    assert "| ALCNet-LC |" not in text


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_its_place(page, name):
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


def test_the_highest_score(page):
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
def test_other_datasets(page, dataset, heading):
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


def test_a_fest_of_other_scales(page):
    path = page / "nuaa-sirst" / "acm.on-nuaa-sirst.json"
    record = read_json(path)
    del record["scales"]["nuaa-sirst/acm-768-eedm"]
    write_json(path, record)
    with pytest.raises(ValueError, match=r"measured with nuaa-sirst/acm-512-eedm, not with"):
        results_page()


def test_a_fest_on_other_images_than_its_scales(page):
    path = page / "nuaa-sirst" / "acm.on-nuaa-sirst.json"
    write_json(path, read_json(path) | {"test_split": "cc"})
    with pytest.raises(ValueError, match=r"other images of NUAA-SIRST \(split cc\) than nuaa-"):
        results_page()


def test_a_fest_of_weights_that_are_gone(page):
    put_record(page, "nuaa-sirst/acm-512-eedm", sha256="another")
    with pytest.raises(ValueError, match=r"other weights of nuaa-sirst/acm-512.*measure again"):
        results_page()


def test_a_damaged_record(page):
    put_record(page, "nuaa-sirst/acm-512-eedm", test=[row(0.5, 0.9, None) | {"iou": "high"}] * 2)
    with pytest.raises(ValueError, match=r"acm-512-eedm\.json is damaged: test, 0, iou is 'hi"):
        results_page()


def test_the_script(page, tmp_path, monkeypatch):
    path = tmp_path / "new" / "page.md"
    monkeypatch.setattr("sys.argv", ["results_page.py", str(path)])
    script.main()
    assert path.read_text(encoding="utf-8") == results_page()
