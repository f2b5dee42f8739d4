"""The zoo on a dataset and entries by hand."""

import hashlib
import re
import shutil
import warnings
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from handmade import make_set, scene
from PIL import Image
from safetensors.torch import load_file

from festkit._support.files import read_json, write_json
from festkit.backbones.acm import ACM
from festkit.cli.main import main
from festkit.data.dataset import load_dataset
from festkit.fest import FEST
from festkit.metrics import INTERVAL_METHOD, Counts, count
from festkit.pretrained import ENTRIES, FAMILIES, Entry, Family
from festkit.training.config import TrainConfig
from festkit.training.run import Run
from festkit.weights import load_weights, read_card, save_weights
from festkit.zoo import measure as measuring
from festkit.zoo import train as storing
from festkit.zoo.listing import listing
from festkit.zoo.measure import evaluate, open_entry
from festkit.zoo.train import store, train_entry
from festkit.zoo.verify import verify

pytestmark = pytest.mark.slow  # trains, measures or draws

SMALL, LARGE = "hand/acm-32-eedm", "hand/acm-48-eedm"


def by_hand(name, size, epochs=16, **options):
    start = SMALL if size > 32 else None
    options |= {"protocol": "last", "precision": "fp32", "epochs": epochs, "batch_size": 3}
    config = TrainConfig("hand", size=size, **options)
    return Entry(name, config, start, cpu_minutes=7, gpu_minutes=2)


@pytest.fixture(scope="module")
def catalogue():
    """Three entries and a family in place of the zoo's own."""
    kept = dict(ENTRIES), dict(FAMILIES)
    bce = by_hand("hand/acm-32-bce", 32, epochs=1, loss="BCE")
    entries = [by_hand(SMALL, 32), by_hand(LARGE, 48), bce]
    family = Family("hand/acm", "ACM", "hand", (SMALL, LARGE), LARGE, "hand/acm-32-bce")
    for known, ours in ((ENTRIES, entries), (FAMILIES, [family])):
        known.clear()
        known.update({each.name: each for each in ours})
    yield
    for known, before in zip((ENTRIES, FAMILIES), kept, strict=True):
        known.clear()
        known.update(before)


@pytest.fixture(scope="module")
def made(catalogue, tmp_path_factory):
    """Both scales trained, stored, and measured as a FEST: the folder of everything."""
    top = tmp_path_factory.mktemp("zoo")
    make_set(top / "data" / "hand")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FESTKIT_WEIGHTS", str(top / "weights"))
        for name in (SMALL, LARGE):
            out = top / name.rpartition("/")[2]
            assert train_entry(name, out=out, data_root=top / "data", device="cpu")
        evaluate("hand/acm", write=True, data_root=top / "data", device="cpu")
    return top


@pytest.fixture
def zoo_dir(made, tmp_path, monkeypatch):
    """A copy of the zoo_dir that a test may damage."""
    shutil.copytree(made / "weights", tmp_path / "weights")
    monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("FESTKIT_DATA", str(made / "data"))
    return tmp_path / "weights"


@pytest.fixture
def copied(made, tmp_path):
    """A run that a test may damage."""
    return Run(shutil.copytree(made / "acm-32-eedm", tmp_path / "run"))


