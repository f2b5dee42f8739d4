"""What a table needs: everything once, in order, and how long it takes."""

import pytest

import festkit as fk
from festkit._support.files import write_json
from festkit.jobs.job import Job
from festkit.jobs.schedule import estimate_minutes
from festkit.tables.plan import plan_jobs


def notebooks(jobs):
    return [job.key.rpartition("-")[0] for job in jobs]


def trainings(jobs):
    return [job for job in jobs if job.notebook == "02_train"]


def test_every_job_comes_after_what_it_needs_and_once():
    jobs = plan_jobs("all")
    seen = set()
    for job in jobs:
        assert {need.key for need in job.needs} <= seen
        assert job.key not in seen
        seen.add(job.key)
    names = notebooks(jobs)
    assert names[0] == "01_data"
    assert names.count("02_train") == 7 + 5 + 8 + 7 * 3  # as in test_experiments
    assert sorted({*names}) == [
        "01_data", "02_train", "03_fuse_and_refine", "fig5_hyperparameters", "fig7_sensitivity",
        "table1_input_size", "table2_losses", "table3_fusion", "table4_th1", "table5_th2",
        "table6_backbones",
    ]  # fmt: skip


def test_tables_share_their_trainings():
    sizes, fusion = plan_jobs("input_size"), plan_jobs("fusion")
    assert [job.key for job in sizes[:-1]] == [job.key for job in fusion[:-1]]
    every = {job.key for job in plan_jobs("all")}
    assert {job.key for job in plan_jobs("losses")} < every


def test_where_jobs_run_does_not_matter():
    here = [job.key for job in plan_jobs("th1")]
    there = plan_jobs("th1", data_root="/data", device="cuda", threads=4)
    assert [job.key for job in there] == here
    assert {job.parameters["train_options"]["device"] for job in trainings(there)} == {"cuda"}


def test_real_images_are_taken_as_they_are(tmp_path):
    jobs = plan_jobs("losses", "quick", data_root=str(tmp_path))
    assert {job.parameters["dataset"] for job in jobs} == {"NUAA-SIRST"}
    assert notebooks(jobs) == ["02_train"] * 6 + ["table2_losses"]
    assert "01_data" in notebooks(
        plan_jobs("all", "quick", backbones=["ACM"], data_root=str(tmp_path))
    )


def test_the_papers_own_set_is_not_public_so_a_union_stands_for_it(tmp_path):
    union = "NUAA-SIRST+NUDT-SIRST+IRSTD-1K"
    nowhere = {"data_root": str(tmp_path)}  # images that are there are read for their hash
    assert {job.parameters["dataset"] for job in plan_jobs("th1", "paper", **nowhere)} == {union}
    given = plan_jobs("th1", "paper", [str(tmp_path)])
    assert {job.parameters["dataset"] for job in given} == {str(tmp_path)}
    compared = plan_jobs("backbones", "paper", backbones=["ACM"], **nowhere)
    assert notebooks(compared).count("table6_backbones") == 3
    sizes = {(job.parameters["dataset"], job.parameters["size"]) for job in trainings(compared)}
    assert sizes == {
        ("NUAA-SIRST", 512), ("NUAA-SIRST", 768), ("NUDT-SIRST", 256), ("NUDT-SIRST", 384),
        ("IRSTD-1K", 512), ("IRSTD-1K", 768),
    }  # fmt: skip


def test_a_planned_training_is_the_one_that_a_notebook_alone_carries_out(tmp_path):
    for profile in ("smoke", "quick", "paper"):
        planned = {
            (job.parameters["size"], job.parameters["loss"]): job.parameters
            for job in trainings(
                plan_jobs("losses", profile, ["NUAA-SIRST"], data_root=str(tmp_path))
            )
        }
        for (training,) in fk.tables.table_trainings("losses", profile).values():
            expected = fk.tables.training_config(training, "NUAA-SIRST", tmp_path)
            given = planned[training.size, training.loss]
            config = fk.TrainConfig(
                given["dataset"], size=given["size"], backbone=given["backbone"],
                loss=given["loss"], **given["train_options"],
            )  # fmt: skip
            assert config.to_dict() == expected.to_dict()
            assert given["profile"] == profile


def test_seeds_are_those_of_trainings_on_the_same_scenes():
    jobs = plan_jobs("losses", seeds=(0, 1))
    assert notebooks(jobs).count("01_data") == 1
    assert notebooks(jobs).count("02_train") == 12


def test_real_images_are_looked_at_once_whatever_the_seeds(tmp_path):
    jobs = plan_jobs("all", "quick", backbones=["ACM"], seeds=(0, 1), data_root=str(tmp_path))
    assert notebooks(jobs).count("01_data") == 1
    assert notebooks(jobs).count("03_fuse_and_refine") == 2


