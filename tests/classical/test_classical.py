"""Training-free detectors: section 0's invariants for all, and a slow reference for each."""

import itertools

import cv2
import numpy as np
import pytest
import torch

from festkit.classical import create_detector, list_detectors, normalize_map, patch_image
from festkit.classical.bemd import decompose, local_entropy
from festkit.classical.dtcwt import forward, inverse, oriented
from festkit.classical.low_rank import singular, soft_values, soft_values_near
from festkit.classical.patch_image import sparse_part
from festkit.classical.patches import patch_grid
from festkit.classical.pstnn import corner_prior, unpunished_rank
from festkit.classical.thresholds import best_threshold, detect

SCANS = {"TDLMS", "PSTNN"}
"""Depend on the order of rows and columns."""

POWER = {"MPCM": 2}
"""Maps grow with this power of the gray levels; those not scaled at all are left out."""


def scene(height=97, width=131, *, step=False, depth=np.uint8, seed=0):
    """Noise of 2 levels around 100, a blob of 40 levels at (40, 50), perhaps a vertical step."""
    image = np.random.default_rng(seed).normal(100, 2, (height, width))
    y, x = np.mgrid[:height, :width]
    image += 40 * np.exp(-((y - 40) ** 2 + (x - 50) ** 2) / 2)
    if step:
        image[:, 110:] += 60
    return image.astype(depth)


def near_blob(found):
    y, x = np.unravel_index(found.argmax(), found.shape)
    return max(abs(y - 40), abs(x - 50)) <= 4  # cells of LCM are 9 px wide


@pytest.fixture(params=list_detectors())
def name(request):
    return request.param


class TestEveryDetector:
    @pytest.mark.parametrize("level", [0, 93, 255])
    def test_a_constant_image_is_all_zero(self, name, level):
        found = create_detector(name).target_map(np.full((61, 70), level, np.uint8))
        assert found.dtype == np.float32
        assert not found.any()

    def test_a_blob_is_the_largest(self, name):
        assert near_blob(create_detector(name).target_map(scene(197, 231)))

    def test_a_blob_beside_a_step(self, name):
        assert near_blob(create_detector(name).target_map(scene(197, 231, step=True)))

    def test_sixteen_bit(self, name):
        image = scene(197, 231, depth=np.float64)
        deep = np.rint(image * 50).astype(np.uint16)
        found = create_detector(name).target_map(deep)
        assert found.shape == image.shape
        assert (found >= 0).all()
        assert near_blob(found)

    @pytest.mark.parametrize("shape", [(5, 4), (1, 30), (12, 7)])
    def test_smaller_than_a_window(self, name, shape):
        found = create_detector(name).target_map(scene()[: shape[0], : shape[1]])
        assert found.shape == shape
        assert np.isfinite(found).all()

    def test_a_transposed_image(self, name):
        if name in SCANS:
            pytest.skip("depends on the order of rows and columns")
        detector, image = create_detector(name), scene()
        found, turned = detector.target_map(image), detector.target_map(image.T).T
        assert turned == pytest.approx(found, abs=2e-3 * float(found.max()))

    @pytest.mark.parametrize("name", ["Top-Hat", "New Top-Hat", "Max-Median", "MPCM", "DT-CWT",
                                      "BEMD"])  # fmt: skip
    def test_an_added_constant(self, name):
        detector, image = create_detector(name), scene().astype(np.float32)
        found = detector.target_map(image)
        assert detector.target_map(image + 64) == pytest.approx(
            found, abs=1e-3 * float(found.max())
        )

    @pytest.mark.parametrize("name", ["Top-Hat", "New Top-Hat", "Max-Median", "Max-Mean", "MPCM",
                                      "DT-CWT", "BEMD", "LCM"])  # fmt: skip
    def test_a_scaled_image(self, name):
        detector, image = create_detector(name), scene().astype(np.float32)
        found = detector.target_map(image) * 4.0 ** POWER.get(name, 1)
        assert detector.target_map(image * 4) == pytest.approx(found, rel=1e-4, abs=1e-3)

    def test_a_batch_is_a_loop(self, name):
        detector = create_detector(name)
        images = np.stack([scene(40, 60, seed=k) for k in range(2)])
        alone = np.stack([detector.target_map(image) for image in images])
        assert (detector.target_map(images) == alone).all()
        found = detector.target_map(torch.from_numpy(images))
        assert (found.numpy() == alone).all()

    def test_the_number_of_threads_does_not_matter(self, name):
        detector, image, before = create_detector(name), scene(), torch.get_num_threads()
        maps = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
            maps.append(detector.target_map(image))
        torch.set_num_threads(before)
        assert maps[1] == pytest.approx(maps[0], abs=1e-3 * float(maps[0].max()))

    @pytest.mark.parametrize("bad", [np.full((9, 9), np.nan), np.zeros((2, 3, 4, 5)), np.zeros(7)])
    def test_bad_input(self, name, bad):
        with pytest.raises(ValueError, match="image"):
            create_detector(name).target_map(bad)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"unknown detector 'PSTN'.*Did you mean 'PSTNN'"):
        create_detector("PSTN")
    with pytest.raises(ValueError, match=r"no parameter side; it has window"):
        create_detector("Max-Median", side=3)