class TestTraining:
    def test_it_stores_only_what_has_finished(self, made, catalogue, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path / "w"))
        options = {"out": tmp_path / "run", "data_root": made / "data", "device": "cpu"}
        assert train_entry("HAND/acm 32 BCE", max_minutes=0, **options) is None
        assert not (tmp_path / "w").exists()
        path = train_entry("hand/acm-32-bce", **options)
        assert path == tmp_path / "w" / "hand" / "acm-32-bce.safetensors"
        card = read_card(path)
        assert (card["loss"], card["initial_weights"]) == ("BCE", None)
        counted = Run(tmp_path / "run").minutes
        assert 0 < counted < 5
        assert card["minutes"] == round(counted, 1)
        assert card["command"] == "festkit zoo train hand/acm-32-bce"

    def test_a_start_must_be_there(self, catalogue, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=rf"{SMALL} has no weights.*zoo train {SMALL}"):
            train_entry(LARGE, out=tmp_path / "run")

    @pytest.mark.parametrize("minutes", [-1, float("nan")])
    def test_minutes_that_are_none(self, made, zoo_dir, minutes):
        with pytest.raises(
            ValueError, match=f"minutes is {minutes}, expected a number of at least 0"
        ):
            store(SMALL, Run(made / "acm-32-eedm"), minutes=minutes)

    def test_minutes_of_a_run_of_an_older_version_are_unknown(self, copied, zoo_dir, made):
        assert copied.minutes > 0
        (copied.folder / "minutes.json").unlink()
        stored = store(SMALL, copied, data_root=made / "data", device="cpu")
        assert read_card(stored)["minutes"] is None

    def test_nothing_is_written_into_the_folder_of_another_run(self, made, zoo_dir, tmp_path):
        folder = Path(shutil.copytree(made / "acm-48-eedm", tmp_path / "run"))
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(FileExistsError, match="already holds another run"):
            train_entry(SMALL, out=folder, device="cpu")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    def test_it_continues_from_the_weights_on_the_shelf(self, made):
        card = read_card(made / "weights" / f"{LARGE}.safetensors")
        assert card["initial_weights"] == SMALL
        start = (made / "weights" / f"{SMALL}.safetensors").read_bytes()
        assert card["initial_sha256"] == hashlib.sha256(start).hexdigest()[:12]

    def test_scenes_of_its_own_are_made_beside_the_run(self, catalogue, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path / "w"))
        config = TrainConfig("made", size=32, protocol="last", epochs=1, batch_size=2)
        scenes = {"train": 2, "test": 2, "size": 32, "preset": "easy", "seed": 0}
        monkeypatch.setitem(
            ENTRIES, "made/acm-32", Entry("made/acm-32", config, None, None, 1, scenes)
        )
        path = train_entry("made/acm-32", out=tmp_path / "runs" / "a", device="cpu")
        assert (tmp_path / "runs" / "made" / "scenes.json").is_file()
        card = read_card(path)
        assert card["dataset"] == "made"
        # measured and verified on the same scenes, made again
        record = evaluate("made/acm-32", data_root=tmp_path / "none", device="cpu")
        assert record["test_split"] == card["test_split"]
        assert measuring.largest_move(record["test"], card["test"]) == 0
        (verdict,) = verify(["made/acm-32"], data_root=tmp_path / "none")
        assert not verdict.fault
        assert verdict.note == "loads; metrics on made differ by 0.000 points"

    def test_a_union_with_scenes_at_scale_factors(self, made, catalogue, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path / "w"))
        options = {"size": 32, "scales": (1.0, 1.5), "epochs": 1, "batch_size": 2}
        thresholds = {"th1": 0.4, "th2": 0.2, "rule": "fused"}
        scenes = {"train": 2, "test": 2, "size": 32, "preset": "easy", "seed": 0}
        entry = Entry(
            "made/acm-32",
            TrainConfig("hand+made", protocol="holdout", **options),
            None, None, 1, scenes, thresholds,
        )  # fmt: skip
        monkeypatch.setitem(ENTRIES, "made/acm-32", entry)
        out, here = tmp_path / "runs" / "a", made / "data"
        card = read_card(train_entry("made/acm-32", out=out, data_root=here, device="cpu"))
        assert {name: card[name] for name in thresholds} == thresholds
        assert (card["dataset"], card["scales"], card["size"]) == ("hand+made", [1.0, 1.5], 32)
        assert card["test"][0]["evaluation"].startswith("size original, image linear, 8 bit, tiles")
        fest = open_entry("made/acm-32", "cpu")[1]
        assert (fest.th1, fest.th2, fest.rule, list(fest.backbones)) == (
            0.4, 0.2, "fused", [1.0, 1.5],
        )  # fmt: skip
        assert card["test"][1]["images"] == 5
        assert "--dataset hand+made " in card["run_command"]  # no folder of this machine
        (verdict,) = verify(["made/acm-32"], data_root=here)
        assert not verdict.fault
        assert verdict.note == "loads; metrics on hand+made differ by 0.000 points"