def test_a_dataset_of_the_paper_by_name_or_folder_has_its_rows_and_sizes(tmp_path):
    (tmp_path / "NUDT-SIRST").mkdir()
    for dataset in ("nudt-sirst", str(tmp_path / "NUDT-SIRST")):
        options = {"backbones": ["ACM"], "data_root": str(tmp_path / "nowhere")}
        jobs = plan_jobs("backbones", "quick", [dataset], **options)
        assert {job.parameters["size"] for job in trainings(jobs)} == {128, 192}
        assert "ACM, FEST, NUDT-SIRST" in jobs[-1].parameters["runs"]


def test_every_seed_is_a_table_of_its_own(tmp_path):
    jobs = plan_jobs("losses", "quick", seeds=(0, 1, 2), data_root=str(tmp_path))
    assert len(jobs) == 3 * 7
    assert [job.parameters["seed"] for job in jobs if job.notebook == "table2_losses"] == [0, 1, 2]


def test_several_networks_for_the_table_that_compares_them():
    jobs = plan_jobs("all", backbones=["ALCNet", "ACM"])
    networks = {job.parameters["backbone"] for job in trainings(jobs)}
    assert networks == {"ALCNet", "ACM"}
    with pytest.raises(ValueError, match="the table losses is made with one network"):
        plan_jobs("losses", backbones=["ALCNet", "ACM"])


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown table 'table9'"):
        plan_jobs("table9")
    with pytest.raises(ValueError, match="unknown profile 'slow'; choose from smoke, quick, paper"):
        plan_jobs("all", "slow")
    with pytest.raises(ValueError, match=r"unknown dataset 'NUAASIRT'.* Did you mean 'NUAA-SIRST'"):
        plan_jobs("losses", datasets=["NUAASIRT"])
    with pytest.raises(ValueError, match=r"datasets is 'NUAA', expected a list: \['NUAA'\]"):
        plan_jobs("losses", datasets="NUAA")
    with pytest.raises(ValueError, match="backbones is 'ACM', expected a list"):
        plan_jobs("losses", backbones="ACM")
    with pytest.raises(ValueError, match="backbones is 'ACM', expected a list"):
        fk.tables.table_trainings("losses", backbones="ACM")
    with pytest.raises(ValueError, match="seeds is empty, expected at least one"):
        plan_jobs("losses", seeds=())
    with pytest.raises(ValueError, match="device is 'cudaa', expected one of auto, cpu, cuda, mps"):
        plan_jobs("losses", device="cudaa")


def test_the_time_of_a_training_goes_with_its_epochs_and_pixels(tmp_path):
    def training(**changed):
        options = {"epochs": changed.pop("epochs", 10)}
        given = {"dataset": "scenes", "backbone": "ACM", "size": 128, "train_options": options}
        return Job("02_train", given | changed)

    def record(name, notebook, parameters, minutes):
        times = {"started": "2026-01-01T10:00:00", "ended": f"2026-01-01T10:{minutes:02}:00"}
        entry = {"notebook": f"{notebook}.ipynb", "parameters": parameters} | times
        write_json(tmp_path / "done" / name / "environment.json", entry)

    first = training()
    record("a", "02_train", dict(first.parameters) | {"dataset": "/there/scenes"}, 4)
    record("b", "table4_th1", {}, 1)
    record("c", "table4_th1", {}, 3)
    jobs = {
        "same": training(seed=1),
        "longer": training(epochs=20),
        "larger": training(size=256),
        "other network": training(backbone="ALCNet"),
        "other images": training(dataset="NUAA-SIRST"),
        "table": Job("table4_th1"),
        "unknown": Job("table5_th2"),
    }
    minutes = estimate_minutes(jobs.values(), tmp_path)
    found = {name: minutes[job.key] for name, job in jobs.items()}
    assert found["same"] == pytest.approx(4)
    assert found["longer"] == pytest.approx(8)
    assert found["larger"] == pytest.approx(16)
    assert found["table"] == pytest.approx(2)
    assert {found[name] for name in ("other network", "other images", "unknown")} == {None}


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ([], "the whole is"),
        ({"started": 3}, "started is 3, expected str"),
        ({"started": "noon", "ended": "x", "notebook": "a", "parameters": {}}, "Invalid isoformat"),
    ],
)
def test_a_damaged_record_of_a_job_is_named(tmp_path, record, told):
    write_json(tmp_path / "done" / "a" / "environment.json", record)
    with pytest.raises(ValueError, match=rf"environment\.json is damaged.*{told}"):
        estimate_minutes([Job("table4_th1")], tmp_path)
