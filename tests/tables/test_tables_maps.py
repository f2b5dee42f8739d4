"""Tables from shipped weights, without any training."""

import pytest

import festkit as fk
from festkit.tables import maps


@pytest.fixture
def few_scenes(monkeypatch):
    monkeypatch.setattr(maps, "SCENES", {"train": 0, "test": 2, "size": 64, "preset": "easy"})


@pytest.mark.slow
def test_the_fused_row_of_shipped_weights(tmp_path, few_scenes):
    opened = fk.tables.open_table("th1", "shipped", tmp_path, threads=1)["fused"]
    assert opened.sizes == (512, 768)
    image = opened[0]
    fest = fk.FEST.from_pretrained("ACM", "NUAA-SIRST")
    assert image.prob == pytest.approx(fest.probability(image.sample.image), abs=2e-5)


@pytest.mark.slow
def test_maps_that_are_there_are_not_computed_again(tmp_path, few_scenes, monkeypatch):
    fk.tables.open_table("th1", "shipped", tmp_path, threads=1)
    monkeypatch.setattr(maps.FEST, "probability", None)
    fk.tables.open_table("th1", "shipped", tmp_path, threads=1)


@pytest.mark.slow
def test_a_killed_computation_is_done_again(tmp_path, few_scenes):
    scenes = fk.make_synthetic_dataset(tmp_path / "scenes", **maps.SCENES)
    run = fk.tables.shipped_run("nuaa-sirst/acm-256-eedm", scenes, tmp_path, threads=1)
    before = dict(fk.open_maps(run)[0].sample._asdict())
    (run.folder / "record.json").unlink()
    again = fk.tables.shipped_run("nuaa-sirst/acm-256-eedm", scenes, tmp_path, threads=1)
    assert fk.open_maps(again)[0].sample.name == before["name"]


def test_a_table_without_shipped_weights(tmp_path, few_scenes):
    with pytest.raises(ValueError, match=r"losses.*profile"):
        fk.tables.open_table("losses", "shipped", tmp_path)


@pytest.mark.slow
def test_the_record_claims_no_other_images(tmp_path, few_scenes):
    scenes = fk.make_synthetic_dataset(tmp_path / "scenes", **maps.SCENES)
    run = fk.tables.shipped_run("nuaa-sirst/acm-256-eedm", scenes, tmp_path, threads=1)
    assert "test" not in run.record
    assert run.record["dataset"] == "scenes"


@pytest.mark.slow
def test_the_run_remembers_its_images(tmp_path, few_scenes):
    scenes = fk.make_synthetic_dataset(tmp_path / "elsewhere" / "scenes", **maps.SCENES)
    run = fk.tables.shipped_run("nuaa-sirst/acm-256-eedm", scenes, tmp_path / "runs", threads=1)
    assert len(fk.open_maps(run)) == 2
