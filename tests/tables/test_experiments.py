"""What tables train: the paper's choices, at three costs."""

import pytest

import festkit as fk
from festkit.tables.paper import paper_table
from festkit.tables.specs import TABLES, find_table, paper_dataset
from festkit.tables.trainings import PROFILES, find_profile


def scales(table, profile="paper", **options):
    rows = fk.tables.table_trainings(table, profile, **options)
    return {row: [training.size for training in each] for row, each in rows.items()}


@pytest.mark.parametrize("table", ["input_size", "losses", "hyperparameters", "backbones"])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_rows_are_the_papers(table, profile):
    paper = paper_table(table)
    if table == "backbones":
        paper = paper[paper.dataset == "NUAA-SIRST"]
    assert list(fk.tables.table_trainings(table, profile)) == list(paper.index)


def test_the_papers_sizes():
    assert scales("input_size") == {str(size): [size] for size in range(256, 1025, 128)}
    assert scales("fusion") == scales("input_size")
    for table in ("th1", "th2", "sensitivity"):
        assert scales(table) == {"fused": [896, 768, 1024]}
    assert set(map(tuple, scales("losses").values())) == {(512,)}
    compared = scales("backbones", backbones=["ACM"], dataset="NUDT-SIRST")
    assert compared["ACM, FEST, NUDT-SIRST"] == [256, 384]
    assert scales("backbones", backbones=["ACM"])["ACM, FEST, NUAA-SIRST"] == [512, 768]
    assert scales("backbones", "smoke")["ACM, FEST, NUAA-SIRST"] == [128, 192]


def test_trainings_are_shared_between_tables():
    names = {
        training.name
        for table in TABLES
        for each in fk.tables.table_trainings(table).values()
        for training in each
    }
    # 7 sizes; 5 more losses; 4 + 4 more options; 8 networks with BCE, EEDM and a second size,
    # of which ACM's are there
    assert len(names) == 7 + 5 + 8 + 7 * 3


def test_a_further_size_continues_the_first_where_the_profile_says_so():
    quick = fk.tables.table_trainings("input_size", "quick")["1024"][0]
    assert (quick.size, quick.start.size, quick.options["epochs"]) == (512, 256, 20)
    assert quick.options["learning_rate"] == quick.start.options["learning_rate"] / 2
    assert fk.tables.table_trainings("input_size", "paper")["1024"][0].start is None


def test_every_training_is_one_that_can_be_configured(tmp_path):
    for table in TABLES:
        for profile in PROFILES:
            for each in fk.tables.table_trainings(table, profile).values():
                for training in each:
                    config = fk.tables.training_config(training, "NUAA-SIRST", tmp_path, seed=3)
                    assert config.seed == 3
                    assert config.protocol == ("paper" if profile == "paper" else "last")


def test_one_network_for_all_tables_but_one():
    with pytest.raises(ValueError, match="the table th1 is made with one network, got ACM, ALCNet"):
        fk.tables.table_trainings("th1", backbones=["ACM", "ALCNet"])
    assert fk.tables.table_trainings("th1", backbones=["dnanet"])["fused"][0].backbone == "DNA-Net"
    with pytest.raises(ValueError, match="unknown backbone 'ACN'"):
        fk.tables.table_trainings("backbones", backbones=["ACN"])
    with pytest.raises(ValueError, match="unknown backbone 'ALCNet-LC'"):  # not in the paper
        fk.tables.table_trainings("backbones", backbones=["ALCNet-LC"])


def test_names():
    assert [find_table(str(number)).name for number in range(1, 7)] == list(TABLES)[:6]
    assert find_table("Input-Size") is TABLES["input_size"]
    with pytest.raises(ValueError, match="unknown table '7'"):
        find_table("7")
    with pytest.raises(ValueError, match="unknown profile 'fast'; choose from smoke, quick, paper"):
        find_profile("fast")
    assert paper_dataset("IRSTD-1K") == "IRSTD-1K"
    assert paper_dataset("NUAA-SIRST+NUDT-SIRST") == "NUAA-SIRST"


@pytest.mark.slow
def test_what_a_row_needs_is_trained_once(tmp_path):
    scenes = fk.make_synthetic_dataset(tmp_path / "scenes", train=2, test=1, size=64)
    first = fk.tables.Training("ACM", 32, "BCE", options={"epochs": 1, "protocol": "last"})
    further = fk.tables.Training("ACM", 48, "BCE", {}, first.options, first)
    rows = fk.tables.train_all({"a": [further], "b": [first, further]}, scenes, tmp_path / "runs")
    assert rows == {
        "a": [str(tmp_path / "runs" / "acm-48-bce")],
        "b": [str(tmp_path / "runs" / "acm-32-bce"), str(tmp_path / "runs" / "acm-48-bce")],
    }
    record = tmp_path / "runs" / "acm-32-bce" / "record.json"
    before = record.stat().st_mtime_ns
    fk.tables.train_all(rows={"b": [first]}, dataset=scenes, out=tmp_path / "runs")
    assert record.stat().st_mtime_ns == before
    started = fk.Run(tmp_path / "runs" / "acm-48-bce").record["initial_weights"]
    assert started is not None
