"""Predictions of any program: equal figures from every form, slow oracles, bad input, protocols."""

import json
import math
import warnings

import numpy as np
import pytest
from handmade import HEIGHT, WIDTH, make_set, scene
from PIL import Image
from scipy import ndimage

from festkit._support.errors import FestkitError
from festkit._support.files import write_json
from festkit.cli.main import main
from festkit.data import load_dataset
from festkit.evaluation import Evaluation, evaluate_predictions, measure, open_predictions
from festkit.metrics import (
    Counts,
    average_precision,
    count,
    match_boxes,
    protocol_lines,
    rank_boxes,
)
from festkit.metrics.boxes import Boxes, BoxMatches

IMAGES = 6
EIGHT = np.ones((3, 3))


def probability(number):
    """A map of an image's targets: shifted, blurred, with a false alarm in every third image."""
    rng = np.random.default_rng(number)
    mask = scene(100 + number)[1]
    prob = ndimage.gaussian_filter(np.roll(mask, number % 3, 1).astype(float), 1.0)
    prob += 0.02 * rng.random(prob.shape)
    if number % 3 == 0:
        prob[2:4, 2 : 5 + number] = 0.7
    return np.rint(np.clip(prob / prob.max(), 0, 1) * 65535).astype(np.uint16)


MAPS = {f"e{n}": probability(n) for n in range(IMAGES)}
MASKS = {name: prob > 32767 for name, prob in MAPS.items()}
TRUTH = {f"e{n}": scene(100 + n)[1] for n in range(IMAGES)}


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(measure, "DRAWS", 20)


@pytest.fixture
def images(tmp_path):
    return load_dataset(make_set(tmp_path / "hand", train=2, test=IMAGES), "test")


def save(folder, arrays, name="{}.png"):
    folder.mkdir()
    for key, array in arrays.items():
        path = folder / name.format(key)
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            Image.fromarray(array).save(path)
    return folder


def levels(factor, kind=np.uint8):
    """The masks as numbers."""
    return {name: (factor * mask).astype(kind) for name, mask in MASKS.items()}


def targets_of(mask):
    """Components of a mask as sets of pixels and half-open boxes, by scipy, in raster order."""
    label, number = ndimage.label(mask, EIGHT)
    found = []
    for index, (rows, columns) in enumerate(ndimage.find_objects(label), 1):
        pixels = set(zip(*np.nonzero(label == index), strict=True))
        found.append((pixels, (rows.start, columns.start, rows.stop, columns.stop)))
    assert len(found) == number
    return sorted(found, key=lambda each: min(each[0]))


def metrics(evaluation, name):
    return evaluation.record["methods"][name]["metrics"]


def evaluate(source, images, **more):
    return metrics(evaluate_predictions({"it": source}, images, **more), "it")