def small(shape=(40, 50)):
    return np.random.default_rng(3).uniform(0, 255, shape).astype(np.float32)


def at(image, y, x):
    """A pixel, with replicated borders."""
    return image[np.clip(y, 0, image.shape[0] - 1), np.clip(x, 0, image.shape[1] - 1)]


def window(image, y, x, side):
    around = np.arange(-(side // 2), side // 2 + 1)
    places = (np.clip(k + around, 0, n - 1) for k, n in zip((y, x), image.shape, strict=True))
    return image[np.ix_(*places)]


def pixels(image):
    return itertools.product(*map(range, image.shape))


class TestAgainstLoops:
    def test_top_hat(self):
        image = small()
        eroded = np.array([window(image, y, x, 5).min() for y, x in pixels(image)])
        eroded = eroded.reshape(image.shape)
        opened = np.array([window(eroded, y, x, 5).max() for y, x in pixels(image)])
        found = create_detector("Top-Hat", side=5).target_map(image)
        assert found == pytest.approx(image - opened.reshape(image.shape), abs=1e-4)

    def test_new_top_hat(self):
        image, far = small(), np.abs(np.arange(-4, 5))
        ring = np.maximum.outer(far, far) > 2
        dilated = np.array([window(image, y, x, 9)[ring].max() for y, x in pixels(image)])
        dilated = dilated.reshape(image.shape)
        eroded = np.array([window(dilated, y, x, 9).min() for y, x in pixels(image)])
        found = create_detector("New Top-Hat", outer=4, inner=2).target_map(image)
        expected = np.maximum(image - eroded.reshape(image.shape), 0)
        assert found == pytest.approx(expected, abs=1e-4)

    def test_bemd(self):
        """Two modes, with all distances between extrema."""
        image = small().astype(np.float64)
        residue, total = image, np.zeros_like(image)
        for _ in range(2):
            nearest = []
            for levels in (residue, -residue):
                padded = np.pad(levels, 1, constant_values=-np.inf)
                top = [
                    (y, x) for y, x in pixels(levels)
                    if levels[y, x] > np.delete(padded[y : y + 3, x : x + 3].ravel(), 4).max()
                ]  # fmt: skip
                apart = np.hypot(*np.moveaxis(np.array(top)[:, None] - np.array(top), -1, 0))
                nearest.append((apart + np.diag(np.full(len(top), np.inf))).min())
            side = int(np.ceil(max(nearest))) // 2 * 2 + 1
            bounds = [
                np.array([pick(window(residue, y, x, side)) for y, x in pixels(image)])
                for pick in (np.max, np.min)
            ]
            middle = (sum(bounds) / 2).reshape(image.shape)
            smooth = np.array([window(middle, y, x, side).mean() for y, x in pixels(image)])
            mode = residue - smooth.reshape(image.shape)
            residue, total = residue - mode, total + mode
        found = create_detector("BEMD", modes=2, entropy=None).target_map(image)
        assert found == pytest.approx(np.maximum(total, 0), abs=1e-3)

    def test_dtcwt(self):
        """One level without gate: the background is both lowpass filters of level 1, one by one."""
        image = small()
        low = np.convolve([-1, 5, 12, 5, -1], [-3, -15, 73, 170, 73, -15, -3]).astype(float)
        low /= low.sum()
        padded = np.pad(image.astype(np.float64), 5, mode="symmetric")
        background = [
            (np.outer(low, low) * padded[y : y + 11, x : x + 11]).sum() for y, x in pixels(image)
        ]
        found = create_detector("DT-CWT", levels=1, isotropy=False).target_map(image)
        expected = np.maximum(image - np.reshape(background, image.shape), 0)
        inside = np.s_[6:-6, 6:-6]
        assert found[inside] == pytest.approx(expected[inside], abs=1e-3)

    @pytest.mark.parametrize("method", ["Max-Median", "Max-Mean"])
    def test_lines(self, method):
        image, middle = small(), np.median if method == "Max-Median" else np.mean
        expected = np.empty_like(image)
        for y, x in pixels(image):
            span = range(-3, 4)
            lines = [[at(image, y + dy * k, x + dx * k) for k in span]
                     for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1))]  # fmt: skip
            expected[y, x] = max(image[y, x] - max(map(middle, lines)), 0)
        found = create_detector(method, window=7).target_map(image)
        assert found == pytest.approx(expected, abs=1e-3)

    def test_lcm_and_mpcm(self):
        image, d = small((24, 26)), 3
        lcm, mpcm = np.empty_like(image), np.empty_like(image)
        ring = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
        padded = np.pad(image, 2 * d, mode="edge")
        for y, x in pixels(image):
            cell = window(image, y, x, d)
            centre = y + 2 * d, x + 2 * d
            means = [window(padded, centre[0] + d * i, centre[1] + d * j, d).mean()
                     for i, j in ring]  # fmt: skip
            lcm[y, x] = cell.max() ** 2 / max(means)
            difference = cell.mean() - np.array(means)
            mpcm[y, x] = max((difference[:4] * difference[4:]).min(), 0)
        found = create_detector("LCM", scales=(3,)).target_map(image)
        assert found == pytest.approx(lcm - lcm.min(), rel=1e-4, abs=1e-3)
        found = create_detector("MPCM", scales=(3,), bright_only=False).target_map(image)
        assert found == pytest.approx(mpcm, rel=1e-3, abs=0.1)

    def test_tdlms(self):
        image = small((12, 14)).astype(np.float64)
        near = [(i, j) for i in range(-3, 4) for j in range(-3, 4) if max(abs(i), abs(j)) > 1]
        weights, error = np.full(len(near), 1 / len(near)), np.empty_like(image)
        for y in range(12):
            for x in range(14) if y % 2 == 0 else reversed(range(14)):
                values = np.array([at(image, y + i, x + j) for i, j in near])
                error[y, x] = image[y, x] - weights @ values
                weights = weights + 0.1 * error[y, x] * values / (1e-12 + values @ values)
        found = create_detector("TDLMS", radius=3, guard=1, step=0.1).target_map(image)
        assert found == pytest.approx(np.maximum(error, 0), abs=1e-3)

    def test_pstnn(self):
        """Literal steps with full singular value decompositions, one patch after the other."""
        image = small((40, 50)).astype(np.float64)
        found = create_detector("PSTNN", patch=20, step=20).target_map(image.astype(np.float32))
        corners = [(y, x) for y in (0, 20) for x in (0, 20, 30)]
        cut = lambda of: np.stack([of[y : y + 20, x : x + 20] for y, x in corners], -1)  # noqa: E731
        data, prior = cut(image), cut(corner_prior(image.astype(np.float32)).astype(np.float64))
        keep = unpunished_rank(torch.from_numpy(data))
        sparse, dual, weight, mu, filled = 0 * data, 0 * data, 1 + 0 * data, 2e-3, 0
        spare = 0.6 / np.sqrt(20 * 6)
        for _ in range(500):
            slices = np.fft.fft(data - sparse - dual / mu, axis=2)
            for k in range(6):
                u, s, v = np.linalg.svd(slices[..., k])
                s[keep:] = np.maximum(s[keep:] - 1 / mu, 0)
                slices[..., k] = (u * s) @ v
            low = np.fft.ifft(slices, axis=2).real
            sparse = np.maximum(data - low - dual / mu - spare * weight / mu, 0)
            weight = keep / ((sparse + 0.01) * (prior + 1e-12))
            dual = dual + mu * (low + sparse - data)
            mu *= 1.05
            before, filled = filled, np.count_nonzero(sparse)
            if filled == before:
                break
        total, count = np.zeros_like(image), np.zeros_like(image)
        for k, (y, x) in enumerate(corners):
            total[y : y + 20, x : x + 20] += sparse[..., k]
            count[y : y + 20, x : x + 20] += 1
        assert found == pytest.approx(total / count, abs=1e-2)


