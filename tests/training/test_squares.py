"""Training on squares of native images at drawn factors, and the augmentation for the sensor."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

import festkit as fk
from festkit.training.augment import PartGenerator, change_sensor
from festkit.training.config import TrainConfig
from festkit.training.squares import JITTER, NativeImages

CPU = torch.device("cpu")


def write_set(folder: Path, images: list[np.ndarray], masks: list[np.ndarray]) -> Path:
    for place, arrays in (("image", images), ("mask", masks)):
        (folder / "train" / place).mkdir(parents=True)
        for number, array in enumerate(arrays):
            Image.fromarray(array).save(folder / "train" / place / f"{number:03d}.png")
    return folder


def native(folder: Path, **options) -> NativeImages:
    settings = {"size": 32, "scales": (1.0, 2.0), "batch_size": 4} | options
    config = TrainConfig(str(folder), **settings)
    return NativeImages.read(fk.load_dataset(folder, "train"), config, CPU)


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture
def ramps(tmp_path) -> NativeImages:
    """Images whose gray level rises by one a column, with one target each."""
    ramp = np.tile(np.arange(200, dtype=np.uint8), (150, 1))
    mask = np.zeros((150, 200), np.uint8)
    mask[70:73, 120:124] = 255
    return native(write_set(tmp_path / "ramps", [ramp] * 3, [mask] * 3))


def test_factors_are_those_of_the_configuration_and_vary_around_them(ramps):
    """The range of gray levels in a square of 32 px is the width of its window, less a column."""
    index = torch.arange(3).repeat(80)
    gray, _ = ramps._squares(index, generator(), on_target=0.0)
    widths = gray.flatten(1).float().max(1).values - gray.flatten(1).float().min(1).values + 1
    factors = 32 / widths
    assert factors.min() >= 1.0 / JITTER * 0.93  # whole columns
    assert factors.max() <= 2.0 * JITTER * 1.1
    assert factors.min() < 1.0
    assert factors.max() > 2.0


def test_images_and_masks_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    masks = [np.kron(rng.random((12, 15)) < 0.1, np.ones((10, 10))).astype(np.uint8) * 255]
    images = native(write_set(tmp_path / "same", masks, masks))
    gray, mask = images._squares(torch.zeros(50, dtype=torch.int64), generator(), on_target=0.5)
    wrong = ((gray > 127) != mask).float().mean()
    assert mask.any()
    assert wrong < 0.01


def test_a_square_on_a_target_has_one(ramps):
    _, mask = ramps._squares(torch.arange(3).repeat(40), generator(), on_target=1.0)
    assert mask.flatten(1).any(1).all()


def test_squares_anywhere_hold_the_target_as_often_as_windows_do(ramps):
    """A window of side w at a random place holds some of a target of 3 x 4 px; counted by hand."""
    _, mask = ramps._squares(torch.arange(3).repeat(400), generator(), on_target=0.0)
    found = mask.flatten(1).any(1).float().mean().item()
    draws = np.exp(np.random.default_rng(0).uniform(*np.log([1 / JITTER, 2 * JITTER]), 4000))
    chances = []
    for side in np.rint(32 / draws).astype(int):
        rows = sum(1 for top in range(150 - side + 1) if top < 73 and top + side > 70)
        columns = sum(1 for left in range(200 - side + 1) if left < 124 and left + side > 120)
        chances.append(rows * columns / (150 - side + 1) / (200 - side + 1))
    assert found == pytest.approx(np.mean(chances), abs=0.03)


def test_gray_levels_are_normalised_by_their_whole_image(ramps):
    image = ramps.natural(torch.tensor([1]), 1, generator())
    gray, _ = ramps._squares(torch.tensor([1]), generator(), on_target=0.0)
    levels = np.arange(200)
    expected = (gray.numpy() - levels.mean()) / levels.std()
    np.testing.assert_allclose(image.numpy(), expected, atol=1e-5)


def test_nothing_is_pasted_where_squares_are_anywhere(ramps):
    """The share of targets is then the natural one."""
    index = torch.arange(3).repeat(60)
    shares = []
    for on_target in (0.5, 0.0):
        _, mask = ramps.batch(index, (32, on_target), 1, generator())
        shares.append(mask.flatten(1).any(1).float().mean().item())
    _, plain = ramps._squares(index, generator(), on_target=0.0)
    natural = plain.flatten(1).any(1).float().mean().item()
    assert shares[0] > 0.5
    assert shares[1] == pytest.approx(natural, abs=0.03)


def test_images_smaller_than_a_window_are_mirrored(tmp_path):
    small = np.random.default_rng(0).integers(0, 255, (20, 25), np.uint8)
    mask = np.zeros_like(small)
    mask[4:6, 4:6] = 255
    images = native(write_set(tmp_path / "small", [small] * 2, [mask] * 2))
    gray, found = images._squares(torch.arange(2), generator(), on_target=1.0)
    assert gray.shape == (2, 1, 32, 32)
    assert found.any()


def test_a_set_without_targets_is_refused(tmp_path):
    empty = np.zeros((40, 40), np.uint8)
    folder = write_set(tmp_path / "empty", [empty + 7, empty + 9], [empty, empty])
    with pytest.raises(ValueError, match="none of the 2 training masks has a target"):
        native(folder)


def test_parts_of_a_batch_are_those_of_the_whole(ramps):
    """Two processes compute what one would."""
    index = torch.arange(3).repeat(2)[:5]

    def part(own: slice) -> tuple[torch.Tensor, torch.Tensor]:
        draws = PartGenerator()
        draws.manual_seed(3)
        draws.total, draws.own = 5, own
        return ramps.batch(index[own], (32, 0.5), 1, draws)

    whole, parts = part(slice(None)), [part(slice(rank, None, 2)) for rank in range(2)]
    for rank, (image, mask) in enumerate(parts):
        torch.testing.assert_close(image, whole[0][rank::2])
        assert torch.equal(mask, whole[1][rank::2])


def test_the_sensor_changes_gain_and_offset_within_their_limits():
    gray = torch.randn(200, 1, 16, 16, generator=generator())
    changed = change_sensor(gray, generator(1), noise=0, stripes=0, blur=0)
    for before, after in zip(gray, changed, strict=True):
        gain = after.std() / before.std()
        offset = (after - gain * before).mean()
        assert 1 / 1.6 - 1e-3 <= gain <= 1.6 + 1e-3
        assert abs(offset) <= 0.5 + 1e-3
        torch.testing.assert_close(after, gain * before + offset, atol=1e-4, rtol=1e-4)


def test_noise_is_added_to_a_third_of_the_images():
    changed = change_sensor(torch.zeros(600, 1, 16, 16), generator(), offset=0, stripes=0, blur=0)
    noisy = changed.flatten(1).std(1)
    assert 0.27 < (noisy > 1e-6).float().mean() < 0.4
    assert noisy.max() < 0.2 * 1.2


def test_stripes_run_along_rows_or_columns():
    changed = change_sensor(torch.zeros(300, 1, 16, 16), generator(), offset=0, noise=0, blur=0)
    rows = changed.std(3).flatten(1).amax(1) < 1e-6  # every row has one value
    columns = changed.std(2).flatten(1).amax(1) < 1e-6
    striped = changed.flatten(1).std(1) > 1e-6
    assert (rows | columns).all()
    assert 0.27 < striped.float().mean() < 0.4
    assert (striped & rows).any()
    assert (striped & columns).any()


def test_blur_is_that_of_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    gray = torch.randn(40, 1, 24, 24, generator=generator())
    changed = change_sensor(gray, generator(5), gain=1, offset=0, noise=0, stripes=0)
    blurred = [k for k in range(40) if not torch.allclose(changed[k], gray[k], atol=1e-5)]
    assert 6 <= len(blurred) <= 20
    for k in blurred:
        image = gray[k, 0].numpy()
        errors = [
            np.abs(
                ndimage.gaussian_filter(image, width, mode="nearest", radius=2)
                - changed[k, 0].numpy()
            ).max()
            for width in np.linspace(0.01, 0.8, 400)
        ]
        assert min(errors) < 0.02