class TestStoring:
    def test_the_figures_are_those_of_the_stored_weights(self, made):
        network = load_weights(made / "weights" / f"{SMALL}.safetensors")
        record = read_json(made / "weights" / f"{SMALL}.json")
        fest = FEST({32: network}, mean=record["mean"], std=record["std"])
        for th2, row in zip((None, 0.1), record["test"], strict=True):
            fest.th2, total = th2, Counts()
            for number in range(3):
                image, mask = scene(100 + number)
                total += count(fest.predict(image).mask, mask)
            assert {name: row[name] for name in total.record()} == total.record()
            assert (row["th1"], row["th2"]) == (0.5, th2)
            assert row["intervals"].keys() >= {"iou", "pd", "fa", "score"}
            assert row["intervals"]["method"] == INTERVAL_METHOD

    def test_the_record_is_the_card_and_the_checksum(self, made):
        path = made / "weights" / f"{SMALL}.safetensors"
        record = read_json(path.with_suffix(".json"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert record == read_card(path) | {"sha256": digest}
        assert record["test_split"] == load_dataset(made / "data" / "hand", "test").fingerprint
        assert (record["seed"], record["entry"], record["th1"]) == (0, SMALL, 0.5)
        assert str(made) not in path.with_suffix(".json").read_text()

    def test_the_networks_see_something(self, made):
        for name in (SMALL, LARGE):
            for row in read_json(made / "weights" / f"{name}.json")["test"]:
                assert row["predicted"] > 0
                assert row["intersection"] > 0

    def test_the_card_keeps_the_runs_own_command_and_checksum(self, made):
        card = read_card(made / "weights" / f"{LARGE}.safetensors")
        assert card["command"] == f"festkit zoo train {LARGE}"
        assert card["run_command"] == (
            "festkit train --dataset hand --size 48 --epochs 16 --batch-size 3 --protocol last "
            "--initial-weights acm-32-eedm.safetensors --precision fp32"
        )
        weights = (made / "acm-48-eedm" / "weights.safetensors").read_bytes()
        assert card["run_sha256"] == hashlib.sha256(weights).hexdigest()

    @pytest.mark.parametrize("kept", ["sha256", "run_sha256"])
    def test_a_start_is_the_stored_file_or_the_run_it_was_made_of(
        self, made, zoo_dir, tmp_path, kept
    ):
        run = Run(shutil.copytree(made / "acm-48-eedm", tmp_path / "run"))
        record = read_json(zoo_dir / f"{SMALL}.json")
        config = read_json(run.folder / "config.json")
        start = f"sha256 {record[kept][:12]}"
        write_json(run.folder / "config.json", config | {"initial_weights": start})
        assert read_card(store(LARGE, run, device="cpu"))["initial_sha256"] == record[kept][:12]

    def test_an_arbitrary_start(self, made, zoo_dir, tmp_path):
        run = Run(shutil.copytree(made / "acm-48-eedm", tmp_path / "run"))
        config = read_json(run.folder / "config.json")
        other = config | {"initial_weights": "sha256 0123456789ab"}
        write_json(run.folder / "config.json", other)
        record = read_json(zoo_dir / f"{SMALL}.json")
        known = f"{record['sha256'][:12]} or {record['run_sha256'][:12]}"
        with pytest.raises(ValueError, match=f"weights 0123456789ab, not from .*{SMALL}, {known}"):
            store(LARGE, run)
        (zoo_dir / f"{SMALL}.json").unlink()
        with pytest.raises(ValueError, match="which are not stored; store them first"):
            store(LARGE, run)
        write_json(run.folder / "record.json", Run(made / "acm-32-eedm").record)
        with pytest.raises(ValueError, match="weights 0123456789ab, not from the prior"):
            store(SMALL, run)

    @pytest.mark.parametrize(
        ("move", "stored"),
        [
            ({"fa": 0.04e-6}, torch.float16),
            ({"fa": 0.06e-6}, torch.float32),
            ({"niou": 0.0004}, torch.float16),
            ({"niou": 0.0006}, torch.float32),
        ],
    )
    def test_it_rounds_where_no_figure_moves(self, zoo_dir, made, monkeypatch, move, stored):
        row = measuring.measure(
            FEST.from_weights([zoo_dir / f"{SMALL}.safetensors"]),
            load_dataset(made / "data" / "hand", "test"),
        )[1]
        moved = row | {name: row[name] + far for name, far in move.items()}
        rows = iter([[row, row], [row, moved]])

        def measure(fest, testset):
            return next(rows)

        monkeypatch.setattr(storing, "measure", measure)
        path = store(SMALL, Run(made / "acm-32-eedm"), device="cpu")
        exact = load_file(made / "acm-32-eedm" / "weights.safetensors")
        for name, tensor in load_file(path).items():
            expected = stored if exact[name].is_floating_point() else exact[name].dtype
            assert torch.equal(tensor, exact[name].to(expected))
        assert read_card(path)["tensors"] == str(stored)

    def test_numbers_too_large_for_16_bit_stay_as_they_are(self, zoo_dir, copied):
        network = load_weights(copied.weights)
        name = next(name for name in network.state_dict() if name.endswith("running_var"))
        network.state_dict()[name].fill_(1e6)
        save_weights(network, copied.weights, read_card(copied.weights))
        path = store(SMALL, copied, minutes=2.04, device="cpu")
        assert load_file(path)[name].max() == 1e6
        assert read_card(path)["minutes"] == 2.0

    @pytest.mark.parametrize(
        ("name", "change", "message"),
        [
            (SMALL, {"epochs": 2}, "is not a run of hand/acm-32-eedm: epochs is 2, not 1"),
            (LARGE, {"size": 48}, "it started from the prior, not from hand/acm-32-eedm"),
            (SMALL, {"test_split": "ba98"}, r"test images of hand here .* not those of .*\(ba98\)"),
            (SMALL, {"train_split": "76"}, r"train images of hand here .* not those of .*\(76\)"),
            (SMALL, {"precision": "bf16"}, "precision is 'bf16', not 'fp32'"),
        ],
    )
    def test_a_run_of_something_else(self, zoo_dir, copied, name, change, message):
        write_json(copied.folder / "record.json", copied.record | change)
        with pytest.raises(ValueError, match=message):
            store(name, copied)

    def test_where_an_entry_leaves_the_precision_any_will_do(self, made):
        record = read_json(made / "weights" / f"{SMALL}.json") | {"precision": "bf16"}
        left = replace(ENTRIES[SMALL], config=replace(ENTRIES[SMALL].config, precision="auto"))
        assert storing.differences(left, record) == []
        assert storing.differences(ENTRIES[SMALL], record) != []

    def test_a_record_from_before_an_option_came_means_its_default(self, made):
        record = read_json(made / "weights" / f"{SMALL}.json")
        assert record.pop("natural_epochs") == 0
        assert storing.differences(ENTRIES[SMALL], record) == []
        crop = replace(ENTRIES[SMALL].config, crop=32, natural_epochs=2)
        assert storing.differences(replace(ENTRIES[SMALL], config=crop), record) == [
            "crop is None, not 32", "natural_epochs is 0, not 2",
        ]  # fmt: skip

    def test_killed_between_its_two_files_it_leaves_no_old_figures(
        self, made, zoo_dir, monkeypatch
    ):
        def killed(path, value):
            raise KeyboardInterrupt

        monkeypatch.setattr(storing, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            store(SMALL, Run(made / "acm-32-eedm"), device="cpu")
        assert (zoo_dir / f"{SMALL}.safetensors").is_file()
        assert verdicts(names=[SMALL])[SMALL].fault == "weights without a record"

    def test_an_unfinished_run(self, zoo_dir, tmp_path):
        with pytest.raises(FileNotFoundError, match="holds no finished run; finish the training"):
            store(SMALL, Run(tmp_path / "run"))


class TestPretrained:
    def test_both_sizes_in_order(self, made, zoo_dir):
        fest = FEST.from_pretrained("acm", "HAND")
        assert list(fest.backbones) == [32, 48]
        mean, std = load_dataset(made / "data" / "hand", "train").statistics()
        assert (fest.mean, fest.std, fest.th1, fest.th2) == (mean, std, 0.5, 0.1)
        image, _ = scene(100)
        assert fest.predict(image).mask.shape == image.shape

    @pytest.mark.parametrize("gone", [SMALL, LARGE])
    def test_it_is_whole_or_refused(self, zoo_dir, gone):
        (zoo_dir / f"{gone}.safetensors").unlink()
        with pytest.raises(FileNotFoundError, match=f"{gone} has no weights.*zoo train {gone}"):
            FEST.from_pretrained("ACM", "hand")

    def test_the_thresholds_are_the_cards(self, zoo_dir):
        path = zoo_dir / f"{SMALL}.safetensors"
        card = read_card(path) | {"th1": 0.6, "th2": 0.2}
        save_weights(load_weights(path), path, card)
        fest = FEST.from_weights([path])
        assert (fest.th1, fest.th2) == (0.6, 0.2)

    def test_none_is_there(self, catalogue, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=r"Available: no entry\. To train it"):
            FEST.from_pretrained("ACM", "hand")

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("ACMM", "hand"), "unknown backbone 'ACMM'; .* Did you mean 'ACM'"),
            (("ALCNet-LC", "hand"), "the zoo has no entry of ALCNet-LC; it has those of ACM"),
            (("ACM", "handy"), "unknown dataset of the zoo's ACM 'handy'; choose from hand"),
        ],
    )
    def test_an_unknown_name(self, zoo_dir, names, message):
        with pytest.raises(ValueError, match=message):
            FEST.from_pretrained(*names)

    def test_files_that_are_no_scales(self, made, zoo_dir, tmp_path):
        with pytest.raises(ValueError, match="at least one finished run or weights file"):
            FEST.from_weights([])
        path = zoo_dir / f"{SMALL}.safetensors"
        with pytest.raises(ValueError, match=r"2 runs for the sizes \[32\]; pass one per size"):
            FEST.from_weights([path, path])
        bare = save_weights(load_weights(path), tmp_path / "bare", {"backbone": "ACM", "size": 32})
        with pytest.raises(ValueError, match=r"card of .*bare lacks train_split, mean, std"):
            FEST.from_weights([bare])
        whole = FEST.from_weights([path]).save(tmp_path / "whole.safetensors")
        with pytest.raises(ValueError, match=r"holds a whole FEST.*read it with FEST\.load"):
            FEST.from_weights([whole])

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"mean": "a"}, "mean is 'a', expected"),
            ({"std": True}, "std is True, expected"),
            ({"size": [1]}, r"size is \[1\], expected"),
            ({"train_split": [1]}, r"train_split is \[1\], expected"),
            ({"th1": "x"}, "th1 is 'x', expected"),
            ({"th1": None}, "th1 is None, expected"),
            ({"th2": []}, r"th2 is \[\], expected"),
            ({"mean": 40}, "mean is 40, expected a gray value"),
        ],
    )
    def test_a_card_of_wrong_kinds(self, zoo_dir, wrong, message):
        path = zoo_dir / f"{SMALL}.safetensors"
        save_weights(load_weights(path), path, read_card(path) | wrong)
        with pytest.raises(ValueError, match=message):
            FEST.from_weights([path])


