"""Schemes beside each other, on entries by hand."""

import pytest
import torch
from handmade import make_set

from festkit.data.dataset import load_dataset
from festkit.fest import FEST
from festkit.metrics import Counts
from festkit.pretrained import ENTRIES, FAMILIES, Entry, Family, weights_file
from festkit.training.config import TrainConfig
from festkit.weights import save_weights
from festkit.zoo.measure import count_images
from studies import schemes as schemes_compared
from studies.schemes import compare, main


@pytest.fixture
def family(tmp_path, monkeypatch):
    """Two sizes of untrained networks, whose loss is told, on images by hand."""
    monkeypatch.setenv("FESTKIT_DATA", str(tmp_path))
    monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path / "weights"))
    make_set(tmp_path / "hand")
    torch.manual_seed(2)  # untrained networks may raise equal false alarms; these do not
    names = {"hand/acm-32-eedm": (32, "EEDM"), "hand/acm-48-eedm": (48, "EEDM")}
    names["hand/acm-48-bce"] = (48, "BCE")
    for name, (size, loss) in names.items():
        config = TrainConfig("hand", size=size, loss=loss, protocol="last")
        monkeypatch.setitem(ENTRIES, name, Entry(name, config, None, 1, 1))
        network = FEST({size: "ACM"}).backbones[size]
        card = {"backbone": "ACM", "size": size, "train_split": "aa", "mean": 0.4, "std": 0.1}
        save_weights(network, weights_file(name), card)
    scales = ("hand/acm-32-eedm", "hand/acm-48-eedm")
    known = Family("hand/acm", "ACM", "hand", scales, light=scales[1], original="hand/acm-48-bce")
    monkeypatch.setitem(FAMILIES, "hand/acm", known)
    return "hand/acm"


def test_pairs_differ_in_one_thing(family):
    labels = [line.split("|")[1].strip() for line in compare(family).splitlines()[4:]]
    assert labels[:4] == [
        "acm-32-eedm: AS − no AS",
        "acm-48-eedm: AS − no AS",
        "acm-48-bce: AS − no AS",
        "FEST: AS − no AS",
    ]
    assert labels[4:7] == [
        "acm-48-eedm − acm-32-eedm, no AS",
        "acm-48-bce − acm-48-eedm, no AS",
        "FEST − acm-48-eedm, no AS",
    ]
    assert labels[10:] == [
        "LW-FEST − Original, as in the paper",
        "FEST − Original, as in the paper",
    ]


@pytest.mark.slow
def test_the_papers_rows_have_as_and_the_original_has_not(family):
    testset = load_dataset("hand", "test")
    fused, original = (
        FEST.from_weights([weights_file(f"hand/{name}") for name in names])
        for names in (("acm-32-eedm", "acm-48-eedm"), ("acm-48-bce",))
    )
    light = FEST.from_weights([weights_file("hand/acm-48-eedm")])
    base = sum(count_images(original, testset)[0], Counts()).fa
    rows = {r.split("|")[1].strip(): r for r in compare(family).splitlines() if "Original" in r}
    for name, fest in (("LW-FEST", light), ("FEST", fused)):
        gain = f"{1e6 * (fest.evaluate(testset).fa - base):+.2f}"
        told = rows[f"{name} − Original, as in the paper"].split("|")[4].split()[0]
        assert told == gain.replace("-", "−") != "+0.00"


def test_differences_are_those_of_the_totals(family):
    testset = load_dataset("hand", "test")
    fest = FEST.from_weights([weights_file("hand/acm-48-eedm")])
    without, with_as = (sum(counts, Counts()) for counts in count_images(fest, testset))
    (row,) = [r for r in compare(family).splitlines() if r.startswith("| acm-48-eedm: AS")]
    assert row.split("|")[3].split()[0] == f"{100 * (with_as.pd - without.pd):+.2f}".replace(
        "-", "−"
    )


def test_what_cannot_be_compared(family, monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="unknown family 'hand/acn'"):
        main("hand/acn")
    monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path / "empty"))
    with pytest.raises(SystemExit, match="nothing of hand/acm has been trained"):
        main(family)


def test_crops_and_length_count_as_a_difference():
    crop, whole = "nuaa-sirst/mlcl-net-256-eedm-crop", "nuaa-sirst/mlcl-net-256-eedm"
    assert schemes_compared._differ_in_one(crop, whole)
    assert not schemes_compared._differ_in_one(crop, "nuaa-sirst/mlcl-net-384-eedm")
    short, long = "nuaa-sirst/alcnet-512-eedm", "nuaa-sirst/alcnet-512-eedm-long"
    assert schemes_compared._differ_in_one(short, long)
    assert not schemes_compared._differ_in_one("nuaa-sirst/alcnet-512-bce", long)