@pytest.mark.slow
def test_the_support_rule_of_pstnn():
    """Stopping early finds the pixels that running to the end finds."""
    early, late = (
        create_detector("PSTNN", support=support).target_map(scene(197, 231))
        for support in (True, False)
    )
    assert near_blob(early)
    assert near_blob(late)
    both = [detect(found, "fixed") for found in (early, late)]
    assert np.logical_and(*both).sum() >= 0.6 * np.logical_or(*both).sum()


class TestTransform:
    def test_perfect_reconstruction(self):
        image = np.random.default_rng(0).normal(size=(48, 64))
        assert np.abs(inverse(*forward(image, 4)) - image).max() < 1e-10

    def test_energies_hardly_change_with_a_shift(self):
        y, x = np.mgrid[:64, :64]
        image = np.exp(-((y - 30) ** 2 + (x - 32) ** 2) / 2)

        def energies(shift):
            _, bands = forward(np.roll(image, shift, axis=1), 3)
            return np.array([(np.abs(oriented(band)) ** 2).sum() for band in bands[1:]])

        assert energies(1) == pytest.approx(energies(0), rel=0.05)

    def test_a_wave_is_in_one_orientation(self):
        y, x = np.mgrid[:64, :64]
        peaks = set()
        for angle in (15, 45, 75, -15, -45, -75):
            turn = np.deg2rad(angle)
            wave = np.cos(2 * np.pi / 4 * (np.cos(turn) * x + np.sin(turn) * y))
            _, bands = forward(wave, 3)
            energy = (np.abs(oriented(bands[1])[:, 4:12, 4:12]) ** 2).sum((1, 2))
            peaks.add(int(energy.argmax()))
        assert len(peaks) == 6

    def test_modes_add_up(self):
        image = small().astype(np.float64)
        modes, residue = decompose(image, 3)
        assert sum(modes) + residue == pytest.approx(image, abs=1e-9)
        y, x = np.mgrid[:64, :96]
        wave = np.sin(2 * np.pi * x / 8) * np.sin(2 * np.pi * y / 8)
        (mode, *_), _ = decompose(wave + 0.05 * x, 1, "d4")
        inside = np.s_[16:-16, 16:-16]
        assert np.corrcoef(mode[inside].ravel(), wave[inside].ravel())[0, 1] > 0.95

    def test_the_entropy_of_windows(self):
        image = small((12, 14))
        expected = np.empty(image.shape)
        for y, x in pixels(image):
            share = window(image.astype(np.float64), y, x, 5) / window(image, y, x, 5).sum()
            expected[y, x] = -(share * np.log(share)).sum()
        assert local_entropy(image, 5) == pytest.approx(expected, rel=1e-5)
        single = np.zeros((9, 9))
        single[4, 4] = 9
        assert local_entropy(single, 5)[2:7, 2:7] == pytest.approx(1)