class TestMeasuring:
    def test_a_fest_of_all_scales(self, made, zoo_dir):
        record = read_json(zoo_dir / "hand" / "acm.on-hand.json")
        fest, total = FEST.from_pretrained("ACM", "hand"), Counts()
        for number in range(3):
            image, mask = scene(100 + number)
            total += count(fest.predict(image).mask, mask)
        assert {name: record["test"][1][name] for name in total.record()} == total.record()
        for name in (SMALL, LARGE):
            assert record["test"][1] != read_json(zoo_dir / f"{name}.json")["test"][1]
        for name, digest in record["scales"].items():
            content = (zoo_dir / f"{name}.safetensors").read_bytes()
            assert digest == hashlib.sha256(content).hexdigest()

    def test_a_fest_needs_all_its_scales(self, zoo_dir):
        (zoo_dir / f"{LARGE}.safetensors").unlink()
        with pytest.raises(FileNotFoundError, match=rf"{LARGE} has no weights.*{SMALL}\."):
            evaluate("hand/acm")

    def test_a_folder(self, zoo_dir, tmp_path, monkeypatch):
        folder = make_set(tmp_path / "own sky", test=2)
        record = evaluate(SMALL, folder, device="cpu")
        assert (record["dataset"], record["test"][0]["images"]) == ("own sky", 2)
        assert record["command"] == f"festkit zoo evaluate {SMALL} --dataset '{folder}'"
        monkeypatch.chdir(folder)
        record = evaluate(SMALL, ".", device="cpu")
        assert record["dataset"] == "own sky"
        assert record["command"] == f"festkit zoo evaluate {SMALL} --dataset ."

    def test_records_are_kept_of_known_datasets_only(self, zoo_dir, tmp_path):
        for name in ("sky", "hand"):  # a folder may bear a known name
            folder = make_set(tmp_path / name, test=2)
            with pytest.raises(ValueError, match=rf"{name} is not a public dataset.*--write"):
                evaluate(SMALL, folder, write=True)
        make_set(tmp_path / "NUAA-SIRST", test=2)
        for name in ("NUAA-SIRST", "sirst"):
            record = evaluate(SMALL, name, write=True, data_root=tmp_path, device="cpu")
            assert record["command"].endswith("--dataset NUAA-SIRST --write")
        kept = read_json(zoo_dir / "hand" / "acm-32-eedm.on-nuaa-sirst.json")
        assert kept["test_split"] == record["test_split"]
        assert measuring.largest_move(kept["test"], record["test"]) == 0

    def test_what_the_card_says_is_not_kept_twice(self, zoo_dir):
        with pytest.raises(
            ValueError, match=rf"the card of {SMALL} already has the metrics of {SMALL} on"
        ):
            evaluate(SMALL, "HAND", write=True, device="cpu")
        assert not (zoo_dir / "hand" / "acm-32-eedm.on-hand.json").exists()

    def test_other_test_images_than_the_cards(self, zoo_dir, tmp_path):
        make_set(tmp_path / "hand", test=2)
        told = r"test images of hand here \(split \w+\) differ from the card's \(split \w+\)"
        with pytest.warns(UserWarning, match=rf"{told}.* may have been trained on some of them"):
            evaluate(SMALL, "hand", data_root=tmp_path, device="cpu")
        record = (zoo_dir / "hand" / "acm.on-hand.json").read_text()
        with pytest.raises(ValueError, match=told):
            evaluate("hand/acm", "hand", write=True, data_root=tmp_path, device="cpu")
        assert (zoo_dir / "hand" / "acm.on-hand.json").read_text() == record

    def test_a_warning_of_images_that_may_have_been_trained_on(self, made, zoo_dir, tmp_path):
        shutil.copytree(made / "data" / "hand", tmp_path / "SIRST-V2")
        shutil.copytree(made / "data" / "hand", tmp_path / "NUAA-SIRST")
        path = zoo_dir / f"{SMALL}.safetensors"
        split = load_dataset("NUAA-SIRST", "test", root=tmp_path).fingerprint
        card = read_card(path) | {"dataset": "NUAA-SIRST", "test_split": split}
        save_weights(load_weights(path), path, card)
        (zoo_dir / f"{SMALL}.json").unlink(missing_ok=True)  # the record of other weights
        with pytest.warns(UserWarning, match="SIRST-V2 contains images of NUAA-SIRST: it may have"):
            evaluate(SMALL, "SIRST-V2", data_root=tmp_path, device="cpu")
        with pytest.warns(UserWarning, match="SIRST-V2 contains images of NUAA-SIRST: it may have"):
            evaluate(SMALL, "NUAA-SIRST+SIRST-V2", data_root=tmp_path, device="cpu")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            evaluate(SMALL, "NUAA-SIRST", data_root=tmp_path, device="cpu")

    def test_the_largest_move_is_in_points(self):
        ratios = {"iou": 0.7, "niou": 0.6, "niou_nonempty": 0.6, "precision": 0.8, "recall": 0.8}
        ratios |= {"f1": 0.8, "pd": 0.9, "fa": 4e-5, "score": 0.8}
        row = ratios | {"intervals": {name: [0.5, 0.9] for name in ratios}}

        def moved(**changed):
            return measuring.largest_move([row, row], [row, row | changed])

        assert moved() == 0
        assert moved(iou=0.71) == pytest.approx(1)
        assert moved(niou=0.62) == pytest.approx(2)
        assert moved(fa=4.2e-5) == pytest.approx(2)
        assert moved(score=0.8005) == pytest.approx(0.05)
        assert moved(intervals=row["intervals"] | {"pd": [0.5, 0.93]}) == pytest.approx(3)
        assert moved(intervals=row["intervals"] | {"pd": None}) == float("inf")
        assert moved(pd=None) == moved(pd=float("nan")) == float("inf")
        other = {name: [0.1, 0.2] for name in ratios} | {"method": "another"}
        assert moved(intervals=other) == 0
        assert moved(intervals=None) == float("inf")
        assert moved(intervals=other, iou=0.71) == pytest.approx(1)