def coco(path, score=True):
    """A JSON of COCO results of the boxes of the masks; the score is the peak of the map."""
    rows = []
    for name, mask in MASKS.items():
        for pixels, (y0, x0, y1, x1) in targets_of(mask):
            row = {"image_id": name, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            peak = max(MAPS[name][each] for each in pixels) / 65535
            rows.append(row | ({"score": float(np.float32(peak))} if score else {}))
    path.write_text(json.dumps(rows))
    return path


class TestEqualFigures:
    def test_every_form_of_maps(self, images, tmp_path):
        np.savez(tmp_path / "maps.npz", **MAPS)
        floats = {name: prob.astype(np.float32) / np.float32(65535) for name, prob in MAPS.items()}
        expected = evaluate(tmp_path / "maps.npz", images)
        assert expected["pr_auc"] is not None
        assert evaluate(save(tmp_path / "png", MAPS), images) == expected
        assert evaluate(save(tmp_path / "npy", MAPS, "{}_pred.npy"), images) == expected
        assert evaluate(save(tmp_path / "float", floats, "{}.npy"), images) == expected

    def test_every_form_of_masks(self, images, tmp_path):
        np.savez(tmp_path / "masks.npz", **MASKS)
        expected = evaluate(tmp_path / "masks.npz", images)
        assert expected["hiou"] > 0
        assert "pr_auc" not in expected
        for name, factor, kind in (
            ("a", 1, np.uint8),
            ("b", 255, np.uint8),
            ("c", 65535, np.uint16),
        ):
            assert evaluate(save(tmp_path / name, levels(factor, kind)), images) == expected
        batch = {name: 255.0 * mask[None, None] for name, mask in MASKS.items()}
        assert evaluate(save(tmp_path / "d", batch, "{}_MASK.npy"), images) == expected

    def test_maps_and_their_masks_where_no_score_is_needed(self, images, tmp_path):
        maps = evaluate(save(tmp_path / "maps", MAPS), images)
        masks = evaluate(save(tmp_path / "masks", levels(255)), images)
        scored = {"ap50", "intervals"}
        assert {name: maps[name] for name in masks if name not in scored} == {
            name: value for name, value in masks.items() if name not in scored
        }

    def test_boxes_where_they_are_defined(self, images, tmp_path):
        maps = evaluate(save(tmp_path / "maps", MAPS), images)
        boxes = evaluate(coco(tmp_path / "boxes.json"), images)
        assert {n: boxes[n] for n in ("ap50", "box_precision", "box_recall")} == {
            n: maps[n] for n in ("ap50", "box_precision", "box_recall")
        }
        assert boxes["intervals"]["ap50"] == maps["intervals"]["ap50"]
        assert "iou" not in boxes
        masks = evaluate(save(tmp_path / "masks", levels(1)), images)
        assert evaluate(coco(tmp_path / "plain.json", score=False), images)["ap50"] == masks["ap50"]

    def test_coco_regions_are_maps_of_their_scores(self, images, tmp_path):
        """Run lengths over the columns, written out by hand."""
        rows, drawn = [], {}
        for name, mask in MASKS.items():
            drawn[name] = np.zeros(mask.shape, np.float32)
            for pixels, _ in targets_of(mask):
                region = np.zeros(mask.shape, bool)
                region[tuple(np.array(sorted(pixels)).T)] = True
                flat = np.concatenate([[False], region.T.ravel()])
                ends = np.flatnonzero(flat[1:] != flat[:-1])
                counts = np.diff([0, *ends, region.size]).tolist()
                score = float(np.float32(max(MAPS[name][each] for each in pixels) / 65535))
                drawn[name][region] = score
                segmentation = {"size": list(mask.shape), "counts": counts}
                rows.append({"image_id": name, "segmentation": segmentation, "score": score})
        (tmp_path / "regions.json").write_text(json.dumps(rows))
        np.savez(tmp_path / "drawn.npz", **drawn)
        found = evaluate(tmp_path / "regions.json", images)
        assert found == evaluate(tmp_path / "drawn.npz", images)
        assert found["iou"] == evaluate(save(tmp_path / "maps", MAPS), images)["iou"]

    def test_coco_polygons_without_boxes(self, images, tmp_path):
        square = {"image_id": "e0", "segmentation": [[2, 3, 6, 3, 6, 8, 2, 8]], "score": 0.9}
        (tmp_path / "polygons.json").write_text(json.dumps([square]))
        masks = {name: np.zeros_like(mask) for name, mask in MASKS.items()}
        masks["e0"][3:8, 2:6] = True
        found = evaluate(tmp_path / "polygons.json", images)
        assert found["iou"] == evaluate(save(tmp_path / "masks", masks), images)["iou"]

    def test_coco_of_numbers_and_yolo(self, images, tmp_path):
        expected = evaluate(coco(tmp_path / "boxes.json"), images)
        rows = json.loads((tmp_path / "boxes.json").read_text())
        numbered = [row | {"image_id": int(row["image_id"][1:])} for row in rows]
        whole = {
            "images": [{"id": n, "file_name": f"test/e{n}.png"} for n in range(IMAGES)],
            "annotations": numbered,
        }
        for name, content in (("numbers", numbered), ("whole", whole)):
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
            assert evaluate(tmp_path / f"{name}.json", images) == expected
        (tmp_path / "yolo").mkdir()
        lines = {name: [] for name in MASKS}  # 6 decimals, as they are usually written
        for row in rows:
            x, y, w, h = row["bbox"]
            shares = ((x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT)
            rounded = (f"{share:.6f}" for share in shares)
            lines[row["image_id"]].append(" ".join(["0", *rounded, repr(row["score"])]))
        for name, each in lines.items():
            (tmp_path / "yolo" / f"{name}.txt").write_text("\n".join(each))
        assert evaluate(tmp_path / "yolo", images) == expected

    def test_coco_of_boxes_and_regions_says_what_is_used(self, images, tmp_path):
        square = {
            "image_id": "e0",
            "segmentation": [[2, 3, 6, 3, 6, 8, 2, 8]],
            "bbox": [2, 3, 4, 5],
        }
        (tmp_path / "both.json").write_text(json.dumps([square]))
        words = open_predictions(tmp_path / "both.json", images.names).levels
        assert words == "COCO boxes [x, y, width, height] in px, without their segmentation"

    def test_the_only_rule_of_sizes_is_linear(self, images, tmp_path):
        half = {name: prob[::2, ::2] for name, prob in MAPS.items()}
        with pytest.warns(UserWarning, match="maps resized to the size of the image, linearly: 6"):
            found = evaluate_predictions({"it": save(tmp_path / "half", half)}, images)
        method = found.record["methods"]["it"]
        assert method["protocol"]["map"] == "linear"
        assert method["faults"]["resized"]["count"] == IMAGES
        inter = union = 0
        for name, prob in half.items():
            rows, columns = (
                np.clip((np.arange(2 * side) + 0.5) / 2 - 0.5, 0, side - 1) for side in prob.shape
            )
            grid = np.meshgrid(rows, columns, indexing="ij")
            pred = ndimage.map_coordinates(prob / 65535, grid, order=1) > 0.5
            inter += (pred & TRUTH[name]).sum()
            union += (pred | TRUTH[name]).sum()
        assert method["metrics"]["iou"] == pytest.approx(inter / union)

    def test_resized_masks_have_no_curves(self, images, tmp_path):
        half = {name: mask[::2, ::2] for name, mask in levels(255).items()}
        with pytest.warns(UserWarning, match="maps resized"):
            found = evaluate_predictions({"it": save(tmp_path / "half", half)}, images)
        assert "roc_auc" not in metrics(found, "it")
        assert not found.curves

    def test_names_with_folders_and_two_suffixes(self, images, tmp_path):
        expected = evaluate(save(tmp_path / "maps", MAPS), images)
        assert evaluate(save(tmp_path / "twice", MAPS, "{}.png.npy"), images) == expected
        for name in ("sky", "sea"):
            make_set(tmp_path / name, test=2)
        with pytest.warns(UserWarning, match="are also in"):
            both = load_dataset("sky+sea", "test", root=tmp_path)
        two = {name: MAPS[name] for name in ("e0", "e1")}
        for name in ("sky", "sea"):
            (tmp_path / "union").mkdir(exist_ok=True)
            save(tmp_path / "union" / name, two, "{}_pred.png")
        joined = {f"{place}_{name}": two[name] for place in ("sky", "sea") for name in two}
        expected = evaluate(save(tmp_path / "joined", joined), both)
        assert evaluate(tmp_path / "union", both) == expected
        rows = [{"image_id": f"a/images/{name}.png", "bbox": [1, 1, 2, 2]} for name in MAPS]
        (tmp_path / "deep.json").write_text(json.dumps(rows))
        assert len(open_predictions(tmp_path / "deep.json", images.names).boxes) == IMAGES


class TestSlowOracles:
    def test_target_metrics(self, images, tmp_path):
        shared = targets = false = matched = hits = 0
        for name, mask in MASKS.items():
            left, true = targets_of(mask), targets_of(TRUTH[name])
            targets += len(true)
            for pixels, _ in true:
                near = [p for p in left if np.hypot(*(_centre(p[0]) - _centre(pixels))) < 3]
                if near:
                    left.remove(near[0])
                    matched += 1
                    shared += len(near[0][0] & pixels) / len(near[0][0] | pixels)
            false += len(left)
        found = evaluate(save(tmp_path / "masks", levels(255)), images)
        assert (targets, matched, false) == (9, matched, found["false_per_frame"] * IMAGES)
        assert false > 0
        assert found["target_iou"] == pytest.approx(shared / matched)
        assert found["hiou"] == pytest.approx(shared / (targets + false))
        megapixels = IMAGES * HEIGHT * WIDTH / 1e6
        assert found["false_per_megapixel"] == pytest.approx(false / megapixels)
        assert hits == 0

    def test_average_precision_by_hand(self):
        ranked = [(0.9, True), (0.8, False), (0.7, True), (0.6, False)]
        images = [BoxMatches(np.array([s]), np.array([hit]), 1) for s, hit in ranked]
        # 4 targets: precision 1 up to recall 1/4 (26 of 101 recalls), 2/3 up to 1/2 (25 more).
        assert average_precision(rank_boxes(images)) == pytest.approx((26 + 25 * 2 / 3) / 101)
        twice = average_precision(rank_boxes(images * 2))
        assert average_precision(rank_boxes(images), np.full(4, 2.0)) == pytest.approx(
            twice, abs=0.01
        )

    def test_average_precision_by_loops(self):
        rng = np.random.default_rng(0)
        images = [random_boxes(rng) for _ in range(40)]
        matches = [match_boxes(found, true) for found, true in images]
        assert average_precision(rank_boxes(matches)) == pytest.approx(slow_ap(images))

    def test_curves(self, images, tmp_path):
        found = evaluate_predictions({"it": save(tmp_path / "maps", MAPS)}, images)
        curve = found.record["methods"]["it"]["curves"]
        prob = np.stack(list(MAPS.values())).astype(np.float32) / np.float32(65535)
        truth = np.stack(list(TRUTH.values()))
        area = before = 0.0
        for k in reversed(range(len(curve["thresholds"]))):
            pred = prob > np.float32(curve["thresholds"][k])
            hits = (pred & truth).sum()
            assert curve["tpr"][k] == pytest.approx(hits / truth.sum())
            assert curve["fpr"][k] == pytest.approx((pred & ~truth).sum() / (~truth).sum())
            if pred.any():
                area += (hits / truth.sum() - before) * hits / pred.sum()
                before = hits / truth.sum()
                assert curve["precision"][k] == pytest.approx(hits / pred.sum())
        assert metrics(found, "it")["pr_auc"] == pytest.approx(area)

    def test_curves_have_the_weak_targets_of_the_table(self, images, tmp_path):
        weak = save(tmp_path / "weak", {n: 0.6 * mask for n, mask in TRUTH.items()}, "{}.npy")
        found = evaluate_predictions({"it": weak}, images, th1=0.9, th2=0.2)
        curve, own = found.record["methods"]["it"]["curves"], metrics(found, "it")
        place = curve["thresholds"].index(0.9)
        assert own["pd"] == 1  # a pixel of every target
        assert (curve["pd"][place], curve["fa"][place]) == (1, 0)

    def test_paired_differences(self, images, tmp_path):
        a, b = save(tmp_path / "a", MAPS), save(tmp_path / "b", levels(255))
        found = evaluate_predictions([a, b], images)
        gain = found.record["differences"]["b − a"]
        assert gain["iou"] == 0
        assert gain["ap50"] == pytest.approx(
            metrics(found, "b")["ap50"] - metrics(found, "a")["ap50"]
        )
        low, high = gain["intervals"]["ap50"]
        assert low <= gain["ap50"] <= high
        assert list(found.table) == ["metric", "a", "b", "b − a"]
        same = evaluate_predictions({"x": a, "y": a}, images).record["differences"]["y − x"]
        assert same["intervals"]["pd_auc"] == (0.0, 0.0)


def _centre(pixels):
    return np.mean(list(pixels), axis=0)


def random_boxes(rng):
    """Some true boxes, and found ones near them, with few different scores."""
    true = rng.integers(0, 20, (rng.integers(0, 4), 4)).astype(float)
    true[:, 2:] = true[:, :2] + 4 + true[:, 2:] % 5
    near = np.repeat(true, 2, 0)
    found = near + rng.integers(-1, 2, near.shape)
    other = np.tile([30.0, 30, 35, 35], (rng.integers(0, 2), 1))
    found = np.concatenate([found, other])
    return Boxes(found, rng.integers(1, 9, len(found)) / 10), true


def slow_ap(images):
    """AP50 by the words of COCO, loop by loop."""
    flat, targets = [], 0
    for found, true in images:
        targets += len(true)
        used = set()
        for k in sorted(range(len(found.box)), key=lambda k: (-found.score[k], k)):
            best, match = 0.5, None
            for t, (y0, x0, y1, x1) in enumerate(true):
                v0, u0, v1, u1 = found.box[k]
                high, wide = min(y1, v1) - max(y0, v0), min(x1, u1) - max(x0, u0)
                inter = max(high, 0) * max(wide, 0)
                union = (y1 - y0) * (x1 - x0) + (v1 - v0) * (u1 - u0) - inter
                if t not in used and inter / union >= best:
                    best, match = inter / union, t
            used.add(match)
            flat.append((-found.score[k], len(flat), match is not None))
    flat.sort()
    points, hits = [], 0
    for rank, (_, _, hit) in enumerate(flat, 1):
        hits += hit
        points.append((hits / targets, hits / rank))
    steps = np.linspace(0, 1, 101) - 1e-12
    return np.mean([max([p for r, p in points if r >= step], default=0) for step in steps])


class TestBadInput:
    @pytest.mark.parametrize(
        ("label", "line"),
        [
            ({}, "has neither a bbox nor a segmentation"),
            ({"segmentation": [[1, 2, 3]]}, "a polygon of 3 numbers"),
            ({"segmentation": {"size": [4, 4]}}, "neither a bbox nor a segmentation"),
            ({"segmentation": {"size": [4, 4], "counts": [16]}}, "unreadable predictions: 1"),
        ],
    )
    def test_regions_that_cannot_be_drawn(self, images, tmp_path, label, line):
        path = tmp_path / "regions.json"
        path.write_text(json.dumps([{"image_id": "e1"} | label]))
        with pytest.raises(ValueError, match=line):
            evaluate_predictions({"it": path}, images)

    @pytest.mark.parametrize(
        ("box", "line"),
        [
            ({"bbox": [1, 2, 3]}, r"e0 has the bbox \[1, 2, 3\] with score 1.0, expected"),
            ({"bbox": [1, 2, 3, 4], "score": math.nan}, "with score nan, expected"),
            ({"bbox": [1, math.inf, 3, 4]}, "all finite"),
        ],
    )
    def test_boxes_of_no_use(self, images, tmp_path, box, line):
        (tmp_path / "it.json").write_text(json.dumps([{"image_id": "e0"} | box]))
        with pytest.raises(FestkitError, match=line):
            evaluate(tmp_path / "it.json", images)

    @pytest.mark.parametrize(
        "line", ["0 .1 .1 .2 .1 .3 .2 .2 .3 .1 .2", "0 30 20 5 5", "0 nan .5 1 1"]
    )
    def test_lines_that_are_no_yolo_boxes(self, images, tmp_path, line):
        """A polygon of five corners, pixels, NaN."""
        (tmp_path / "y").mkdir()
        (tmp_path / "y" / "e0.txt").write_text(line)
        with pytest.raises(FestkitError, match=r"e0\.txt is no YOLO file \(0 "):
            evaluate(tmp_path / "y", images)

    def test_numbers_that_may_be_positions(self, images, tmp_path):
        some = images[2:]  # e2 to e5

        def found(*numbers):
            rows = [{"image_id": number, "bbox": [1, 1, 4, 4]} for number in numbers]
            (tmp_path / "it.json").write_text(json.dumps(rows))
            return evaluate_predictions({"it": tmp_path / "it.json"}, some)

        with pytest.raises(FestkitError, match=r"by number \(1\) that no name has, so they may be"):
            found(1, 2, 3, 4)
        with pytest.warns(UserWarning, match="by a number alone, .*: 3, such as 2 for e2"):
            faults = found(2, 4, 5, 77).record["methods"]["it"]["faults"]
        assert (faults["number"]["count"], faults["no image"]["first"]) == (3, ["77"])

    def test_boxes_of_an_image_in_two_places(self, images, tmp_path):
        for place in ("a", "b"):
            (tmp_path / "y" / place).mkdir(parents=True)
            (tmp_path / "y" / place / "e0.txt").write_text("0 .5 .5 .1 .1")
        names = [{"id": n, "file_name": f"{place}/e0.png"} for n, place in enumerate("ab")]
        rows = [{"image_id": n, "bbox": [1, 1, 4, 4]} for n in range(2)]
        (tmp_path / "it.json").write_text(json.dumps({"images": names, "annotations": rows}))
        for source in ("y", "it.json"):
            with pytest.raises(
                FestkitError, match=r"images with several predictions .*: 1, such as e0"
            ):
                evaluate(tmp_path / source, images)

    def test_coco_without_predictions_or_with_unknown_images(self, images, tmp_path):
        (tmp_path / "none.json").write_text("[]")
        with pytest.raises(FestkitError, match=r"none\.json holds no predictions"):
            evaluate(tmp_path / "none.json", images)
        rows = [{"image_id": 7, "bbox": [1, 1, 4, 4]}]
        whole = {"images": [{"id": 1, "file_name": "e0.png"}], "annotations": rows}
        (tmp_path / "it.json").write_text(json.dumps(whole))
        with pytest.raises(
            FestkitError, match="annotation of image 7, which its list images lacks"
        ):
            evaluate(tmp_path / "it.json", images)

    def test_transposed_maps(self, images, tmp_path):
        folder = save(tmp_path / "maps", {name: prob.T for name, prob in MAPS.items()})
        with pytest.raises(
            FestkitError, match=r"height and width exchanged .*48 × 64 px, image 64"
        ):
            evaluate(folder, images)

    def test_methods_have_one_name_each(self, images, tmp_path, monkeypatch):
        paths = [save(tmp_path / name, MAPS) for name in ("maps.v1", "maps.v2")]
        assert list(evaluate_predictions(paths, images).table) == [
            "metric", "maps.v1", "maps.v2", "maps.v2 − maps.v1",
        ]  # fmt: skip
        with pytest.raises(FestkitError, match=r"maps\.v1 is given twice"):
            evaluate_predictions([paths[0], paths[0]], images)
        monkeypatch.chdir(paths[0])
        assert list(evaluate_predictions(".", images).record["methods"]) == ["maps.v1"]

    def test_a_folder_of_festkit_predict_without_masks(self, images, tmp_path):
        (tmp_path / "prediction.json").write_text("{}")
        with pytest.raises(FestkitError, match="has no masks; run festkit predict with --format"):
            evaluate(tmp_path, images)

    def test_lesser_faults_are_told_and_counted(self, images, tmp_path):
        folder = save(tmp_path / "maps", MAPS, "{}_pred.png")
        Image.fromarray(MAPS["e0"]).save(folder / "other.png")
        with pytest.warns(UserWarning, match="predictions of no image in the split, not used: 1"):
            found = evaluate_predictions({"it": folder}, images)
        faults = found.record["methods"]["it"]["faults"]
        assert {kind: each["count"] for kind, each in faults.items()} == {
            "no image": 1,
            "suffix": IMAGES,
        }

    @pytest.mark.parametrize(
        ("kind", "line"),
        [
            ("missing", "images without a prediction: 1, such as e1"),
            ("twice", "images with several predictions .*: 1, such as e1"),
            ("not finite", "maps with NaN or infinity: 1, such as e1"),
            ("logits", "maps that are no probabilities .*: 1, such as e1: -[0-9.]+ to 4"),
            ("unreadable", "unreadable predictions: 1, such as .*e1"),
            ("colour", "colour pictures .*: 1, such as e1"),
            ("mixed", "masks of 0 and 1 among those of 0 and 255 .*: 1, such as e1"),
        ],
    )
    def test_what_cannot_be_used(self, images, tmp_path, kind, line):
        arrays = dict(MAPS) if kind != "mixed" else levels(255)
        form = "{}.npy" if kind in ("not finite", "logits") else "{}.png"
        if form == "{}.npy":
            arrays = {name: prob / 65535 for name, prob in MAPS.items()}
            arrays["e1"] = arrays["e1"] * 9 - 5
            arrays["e1"][0, 0] = np.nan if kind == "not finite" else 3
        elif kind == "mixed":
            arrays["e1"] = arrays["e1"] // 255
        folder = save(tmp_path / "it", arrays, form)
        path = folder / "e1.png"
        if kind == "missing":
            path.unlink()
        elif kind == "twice":
            Image.fromarray(MAPS["e1"]).save(folder / "e1_mask.png")
        elif kind == "unreadable":
            path.write_bytes(path.read_bytes()[:60])
        elif kind == "colour":
            heat = np.stack([MAPS["e1"] >> 8, 255 - (MAPS["e1"] >> 8), MAPS["e1"] >> 9], -1)
            Image.fromarray(heat.astype(np.uint8)).save(path)
        with pytest.raises(FestkitError, match=line):
            evaluate(folder, images)
        with pytest.warns(UserWarning, match=f"{line}.*left out"):
            found = evaluate_predictions({"it": folder}, images, skip_faulty=True)
        assert found.record["methods"]["it"]["faults"][kind]["count"] == 1
        assert found.record["left_out"] == ["e1"]
        assert found.record["images"] == IMAGES - 1
        assert metrics(found, "it")["images"] == IMAGES - 1

    def test_boxes_outside_the_frame(self, images, tmp_path):
        rows = [
            {"image_id": "e0", "bbox": [-3, 0, 8, 8], "score": 0.5},
            {"image_id": "e0", "bbox": [WIDTH + 2, 0, 8, 8], "score": 0.5},
        ]
        rows.append({"image_id": "e0", "bbox": [9, 9, -3, 2], "score": 0.5})
        (tmp_path / "boxes.json").write_text(json.dumps(rows))
        with pytest.warns(UserWarning, match="beyond the frame or without area, .* dropped: 3"):
            found = evaluate_predictions({"it": tmp_path / "boxes.json"}, images)
        method = found.record["methods"]["it"]
        assert method["faults"]["outside"]["count"] == 3
        assert method["th1"] is None

    def test_nothing_to_evaluate(self, images, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(FestkitError, match=r"empty holds no predictions; expected png"):
            evaluate(tmp_path / "empty", images)
        with pytest.raises(FestkitError, match="no such file or folder of predictions"):
            evaluate(tmp_path / "nowhere", images)
        with pytest.raises(FestkitError, match="has no prediction for any of the 6 images"):
            evaluate(save(tmp_path / "others", {"x": MAPS["e0"]}), images)
        labels = {name: (3 * mask).astype(np.uint8) for name, mask in MASKS.items()}
        with pytest.raises(FestkitError, match="whole numbers up to 3 alone, as in label images"):
            evaluate(save(tmp_path / "labels", labels), images)
        (tmp_path / "y").mkdir()
        (tmp_path / "y" / "e0.txt").write_text("0 0.5 0.5\n")
        with pytest.raises(FestkitError, match=r"e0\.txt is no YOLO file"):
            evaluate(tmp_path / "y", images)

    def test_what_limits_the_dataset_is_recorded(self, tmp_path):
        for name in ("sky", "sea"):
            make_set(tmp_path / name, test=2)
        with pytest.warns(UserWarning, match="2 images of sea are also in sky"):
            both = load_dataset("sky+sea", "test", root=tmp_path)
        maps = {f"{place}_e{n}": MAPS[f"e{n}"] for place in ("sky", "sea") for n in range(2)}
        found = evaluate_predictions(save(tmp_path / "maps", maps), both)
        assert "2 images of sea are also in sky" in found.record["notes"][0]

    def test_pickles_are_not_opened(self, images, tmp_path):
        np.savez(tmp_path / "it.npz", **{name: np.array([{}], object) for name in MAPS})
        with pytest.raises(FestkitError, match="unreadable predictions: 6"):
            evaluate(tmp_path / "it.npz", images)

    def test_inverted_maps(self, images, tmp_path):
        inverted = {name: 65535 - prob for name, prob in MAPS.items()}
        with pytest.warns(UserWarning, match="maps above the threshold on over half .*: 6"):
            evaluate(save(tmp_path / "it", inverted), images)


def test_one_map_of_black_and_white_does_not_make_masks(tmp_path):
    maps = {name: (prob >> 8).astype(np.uint8) for name, prob in MAPS.items()}
    maps["e0"], maps["e5"] = (255 * MASKS["e0"]).astype(np.uint8), MASKS["e5"].astype(np.uint8)
    found = open_predictions(save(tmp_path / "it", maps), list(MAPS))
    assert found.levels == "gray levels, 255 is probability 1"
    assert found.stored("e5", (HEIGHT, WIDTH)).max() == np.float32(1 / 255)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (levels(1), "masks of 0 and 1"),
        (levels(255), "masks of 0 and 255"),
        (MASKS, "masks of true and false"),
        (levels(255, np.int64), "masks of 0 and 255"),
        (MAPS, "gray levels, 65535 is probability 1"),
        ({k: (v >> 8).astype(np.uint8) for k, v in MAPS.items()}, "gray levels, 255 is probabilit"),
        ({k: v / 65535 for k, v in MAPS.items()}, "floats, 1 is probability 1"),
    ],
)
def test_the_range_of_values_is_recognised(tmp_path, arrays, words):
    np.savez(tmp_path / "it.npz", **arrays)
    assert open_predictions(tmp_path / "it.npz", list(MAPS)).levels.startswith(words)


def test_a_void_score_is_in_no_table(images, tmp_path):
    found = evaluate_predictions({"it": save(tmp_path / "maps", MAPS)}, images)
    assert metrics(found, "it")["fa"] > 1e-4
    assert "it,pd," in found.render("csv")
    assert "it,score," not in found.render("csv")


class TestProtocol:
    def test_two_protocols_are_both_named(self):
        assert protocol_lines({"A": "x", "B": "x"}) == ["protocol: x"]
        assert protocol_lines({"A": "x", "B": "y"})[1:] == ["A: x", "B: y"]

    def test_stored_results_side_by_side(self, images, tmp_path):
        maps = save(tmp_path / "maps", MAPS)
        for name, th in (("first", {}), ("second", {"th1": 0.3, "th2": 0.1})):
            found = evaluate_predictions({"it": maps}, images, **th)
            write_json(tmp_path / name / "evaluation.json", found.record)
        files = [tmp_path / name / "evaluation.json" for name in ("first", "second")]
        text = Evaluation.load(*files).render("markdown")
        assert "| metric | first: it | second: it |" in text
        assert "first: it: size original" in text
        assert "threshold > 0.5," in text
        assert "threshold > 0.3, AS > 0.1," in text
        record = json.loads(files[1].read_text())["methods"]["it"]["protocol"]
        assert {"size", "image", "map", "mask", "padding", "threshold"} <= set(record)

    def test_files_of_folders_with_one_name(self, images, tmp_path):
        maps = save(tmp_path / "maps", MAPS)
        files = [tmp_path / name / "out" / "evaluation.json" for name in "ab"]
        for path in files:
            write_json(path, evaluate_predictions({"it": maps}, images).record)
        methods = Evaluation.load(*files).record["methods"]
        assert list(methods) == [f"{path.parent}: it" for path in files]

    def test_results_of_other_images_are_told(self, images, tmp_path):
        maps = save(tmp_path / "maps", MAPS)
        for name, some in (("a", images), ("b", images[:4])):
            found = evaluate_predictions({"it": maps}, some)
            write_json(tmp_path / name / "evaluation.json", found.record)
        with pytest.warns(UserWarning, match="results of different images: hand, test: 6 images"):
            both = Evaluation.load(*(tmp_path / name / "evaluation.json" for name in "ab"))
        assert "different images: hand, test: 6 images; hand, test: 4 images" in both.render()


class TestChosenThresholds:
    def test_highest_score_below_the_limit(self, images, tmp_path):
        maps = save(tmp_path / "maps", MAPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = evaluate_predictions(
                {"it": maps}, images[3:], choose_on=images[:3], max_fa=0.01
            )
        method = found.record["methods"]["it"]
        assert method["chosen_on"]["images"] == 3
        assert method["chosen_on"]["evaluated_too"] == 0
        best = -1.0
        prob = {name: np.float32(each) / np.float32(65535) for name, each in MAPS.items()}
        for level in range(256):
            each = [count(prob[n] > np.float32(level / 255), TRUTH[n]) for n in images[:3].names]
            if (one := sum(each, Counts())).fa < 0.01:
                best = max(best, one.score)
        assert evaluate(maps, images[:3], th1=method["th1"])["score"] == pytest.approx(best)
        assert "chosen on hand test" in method["protocol"]["name"]

    def test_weak_targets_are_false_alarms_too(self, images, tmp_path):
        maps = {name: 0.6 * mask for name, mask in TRUTH.items()}
        for prob in maps.values():
            prob[2, 2] = 0.3  # a pixel of 3072
        folder = save(tmp_path / "maps", maps, "{}.npy")
        for th2, max_fa in ((None, 1e-4), (0.2, 4e-4)):
            with pytest.warns(UserWarning, match="are evaluated"):
                evaluate(folder, images, th2=th2, choose_on=images, max_fa=max_fa)
        with pytest.raises(FestkitError, match="no threshold"):
            evaluate(folder, images, th2=0.2, choose_on=images, max_fa=1e-4)

    def test_faults_on_the_choosing_images(self, images, tmp_path):
        maps = {name: prob / 65535 for name, prob in MAPS.items()}
        maps["e1"][0, 0] = np.nan
        folder = save(tmp_path / "maps", maps, "{}.npy")
        both = {"choose_on": images[:3], "max_fa": 0.1}
        with pytest.raises(FestkitError, match="maps with NaN or infinity: 1, such as e1"):
            evaluate(folder, images[3:], **both)
        with pytest.warns(UserWarning, match="maps with NaN or infinity: 1, such as e1; left out"):
            found = evaluate_predictions({"it": folder}, images[3:], skip_faulty=True, **both)
        chosen = found.record["methods"]["it"]["chosen_on"]
        assert (chosen["images"], chosen["left_out"]) == (2, ["e1"])
        with pytest.raises(FestkitError, match="has no usable prediction for hand test"):
            evaluate(folder, images[3:], choose_on=images[1:2], skip_faulty=True)

    def test_frames_without_targets(self, tmp_path):
        empty = load_dataset(make_set(tmp_path / "empty", test=3, targets=False), "test")
        noise = {f"e{n}": np.full((HEIGHT, WIDTH), 0.2 * n) for n in range(3)}
        noise["e2"][3, 3] = 0.63
        found = evaluate_predictions(
            {"it": save(tmp_path / "it", noise, "{}.npy")}, empty[:1], choose_on=empty, max_fa=1e-5
        )
        assert found.record["methods"]["it"]["th1"] == pytest.approx(161 / 255)  # the first >= 0.63
        assert metrics(found, "it")["pd"] is None
        assert metrics(found, "it")["fa"] == 0
        json.dumps(found.record, allow_nan=False)

    def test_a_threshold_that_detects_nothing_is_refused(self, images, tmp_path):
        inverted = {name: 65535 - prob for name, prob in MAPS.items()}
        folder = save(tmp_path / "maps", inverted)
        with pytest.raises(FestkitError, match=r"no threshold .* Fa below 1e-05; allow"):
            evaluate(folder, images, choose_on=images, max_fa=1e-5)

    def test_the_same_images_are_told(self, images, tmp_path):
        with pytest.warns(
            UserWarning, match="6 images choose the threshold of .* and are evaluated"
        ):
            evaluate(save(tmp_path / "maps", MAPS), images, choose_on=images, max_fa=0.1)


class TestCommand:
    @pytest.mark.slow
    def test_table_and_files(self, images, tmp_path, capsys):
        folder = str(save(tmp_path / "maps", MAPS))
        out = tmp_path / "out"
        data = ["--dataset", str(tmp_path / "hand")]
        assert main(["evaluate", folder, *data, "--out", str(out), "--style", "csv"]) == 0
        assert "maps,iou,0." in capsys.readouterr().out
        kinds = {path.suffix for path in out.iterdir()}
        assert kinds == {".json", ".csv", ".md", ".tex", ".html", ".png", ".pdf", ".svg"}
        assert main(["evaluate", str(out / "evaluation.json"), "--style", "latex"]) == 0
        assert r"\begin{tabular}{lr}" in capsys.readouterr().out

    def test_chosen_on_a_list(self, images, tmp_path, capsys):
        maps = MAPS | {f"t{n}": np.uint16(65535 * scene(n)[1]) for n in range(2)}
        folder = str(save(tmp_path / "maps", maps))
        (tmp_path / "some.txt").write_text("images/t0.png\nt1\n")
        words = ["evaluate", folder, "--dataset", str(tmp_path / "hand"), "--choose-thresholds"]
        assert main([*words, "--on", str(tmp_path / "some.txt"), "--max-fa", "0.1"]) == 0
        assert "chosen on hand some" in capsys.readouterr().out
        assert main([*words, "--on", "nothing"]) == 1
        assert "--on nothing is neither a split" in capsys.readouterr().err
        (tmp_path / "some.txt").write_text("t0\nt9\n")
        assert main([*words, "--on", str(tmp_path / "some.txt")]) == 1
        assert "names t9, which is no image of hand" in capsys.readouterr().err
        assert main([*words, "--th1", "0.4"]) == 1
        assert "--th1 and --choose-thresholds exclude each other" in capsys.readouterr().err

    def test_models_and_predictions_do_not_mix(self, images, tmp_path, capsys):
        folder = str(save(tmp_path / "maps", MAPS))
        assert (
            main(["evaluate", folder, "nuaa-sirst/acm", "--dataset", str(tmp_path / "hand")]) == 1
        )
        assert "other sources are models" in capsys.readouterr().err
        assert main(["evaluate", folder]) == 1
        assert "no dataset given" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "option", [("--choose-thresholds",), ("--out", "x"), ("--style", "csv"), ("--skip-faulty",)]
    )
    def test_options_of_predictions_are_refused_for_models(self, images, tmp_path, capsys, option):
        words = ["evaluate", "nuaa-sirst/acm", "--dataset", str(tmp_path / "hand"), *option]
        assert main(words) == 1
        assert f"{option[0]} is for predictions" in capsys.readouterr().err

    def test_a_single_map_is_no_model(self, images, tmp_path, capsys):
        np.save(tmp_path / "e0.npy", MAPS["e0"])
        words = ["evaluate", str(tmp_path / "e0.npy"), "--dataset", str(tmp_path / "hand")]
        assert main(words) == 1
        assert "is neither a folder nor an npz or json file" in capsys.readouterr().err