class TestLowRank:
    def test_patches_go_back(self):
        image = torch.from_numpy(small((53, 71)))
        grid = patch_grid((53, 71), 20, 7)
        for back in (grid.mean, grid.median):
            assert back(grid.cut(image)).numpy() == pytest.approx(image.numpy(), abs=1e-4)

    def test_the_median_of_overlaps(self):
        grid = patch_grid((30, 34), 10, 4)
        patches = torch.from_numpy(
            np.random.default_rng(0).random((len(grid.rows) * len(grid.columns), 10, 10))
        )
        stack = [[[] for _ in range(34)] for _ in range(30)]
        for (y, x), patch in zip(itertools.product(grid.rows, grid.columns), patches, strict=True):
            for i, j in itertools.product(range(10), range(10)):
                stack[y + i][x + j].append(float(patch[i, j]))
        expected = np.array([[np.median(values) for values in row] for row in stack])
        assert grid.median(patches).numpy() == pytest.approx(expected)

    @pytest.mark.parametrize("keep", [0, 3])
    def test_singular_values_against_a_decomposition(self, keep):
        matrix = torch.from_numpy(np.random.default_rng(1).normal(size=(60, 90)))
        u, s, v = np.linalg.svd(matrix.numpy(), full_matrices=False)
        s[keep:] = np.maximum(s[keep:] - 9, 0)
        assert soft_values(matrix, 9, keep).numpy() == pytest.approx((u * s) @ v, abs=1e-8)

    @pytest.mark.parametrize(
        ("threshold", "rank", "most"), [(9, 20, 300), (9, 1, 300), (9, 20, 12)]
    )
    def test_singular_values_near_known_vectors(self, threshold, rank, most):
        source = np.random.default_rng(2)
        u, _ = np.linalg.qr(source.normal(size=(300, 200)))
        v, _ = np.linalg.qr(source.normal(size=(200, 200)))
        s = np.r_[np.geomspace(1000, 10, 20), np.geomspace(0.1, 1e-3, 180)]
        matrix, near = (u * s) @ v.T, v[:, :rank] + 1e-3 * source.normal(size=(200, rank))
        out = torch.zeros(300, 200, dtype=torch.float64)
        vectors, found = soft_values_near(
            torch.from_numpy(matrix),
            threshold,
            2,
            vectors=torch.from_numpy(near),
            rank=rank,
            most=most,
            out=out,
        )
        s[2:] = np.maximum(s[2:] - threshold, 0)
        assert found == 20 if most > 20 else found > most
        if found <= most:
            assert out.numpy() == pytest.approx((u * s) @ v.T, abs=0.01)
            angles = np.linalg.svd(vectors[:, :12].numpy().T @ v[:, :12], compute_uv=False)
            assert angles == pytest.approx(1, abs=1e-5)

    def test_vectors_that_lapack_leaves_undefined(self, monkeypatch):
        plain = torch.linalg.eigh

        def undefined(gram):
            values, vectors = plain(gram)
            return values, vectors * (torch.nan if gram.dtype == torch.float32 else 1)

        monkeypatch.setattr(torch.linalg, "eigh", undefined)
        values, vectors = singular(torch.diag(torch.tensor([3.0, 1.0])))
        assert values.tolist() == pytest.approx([3, 1])
        assert vectors.isfinite().all()

    def test_matrices_that_lapack_cannot_decompose(self, monkeypatch):
        def fails(gram):
            raise torch.linalg.LinAlgError("failed to converge")

        matrix = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 9)))
        expected = soft_values(matrix, 1)
        monkeypatch.setattr(torch.linalg, "eigh", fails)
        assert soft_values(matrix, 1).numpy() == pytest.approx(expected.numpy())

    def test_compiled_steps_equal_those_of_torch(self, monkeypatch):
        data = torch.from_numpy(small()).double()
        compiled = sparse_part(data, 0.1)
        monkeypatch.setattr(patch_image, "COMPILED_ON", ())
        assert sparse_part(data, 0.1).numpy() == pytest.approx(compiled.numpy(), abs=1e-6)

    def test_values_lost_in_single_precision(self):
        """Their vectors stay finite, and the next step begins with them."""
        source = np.random.default_rng(4)
        u, _ = np.linalg.qr(source.normal(size=(300, 200)))
        v, _ = np.linalg.qr(source.normal(size=(200, 200)))
        s = np.geomspace(1e5, 1e-4, 200)
        matrix = torch.from_numpy(((u * s) @ v.T).astype(np.float32))
        out, vectors, rank = torch.empty_like(matrix), torch.eye(200)[:, :2], 2
        for _ in range(3):
            vectors, rank = soft_values_near(
                matrix, 900.0, 1, vectors=vectors, rank=rank, most=300, out=out
            )
            assert vectors.isfinite().all()
        assert rank == (s > 900).sum()
        s[1:] = np.maximum(s[1:] - 900, 0)
        assert out.numpy() == pytest.approx((u * s) @ v.T, abs=1)

    @pytest.mark.parametrize("nonnegative", [False, True])
    def test_recovery(self, nonnegative):
        source = np.random.default_rng(0)
        low = source.normal(size=(100, 3)) @ source.normal(size=(3, 80))
        sparse = np.where(source.random((100, 80)) < 0.01, source.uniform(5, 10, (100, 80)), 0)
        data = torch.from_numpy(low + sparse)
        spikes = sparse_part(data, 0.1, nonnegative=nonnegative)
        assert np.linalg.norm((data - spikes).numpy() - low) < 1e-4 * np.linalg.norm(low)
        assert np.linalg.norm(spikes.numpy() - sparse) < 1e-4 * np.linalg.norm(sparse)
        assert not nonnegative or (spikes >= 0).all()

    @pytest.mark.parametrize("weight", [0.1, 0.3])
    @pytest.mark.parametrize(("energy", "nonnegative"), [(None, False), (0.05, True)])
    @pytest.mark.parametrize(("truncation", "tol"), [(1, 1e-7), (0.3, 1e-3)])
    def test_against_literal_steps(self, weight, energy, nonnegative, truncation, tol):
        source = np.random.default_rng(0)
        data = source.normal(100, 1, (90, 50))
        data += 20 * source.normal(size=(90, 4)) @ source.normal(size=(4, 50))
        data[source.random((90, 50)) < 0.02] += 60
        s = np.linalg.svd(data, compute_uv=False)
        keep = np.count_nonzero(s >= energy * s[0]) if energy else 0
        y, b, mu = data / max(s[0], abs(data).max() / weight), 0 * data, 1.25 / s[0]
        while True:
            rest = data - b + y / mu
            t = np.maximum(abs(rest) - weight / mu, 0) * np.where(rest < 0, -1 + nonnegative, 1)
            u, s, v = np.linalg.svd(data - t + y / mu, full_matrices=False)
            s[keep:] = np.maximum(s[keep:] - 1 / mu, 0)
            b = (u * s) @ v
            y += mu * (data - b - t)
            mu *= 1.5
            rank = np.count_nonzero(s)
            done = np.linalg.norm(data - b - t) <= tol * np.linalg.norm(data)
            if done or rank > max(keep, truncation * 50):
                break
        sparse = sparse_part(
            torch.from_numpy(data),
            weight,
            energy=energy,
            nonnegative=nonnegative,
            truncation=truncation,
            tol=tol,
        )
        assert sparse.numpy() == pytest.approx(t, abs=1e-6)

    @pytest.mark.parametrize("truncation", [1, 0.3])
    def test_black_patches_stay_black(self, truncation, monkeypatch):
        data = torch.from_numpy(small((90, 50))).double()
        data[:, 5:40] = 0
        target = sparse_part(data, 0.1, truncation=truncation)
        assert not target[:, 5:40].any()
        monkeypatch.setattr(torch.Tensor, "any", lambda *_: torch.tensor(True))
        assert target.numpy() == pytest.approx(
            sparse_part(data, 0.1, truncation=truncation).numpy(), abs=1e-6
        )

    def test_a_large_weight_leaves_no_target(self):
        assert not sparse_part(torch.from_numpy(small()), 1e3).any()


