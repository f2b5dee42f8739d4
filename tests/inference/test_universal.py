"""The universal network, as it is shipped, on frames of any size."""

import numpy as np
import pytest

import festkit as fk
from festkit.scenes import make_scene


@pytest.fixture(scope="module")
def universal():
    return fk.FEST.from_pretrained("universal", device="cpu")


def centres(found: fk.Detection) -> np.ndarray:
    return np.array([target.centroid for target in found.targets()]).reshape(-1, 2)


def test_every_name_opens_it(universal):
    for model in (
        fk.open_model("universal", device="cpu"),
        fk.FEST.from_pretrained("ACM", "universal", device="cpu"),
    ):
        assert model.identity() == universal.identity()
        assert (model.th1, model.th2, model.rule) == (universal.th1, universal.th2, universal.rule)


@pytest.mark.parametrize("seed", [3, 5, 8])
def test_a_target_keeps_its_detection_where_its_frame_is_cut_out_of_a_larger_one(universal, seed):
    scene = make_scene(seed, size=(300, 420), preset="easy", targets=3)
    whole = centres(universal.predict(scene.image))
    inside = 0
    for row, column in whole:
        top, left = (int(np.clip(at - 70, 0, side - 140)) for at, side in
                     ((row, 300), (column, 420)))  # fmt: skip
        part = centres(universal.predict(scene.image[top : top + 140, left : left + 140]))
        distance = np.linalg.norm(part - [row - top, column - left], axis=1)
        assert distance.min(initial=np.inf) < 3, (row, column)
        inside += 1
    assert inside >= 2


@pytest.mark.parametrize("shape", [(37, 53), (128, 128), (256, 320)])
def test_it_finds_a_spot_in_frames_of_any_size(universal, shape):
    rng = np.random.default_rng(0)
    gray = rng.normal(90, 3, shape)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    row, column = shape[0] // 2, shape[1] // 3
    gray += 80 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * 1.2**2))
    found = centres(universal.predict(np.clip(gray, 0, 255).astype(np.uint8)))
    assert np.linalg.norm(found - [row, column], axis=1).min(initial=np.inf) < 2
    assert len(found) == 1
