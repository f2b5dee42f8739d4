"""Maps for the tuner's browser tests, the same in the tests and in the kernel of a notebook."""

import numpy as np
import torch
from goldens import GOLDENS, bits, dense
from scipy.ndimage import gaussian_filter, label

import festkit as fk
from festkit._support.files import write_json
from festkit.training.run import Run


def single_maps():
    """{name: (map, truth, [(th1, th2), ...])}: goldens of one map, and random ones."""
    cases = {}
    for case in GOLDENS["as_single"]:
        prob = dense(case["map"])
        pairs = [(case["th1"], case["th2"]), (0.35, 0.2)]
        cases[f"AS: {case['name']}"] = prob, rolled(prob > 0.2), pairs
    for case in GOLDENS["metrics"]:
        pred, truth = bits(case["pred"]), bits(case["gt"])
        stacks = zip(np.atleast_3d(pred.T).T, np.atleast_3d(truth.T).T, strict=True)
        for k, (one, true) in enumerate(stacks):
            cases[f"counts {k}: {case['name']}"] = one * np.float32(0.75), true, [(0.5, 0.1)]
    for seed in range(20):
        prob, truth = random_map(seed)
        cases[f"random {seed}"] = prob, truth, [(0.5, 0.1), (0.305, 0.0525), (0.9, 0.0001)]
    return cases


def scale_maps():
    """{name: (scales, truth, [(th1, th2), ...])}: goldens of several scales, and random ones."""
    cases = {}
    for case in GOLDENS["as_multiscale"]:
        scales = [dense(sparse) for sparse in case["maps"]]
        cases[case["name"]] = scales, rolled(scales[0] > 0.2), [(case["th1"], case["th2"])]
    for seed in range(6):
        first, truth = random_map(seed)
        second = np.roll(first, (1, 2), (0, 1)) * np.float32(0.8)
        cases[f"random {seed}"] = [first, second], truth, [(0.5, 0.1), (0.31, 0.3)]
    return cases


def fused(scales):
    """Their mean, as FEST takes it."""
    return fk.fuse(scales, scales[0].shape)


def rolled(mask):
    """A mask moved by two pixels, so that centroids match, and pixels do not quite."""
    return np.roll(mask, 2, axis=1)


def random_map(seed):
    """Smoothed noise of another size each time, with a truth that it partly follows."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(20, 240, size=2)
    noise = gaussian_filter(rng.normal(size=(height, width)), rng.uniform(0.6, 3))
    prob = (noise - noise.min()) / np.ptp(noise)
    truth = prob > np.quantile(prob, 0.97)
    return (prob ** rng.uniform(1, 4)).astype(np.float32), np.roll(truth, int(seed % 4), axis=0)


def hand_made_run(folder, *, images=12, size=96, maps=1, seed=3):
    """Finished runs that never trained: maps are the truths, blurred, some too low, some false."""
    scenes = fk.make_synthetic_dataset(
        folder / "scenes", train=2, test=images, size=size, seed=seed
    )
    test, train = (fk.load_dataset(scenes, split) for split in ("test", "train"))
    runs = []
    for k in range(maps):
        rng = np.random.default_rng(seed + k)
        run = Run(folder / str(32 * (k + 1)))
        run.write_maps("test", {sample.name: likely(sample.mask, rng) for sample in test})
        torch.manual_seed(0)
        card = {"backbone": "ACM", "in_channels": 3, "size": 32 * (k + 1)}
        card |= {"mean": 0.4, "std": 0.1, "train_split": train.fingerprint}
        fk.save_weights(fk.create_backbone("ACM"), run.weights, card)
        write_json(
            run.folder / "record.json",
            card | {"dataset": "scenes", "test_split": test.fingerprint},
        )
        runs.append(run)
    return runs


def likely(mask, rng):
    """A map as a network might give it."""
    heights = np.zeros(mask.shape, np.float32)
    labels, targets = label(mask, np.ones((3, 3)))
    of_scene = np.random.default_rng(int(mask.sum()))  # what is hard is hard at every scale
    for target in range(1, targets + 1):
        heights[labels == target] = of_scene.choice([0.03, 0.4, 1.5], p=[0.25, 0.25, 0.5])
    for _ in range(rng.integers(0, 3)):
        y, x = (rng.integers(0, side) for side in mask.shape)
        heights[y : y + 3, x : x + 3] = rng.uniform(0.15, 0.9)
    return np.clip(gaussian_filter(heights, 0.7), 0, 1)