class TestThresholds:
    def test_a_flat_map_detects_nothing(self):
        for rule in ("dna", "k-sigma", "ipi", "fixed"):
            assert not detect(np.full((5, 5), 3.0), rule).any()

    def test_rules_by_hand(self):
        target = np.zeros((10, 10))
        target[4, 4], target[5, 5] = 10, 6
        assert detect(target, "fixed").sum() == 2
        assert detect(target, "dna").sum() == 1  # 0.7 of the maximum
        assert detect(target, "k-sigma", k=3).sum() == 2
        assert detect(target, "k-sigma", k=6).sum() == 1

    def test_the_best_of_a_set(self):
        maps = [np.array([[0.0, 0.3, 0.9, 1.0]]), np.array([[0.0, 2.0, 8.0, 10.0]])]
        masks = [np.array([[False, False, True, True]])] * 2
        threshold, iou = best_threshold(maps, masks)
        assert iou == 1
        assert 0.2 < threshold < 0.8

    def test_the_oracle_needs_a_set(self):
        with pytest.raises(ValueError, match="best_threshold"):
            detect(np.eye(3), "best256")

    def test_normalize(self):
        both = np.stack([np.arange(4.0).reshape(2, 2), np.full((2, 2), 7.0)])
        assert normalize_map(both)[0].max() == 1
        assert not normalize_map(both)[1].any()