def verdicts(**options):
    return {verdict.name: verdict for verdict in verify(**options)}


def fault_with(zoo_dir, change):
    """What verify says of a card, and the record of it, that say something else."""
    path = zoo_dir / f"{SMALL}.safetensors"
    card = read_card(path)
    change(card)
    save_weights(load_weights(path), path, card)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write_json(path.with_suffix(".json"), read_card(path) | {"sha256": digest})
    return verdicts(names=[SMALL])[SMALL].fault


class TestVerifying:
    def test_all_is_well(self, zoo_dir):
        found = verdicts()
        assert list(found) == [SMALL, LARGE, "hand/acm.on-hand"]
        for verdict in found.values():
            assert not verdict.fault
            assert verdict.note == "loads; metrics on hand differ by 0.000 points"

    def test_every_bar_says_what_is_measured_and_how_many_are_left(self, zoo_dir, monkeypatch):
        labels = []

        def spy(items, label, *, unit):
            labels.append(label)
            return items

        monkeypatch.setattr(measuring, "progress", spy)
        verdicts()
        assert labels == [
            f"1/3 {SMALL} on hand", f"2/3 {LARGE} on hand", "3/3 hand/acm on hand",
        ]  # fmt: skip

    def test_without_the_dataset(self, zoo_dir, tmp_path):
        found = verdicts(names=["hand/ACM-32-EEDM"], data_root=tmp_path)
        assert [v.note for v in found.values()] == ["loads; metrics not checked: no dataset"]

    def test_other_images_under_the_name(self, zoo_dir, tmp_path):
        make_set(tmp_path / "hand", test=2)
        found = verdicts(names=[SMALL], data_root=tmp_path)
        assert "other images of hand" in found[SMALL].note

    def test_the_same_images_in_other_files(self, made, zoo_dir, tmp_path):
        folder = shutil.copytree(made / "data" / "hand", tmp_path / "hand")
        for file in folder.rglob("*.png"):
            with Image.open(file) as image:
                image.load()
            image.save(file, compress_level=0)
        (verdict,) = verdicts(names=[SMALL], data_root=tmp_path).values()
        assert verdict.note == (
            "loads; metrics on hand, whose files are not the card's, differ by 0.000 points"
        )

    def test_a_changed_byte(self, zoo_dir):
        path = zoo_dir / f"{SMALL}.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        found = verdicts()
        assert found[SMALL].fault.startswith("sha256 is ")
        assert not found[LARGE].fault
        assert found["hand/acm.on-hand"].fault == (
            f"measured with other weights of {SMALL}; "
            "to repeat: festkit zoo evaluate hand/acm --dataset hand --write"
        )

    def test_a_damaged_dataset_is_not_taken_for_none(self, zoo_dir, made, tmp_path):
        root = Path(shutil.copytree(made / "data", tmp_path / "data"))
        (root / "hand" / "masks" / "e1.png").unlink()
        found = verdicts(names=[SMALL], data_root=root)
        assert "e1.png has no mask" in found[SMALL].fault

    @pytest.mark.parametrize("name", ["pd", "niou"])
    def test_a_ratio_that_does_not_follow_from_its_counts(self, zoo_dir, name):
        def flatter(card):
            card["test"][1][name] += 0.001

        assert fault_with(zoo_dir, flatter) == f"{name} do not follow from the counts"

    def test_a_card_that_flatters(self, zoo_dir):
        def flatter(card):
            row = card["test"][1]
            row["predicted"] -= 1  # one pixel less, and everything that follows from it
            own = {field.name: row[field.name] for field in fields(Counts)}
            row.update(Counts(**own).record())

        assert re.match(r"a metric differs from the card by \d", fault_with(zoo_dir, flatter))

    def test_a_flattering_interval(self, zoo_dir):
        def flatter(card):
            low, high = card["test"][1]["intervals"]["iou"]
            card["test"][1]["intervals"]["iou"] = [low + 0.002, high]

        fault = fault_with(zoo_dir, flatter)
        assert fault == "a metric differs from the card by 0.200 points"

    def test_intervals_of_an_older_method_are_not_compared(self, zoo_dir):
        def older(card):
            for row in card["test"]:
                row["intervals"].pop("method", None)
                row["intervals"]["iou"] = [0.1, 0.2]

        assert not fault_with(zoo_dir, older)

        def flatter(card):
            older(card)
            row = card["test"][1]
            row["predicted"] -= 1
            own = {field.name: row[field.name] for field in fields(Counts)}
            row.update(Counts(**own).record())

        assert re.match(r"a metric differs from the card by \d", fault_with(zoo_dir, flatter))

    def test_more_images_than_there_are(self, zoo_dir):
        def flatter(card):
            row = card["test"][0]
            row["pixels"] *= 2
            own = {field.name: row[field.name] for field in fields(Counts)}
            row.update(Counts(**own).record())

        assert fault_with(zoo_dir, flatter) == "pixels is 9216, not 18432"

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"epochs": 300}, "the record does not match hand/acm-32-eedm: epochs is 300, not 16"),
            ({"seed": 7}, "seed is 7, not 0"),
            ({"entry": LARGE}, f"entry is '{LARGE}', not '{SMALL}'"),
            ({"initial_weights": LARGE}, f"initial_weights is '{LARGE}', not None"),
        ],
    )
    def test_a_record_of_something_else(self, zoo_dir, changed, message):
        assert message in fault_with(zoo_dir, lambda card: card.update(changed))

    def test_the_files_of_another_entry(self, zoo_dir):
        for ending in (".json", ".safetensors"):
            shutil.copy(zoo_dir / f"{SMALL}{ending}", zoo_dir / "hand" / f"acm-32-bce{ending}")
        fault = verdicts(names=["hand/acm-32-bce"])["hand/acm-32-bce"].fault
        assert "the record does not match hand/acm-32-bce: loss is 'EEDM', not 'BCE'" in fault

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('{"a"', "is not readable JSON"),
            ("[]", "is damaged: the whole is \\[\\], expected dict; restore the file"),
            ("{}", "is damaged: entry is missing, expected str; restore the file"),
            ('{"entry": 3}', "is damaged: entry is 3, expected str; restore the file"),
        ],
    )
    def test_a_damaged_record_is_one_fault_among_the_others(self, zoo_dir, text, message):
        (zoo_dir / f"{SMALL}.json").write_text(text)
        (zoo_dir / "hand" / "acm.on-hand.json").write_text(text)
        found = verdicts()
        assert re.search(message, found[SMALL].fault)
        assert not found[LARGE].fault
        assert re.search(message, found["hand/acm.on-hand"].fault)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"test": []}, "has 0 rows of metrics, expected one without"),
            ({"test": [{}, {}]}, "is damaged: test, 0, th1 is missing, expected "),
            ({"test": None}, "is damaged: test is None, expected list"),
            ({"scales": None}, "is damaged: scales is None, expected dict"),
            ({"scales": {}}, "measured with no scale, not with hand/acm-32-eedm"),
            (
                {"scales": {LARGE: "a"}},
                f"measured with {LARGE}, not with {SMALL} . {LARGE}; to repeat",
            ),
            ({"dataset": "sky"}, "it is a record of hand/acm on sky"),
            ({"entry": LARGE}, f"it is a record of {LARGE} on hand"),
        ],
    )
    def test_a_damaged_measurement(self, zoo_dir, changed, message):
        path = zoo_dir / "hand" / "acm.on-hand.json"
        write_json(path, read_json(path) | changed)
        assert re.search(message, verdicts(names=["hand/acm"])["hand/acm.on-hand"].fault)

    def test_a_record_that_is_not_the_card(self, zoo_dir):
        path = zoo_dir / f"{SMALL}.json"
        write_json(path, read_json(path) | {"minutes": 1.0})
        fault = verdicts(names=[SMALL])[SMALL].fault
        assert fault == "the card in the file differs from the record next to it"

    def test_files_that_are_gone(self, zoo_dir):
        (zoo_dir / f"{SMALL}.json").unlink()
        (zoo_dir / f"{LARGE}.safetensors").unlink()
        found = verdicts()
        assert found[SMALL].fault == "weights without a record"
        assert found[LARGE].note.startswith("card only, ")
        assert found["hand/acm.on-hand"].note == f"not checked: no weights of {LARGE} here"

    def test_files_of_no_entry(self, zoo_dir):
        for name in ("acm-999-eedm.safetensors", "acm-999-eedm.json", "acn.on-hand.json"):
            (zoo_dir / "hand" / name).write_text("{")
        (zoo_dir / "AGENDA.md").write_text("text")
        faults = {name for name, verdict in verdicts().items() if verdict.fault}
        assert faults == {
            f"hand/{name}"
            for name in ("acm-999-eedm.safetensors", "acm-999-eedm.json", "acn.on-hand.json")
        }
        assert list(verdicts(names=[SMALL])) == [SMALL]

    def test_files_of_no_entry_alone(self, catalogue, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path))
        (tmp_path / "acm.safetensors").touch()
        assert verdicts()["acm.safetensors"].fault.startswith("of no entry or FEST")

    def test_nothing_there(self, catalogue, tmp_path, monkeypatch):
        monkeypatch.setenv("FESTKIT_WEIGHTS", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=r"no files to verify in .*; train an entry"):
            verdicts()


