"""Detectors where networks are taken: predict, evaluate, fusion, the command line, the tuner."""

import numpy as np
import pytest

import festkit as fk
from festkit.cli.main import main


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "scenes"
    return fk.make_synthetic_dataset(folder, train=1, test=3, size=96, preset="easy")


def test_a_detector_predicts(scenes):
    sample = fk.load_dataset(scenes, "test")[0]
    detector = fk.create_detector("New Top-Hat")
    fest = fk.FEST({"New Top-Hat": detector}, th1=0.4, th2=None)
    expected = fk.classical.normalize_map(detector.target_map(sample.image))
    assert (fest.probability(sample.image) == expected).all()
    assert (fest.predict(sample.image).mask == (expected > np.float32(0.4))).all()
    assert "NewTopHat" in repr(fest)


def test_weak_targets_of_a_detector(scenes):
    sample = fk.load_dataset(scenes, "test")[0]
    strong = fk.FEST({"MPCM": fk.create_detector("MPCM")}, th1=0.5, th2=None)
    both = fk.FEST({"MPCM": fk.create_detector("MPCM")}, th1=0.5, th2=0.05)
    assert len(both.predict(sample.image).targets()) >= len(strong.predict(sample.image).targets())


def test_a_detector_is_a_scale_of_a_fusion(scenes):
    sample = fk.load_dataset(scenes, "test")[0]
    fest = fk.FEST({32: "ACM", "LCM": fk.create_detector("LCM")}, mean=0.4, std=0.1)
    network, detector = fest.scale_maps(sample.image)
    assert fest.probability(sample.image) == pytest.approx((network + detector) / 2, abs=1e-6)
    with pytest.raises(ValueError, match="save takes networks alone"):
        fest.save("never.safetensors")
    with pytest.raises(ValueError, match="fit takes networks alone"):
        fest.fit(scenes, out="never")


def test_open_model_by_name(scenes):
    fest = fk.open_model("new top-hat")
    assert fest.evaluate(fk.load_dataset(scenes, "test")).images == 3


def test_predict_a_folder(scenes, tmp_path):
    table = fk.predict_images(fk.open_model("Top-Hat"), scenes / "images", tmp_path / "found")
    assert table.is_file()
    with pytest.raises(FileExistsError, match="networks"):
        fk.predict_images(fk.open_model("New Top-Hat"), scenes / "images", tmp_path / "found")


def test_the_tuner_takes_it(scenes):
    tuner = fk.ThresholdTuner.from_fest(fk.open_model("Top-Hat"), fk.load_dataset(scenes, "test"))
    assert tuner.metrics().total.images == 3


def test_commands(scenes, capsys):
    assert main(["detectors"]) == 0
    assert "PSTNN" in capsys.readouterr().out
    assert main(["evaluate", "Top-Hat", "--dataset", str(scenes), "--th1", "0.4"]) == 0
    assert "IoU" in capsys.readouterr().out


def test_a_detector_takes_whole_images(scenes):
    """The map of every tile would reach 1 by itself."""
    image = fk.load_dataset(scenes, "test")[0].image
    with pytest.raises(ValueError, match="leave tile out"):
        fk.tiled_maps(fk.open_model("Top-Hat"), image, 32)


def test_a_network_beside_a_detector_still_shrinks(scenes, tmp_path):
    fest = fk.FEST({32: "ACM", "LCM": fk.create_detector("LCM")}, mean=0.4, std=0.1)
    with pytest.warns(UserWarning, match="shrunk to 32 px"):
        fk.predict_images(fest, scenes / "images", tmp_path / "found")
