"""Arguments of the wrong kind: the message names the argument and what came."""

import numpy as np
import pytest

import festkit as fk

MASK = np.zeros((32, 32), bool)
MASK[3:5, 3:5] = True
PROB = MASK.astype(np.float32)
COUNTS = fk.count(MASK, MASK)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: fk.evaluate(None, [MASK]), "preds is None"),
        (lambda: fk.confidence_intervals(COUNTS), "counts is Counts"),
        (lambda: fk.confidence_intervals(c for c in [COUNTS] * 2), "counts is generator"),
        (lambda: fk.confidence_intervals([COUNTS] * 2, level="95%"), "level is '95%'"),
        (lambda: fk.threshold_surface([PROB], [MASK], [0.5], [0.1], workers="2"), "workers is '2'"),
        (lambda: fk.threshold_surface([PROB], [MASK], [0.5], [0.1]).at(0.5, None), "th2 is None"),
        (
            lambda: fk.threshold_surface([PROB], [MASK], [0.5], [0.1]).best(max_fa="x"),
            "max_fa is 'x'",
        ),
        (lambda: fk.FEST([fk.create_backbone("ACM")]), r"networks by size: \{512: network\}"),
        (
            lambda: fk.tiled_maps(fk.FEST({32: "ACM"}, mean=0.4, std=0.1), MASK, "32"),
            "tile is '32'",
        ),
        (lambda: fk.read_image(MASK), "path is array"),
        (lambda: fk.load_dataset(None, "train"), "dataset is None"),
        (lambda: fk.load_dataset("NUAA-SIRST", None), "split is None, expected one of train"),
        (lambda: fk.resize_map(PROB, True), "size is True"),
    ],
)
def test_the_message_names_it(call, told):
    with pytest.raises(TypeError, match=told) as refused:
        call()
    assert isinstance(refused.value, fk.FestkitError)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"epochs": 1.5}, "epochs is 1.5, expected a whole number"),
        ({"batch_size": "8"}, "batch_size is '8', expected a whole number"),
        ({"learning_rate": "x"}, "learning_rate is 'x', expected a number"),
        ({"holdout": True}, "holdout is True"),
    ],
)
def test_settings_of_a_training(options, told):
    with pytest.raises(TypeError, match=told):
        fk.TrainConfig("sky", size=64, **options)