class TestListing:
    def test_a_line_each(self, zoo_dir):
        (zoo_dir / f"{LARGE}.safetensors").unlink()
        record = read_json(zoo_dir / f"{SMALL}.json")
        write_json(zoo_dir / f"{SMALL}.json", record | {"minutes": 12.3})
        rows = [line.split() for line in listing().splitlines()]
        small, large, bce, fest = rows[1:]
        figures, fused = (
            record["test"][1],
            read_json(zoo_dir / "hand/acm.on-hand.json")["test"][1],
        )
        assert small[:3] == [SMALL, "hand/acm", "trained"]
        assert small[3:5] == [f"{100 * figures['iou']:.2f}", f"{100 * figures['pd']:.2f}"]
        assert small[-2:] == ["12", "cpu"]
        assert fest[7:9] == ["trained", f"{100 * fused['iou']:.2f}"]
        assert large[2:4] == ["not", "here"]
        assert bce[2:] == ["not", "trained", *"–––––", "~7", "cpu,", "~2", "H100"]
        assert fest[:7] == ["hand/acm", "32-eedm", "+", "48-eedm", "1", "of", "2"]

    def test_bce_is_told_without_sensitivity(self, zoo_dir):
        record = read_json(zoo_dir / f"{SMALL}.json")
        record["test"][0]["pd"] = 0.123
        write_json(zoo_dir / "hand" / "acm-32-bce.json", record)
        assert listing().splitlines()[3].split()[5] == "12.30"

    def test_a_damaged_record(self, zoo_dir, capsys):
        path = zoo_dir / f"{SMALL}.json"
        row = read_json(path)["test"][1]
        broken = [{**row, "iou": "high"}, {**row, "valid": None}]
        for changed, told in (
            ({"test": []}, "has 0 rows of metrics"),
            ({"test": broken}, "test, 0, iou is 'high', expected int | float | None"),
            ({"test": broken[1:]}, "test, 0, valid is None, expected bool"),
            ({"minutes": "9"}, "minutes is '9', expected int | float | None"),
        ):
            write_json(path, read_json(path) | changed)
            assert main(["zoo", "list"]) == 1
            said = capsys.readouterr().err
            assert said.startswith(f"festkit zoo list: {path} ")
            assert told in said
            write_json(path, read_json(path) | {"test": [row, row], "minutes": 9})

    def test_figures_of_weights_that_are_gone(self, zoo_dir):
        path = zoo_dir / f"{LARGE}.json"
        write_json(path, read_json(path) | {"sha256": "another"})
        fest = listing().splitlines()[-1].split()
        assert " ".join(fest[4:]) == "2 of 2 trained, to be measured again – – – – – –"


class TestCommands:
    def test_train_evaluate_verify(self, made, zoo_dir, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        words = ["zoo", "train", "hand/acm-32-bce", "--device", "cpu"]
        assert main([*words, "--max-minutes", "0"]) == 0
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        path = zoo_dir / "hand" / "acm-32-bce.safetensors"
        assert lines == [
            "stopped after 0 minutes; run the same command to continue",
            f"stored: {path}",
        ]
        assert Run(Path("runs/zoo/hand/acm-32-bce")).finished
        assert main(words) == 0
        last = " ".join(capsys.readouterr().out.splitlines()[-2:])
        assert " replaces " in last
        assert last.endswith("metrics and ends of their intervals differ by up to 0.00 points")
        make_set(tmp_path / "NUAA-SIRST", test=2)
        monkeypatch.setenv("FESTKIT_DATA", str(tmp_path))
        evaluated = ["zoo", "evaluate", "hand/acm-32-bce", "--dataset", "NUAA-SIRST", "--write"]
        assert main(evaluated) == 0
        text = capsys.readouterr().out
        assert "hand/acm-32-bce on the test images of NUAA-SIRST" in text
        assert "| 0.5 / 0.1 |" in text
        assert text.splitlines()[-1] == str(path.with_name("acm-32-bce.on-nuaa-sirst.json"))
        shutil.copytree(made / "data" / "hand", tmp_path / "hand")
        assert main(["zoo", "verify", "hand/acm-32-bce"]) == 0
        assert capsys.readouterr().out.count("differ by 0.000 points") == 2
        path.write_bytes(b"half")
        with pytest.raises(SystemExit) as stopped:
            main(["zoo", "verify", "hand/acm-32-bce"])
        assert stopped.value.code == 1
        assert "hand/acm-32-bce: FAULT: sha256" in capsys.readouterr().out

    def test_they_compute_with_the_threads_asked_for(self, made, zoo_dir, tmp_path, monkeypatch):
        used, forward = [], ACM.forward

        def looking(self, image):
            used.append(torch.get_num_threads())
            return forward(self, image)

        monkeypatch.setattr(ACM, "forward", looking)
        monkeypatch.setenv("FESTKIT_DATA", str(made / "data"))
        for words in (
            ["train", "hand/acm-32-bce", "--out", str(tmp_path / "run"), "--device", "cpu"],
            ["store", SMALL, str(made / "acm-32-eedm")],
            ["evaluate", SMALL],
            ["verify", SMALL],
        ):
            used.clear()
            assert main(["zoo", *words, "--threads", "2"]) == 0
            assert set(used) == {2}

    def test_store_and_list(self, made, zoo_dir, capsys):
        words = ["zoo", "store", SMALL, str(made / "acm-32-eedm"), "--minutes", "9"]
        assert main(words) == 0
        assert capsys.readouterr().out.strip() == str(zoo_dir / f"{SMALL}.safetensors")
        assert main(["zoo", "list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[1].endswith("9 cpu")
        assert "~7 cpu" in lines[3]
        assert re.match("minutes are wall-clock time; ~ marks estimates", lines[-1])

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["evaluate", "hand/acn"], "unknown entry 'hand/acn'; .*Did you mean 'hand/acm'"),
            (["train", "hand/acn-32-bce"], "unknown entry .*Did you mean 'hand/acm-32-bce'"),
            (["verify", "hand/acn"], "unknown entry 'hand/acn'"),
            (["train", "hand/acm-32-bce", "--threads", "0"], "threads is 0, expected a whole"),
            (["store", SMALL, "run", "--threads", "0"], "threads is 0, expected a whole number"),
            (["evaluate", SMALL, "--threads", "0"], "threads is 0, expected a whole number"),
            (["verify", SMALL, "--threads", "0"], "threads is 0, expected a whole number"),
        ],
    )
    def test_an_error_is_one_line(self, zoo_dir, words, message, capsys):
        assert main(["zoo", *words]) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith(f"festkit zoo {words[0]}: ")
        assert re.search(message, line)
