"""Figures of many jobs: nothing lost on the way, nothing averaged that must not be."""

import pandas as pd
import pytest

import festkit as fk
from festkit._support.files import write_json, write_text
from festkit.data.dataset import Dataset
from festkit.metrics import Counts
from festkit.tables.records import save_results
from festkit.tables.results import load_results, save_gathered, save_paper_tables


def hits(of, hit):
    """Images with ``of`` targets of a pixel in all, ``hit`` of which are found."""
    return [
        Counts(images=1, pixels=10**6, intersection=k < hit, predicted=k < hit, true=1, targets=1,
               detected=k < hit, iou_sum=float(k < hit))
        for k in range(of)
    ]  # fmt: skip


def job(folder, name, rows, **run):
    save_results(folder / "done" / name, rows, **run)
    return folder / "done" / name


def test_one_row_for_each_scheme_of_each_job(tmp_path):
    job(tmp_path, "b", {"th1 0.5": hits(4, 3), "th1 0.4": hits(4, 4)}, table="th1", seed=1)
    job(tmp_path, "a", {"BCE": sum(hits(2, 1), Counts())}, table="losses", sizes=[256, 384])
    write_json(tmp_path / "done" / "data" / "metrics.json", {"images": 3})
    write_json(tmp_path / "work" / "half" / "metrics.json", {"schemes": {"th1 0.5": {}}})
    found = load_results(tmp_path)
    assert found[["job", "row"]].values.tolist() == [
        ["a", "BCE"], ["b", "th1 0.5"], ["b", "th1 0.4"]
    ]  # fmt: skip
    assert found.pd.tolist() == [0.5, 0.75, 1.0]
    assert found.detected.tolist() == [1, 3, 4]
    assert found.sizes.iloc[0] == "256+384"
    assert found.seed.dropna().tolist() == [1, 1]
    low, high = found.loc[1, ["pd_low", "pd_high"]]
    assert 0 <= low < 0.75 < high <= 1


def test_what_differs_between_rows_is_told_of_each(tmp_path):
    record = {"backbone": "ACM", "size": 64, "loss": "EEDM", "loss_options": {}, "epochs": 8}
    record |= {"seed": 0, "protocol": "last", "initial_weights": None}
    other = {"backbone": "ALCNet", "size": 96, "loss": "BCE", "epochs": 3, "protocol": "paper"}
    other["loss_options"] = {"keep_ratio": 0.3}
    rows = {row: maps_of(record | own) for row, own in {"a": {}, "b": other}.items()}
    told = fk.tables.describe_runs(rows, fk.paper_table("th1"), profile="smoke")
    job(tmp_path, "a", {"a": hits(4, 3), "b": hits(4, 2)}, **told, th1=0.5, th2={"a": None, "b": 1})
    names = ["backbone", "loss", "loss_options", "epochs", "protocol", "sizes", "th1", "th2"]
    assert load_results(tmp_path)[names].fillna(-1).values.tolist() == [
        ["ACM", "EEDM", "{}", 8, "last", "64", 0.5, -1],
        ["ALCNet", "BCE", '{"keep_ratio": 0.3}', 3, "paper", "96", 0.5, 1],
    ]


def maps_of(record):
    return fk.training.RunMaps("", (record["size"],), Dataset("sky", "test", ()), (), (record,))


def test_files_hold_the_same(tmp_path):
    job(tmp_path, "a", {"th1 0.5": hits(4, 3)}, table="th1", seed=1, dataset="scenes")
    csv, parquet = save_gathered(tmp_path)
    table = load_results(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), table)
    full = table.dropna(axis="columns")
    pd.testing.assert_frame_equal(pd.read_csv(csv)[full.columns], full, check_dtype=False)


def test_what_is_a_number_in_one_run_and_a_list_in_another(tmp_path):
    job(tmp_path, "a", {"th1 0.5": hits(4, 3)}, table="th1", epochs=12)
    job(tmp_path, "b", {"th1 0.5": hits(4, 3)}, table="th1", epochs=[12, 1])
    job(tmp_path, "c", {"th1 0.5": hits(4, 3)}, table="th1")
    _, parquet = save_gathered(tmp_path)
    assert pd.read_parquet(parquet).epochs.fillna("-").tolist() == ["12", "[12, 1]", "-"]


def test_nothing_done(tmp_path):
    assert load_results(tmp_path / "nowhere").empty
    assert pd.read_csv(save_gathered(tmp_path)[0]).columns[0] == "job"


def test_a_file_that_is_no_json(tmp_path):
    write_text(tmp_path / "done" / "a" / "metrics.json", "{")
    with pytest.raises(ValueError, match=r"metrics\.json"):
        load_results(tmp_path)


@pytest.mark.parametrize("text", ['{"schemes": [1]}', '{"schemes": {"a": 0.5}}', "[1]", "3"])
def test_what_is_not_figures_by_scheme_is_passed_over(tmp_path, text):
    job(tmp_path, "a", {"th1 0.5": hits(4, 3)}, table="th1", dataset="scenes")
    write_text(tmp_path / "done" / "foreign" / "metrics.json", text)
    assert load_results(tmp_path).job.tolist() == ["a"]
    folders = [tmp_path / "done" / name for name in ("a", "foreign")]
    assert list(save_paper_tables(folders, tmp_path / "tables")) == ["th1-own-scenes"]


def test_seeds_are_averaged_and_nothing_else(tmp_path):
    run = {"table": "th1", "profile": "quick", "dataset": "NUAA-SIRST"}
    folders = [
        job(tmp_path, "a", {"th1 0.5": hits(4, 2)}, seed=0, **run),
        job(tmp_path, "b", {"th1 0.5": hits(4, 4)}, seed=1, **run),
        job(tmp_path, "c", {"th1 0.5": hits(4, 1)}, **run | {"profile": "smoke"}),
        job(tmp_path, "d", {"th1 0.5": hits(4, 3)}, **run | {"dataset": "/data/scenes"}),
        job(tmp_path, "e", {"best": hits(4, 3)}, table="fig7"),
    ]
    tables = save_paper_tables(folders, tmp_path / "tables")
    found = {name: table.loc["th1 0.5", ["pd", "seeds"]].tolist() for name, table in tables.items()}
    assert found == {
        "th1-quick-nuaa-sirst-2seeds": [75.0, 2],
        "th1-quick-scenes": [75.0, 1],
        "th1-smoke-nuaa-sirst": [25.0, 1],
    }
    assert (tmp_path / "tables" / "th1-quick-scenes.tex").is_file()


def test_networks_on_the_papers_sets_are_one_table(tmp_path):
    folders = [
        job(tmp_path, name, {f"ACM, FEST, {name}": hits(4, 3)}, table="backbones", dataset=name,
            profile="paper")
        for name in ("NUAA-SIRST", "NUDT-SIRST")
    ]  # fmt: skip
    tables = save_paper_tables(folders, tmp_path / "tables")
    (table,) = tables.values()
    assert list(tables) == ["backbones-paper-nuaa-sirst+nudt-sirst"]
    assert table.seeds.sum() == 2


def test_what_differs_is_not_averaged(tmp_path):
    run = {"table": "th1", "profile": "quick", "dataset": "scenes", "fingerprint": "aaa"}
    changes = [{}, {"fingerprint": "bbb"}, {"backbone": "ALCNet"}, {"split": "holdout"}]
    folders = [
        job(tmp_path, str(n), {"th1 0.5": hits(4, n + 1)}, **run | change)
        for n, change in enumerate(changes)
    ]
    tables = save_paper_tables(folders, tmp_path / "tables")
    assert sorted(table.loc["th1 0.5", "pd"] for table in tables.values()) == [25, 50, 75, 100]
    assert {table.loc["th1 0.5", "seeds"] for table in tables.values()} == {1}


def test_our_sizes_stand_in_the_papers_tables(tmp_path):
    run = {"table": "fusion", "profile": "quick", "dataset": "scenes"}
    rows = dict.fromkeys(["896", "896+768"], hits(4, 3))
    folders = [
        job(tmp_path, str(seed), rows, sizes=dict(zip(rows, own, strict=True)), seed=seed, **run)
        for seed, own in enumerate([("96", "96+64"), ("64", "64+96")])
    ]
    (table,) = save_paper_tables(folders, tmp_path / "tables").values()
    assert table["our size"].tolist()[:2] == ["96 or 64", "96+64 or 64+96"]
    assert table.seeds.tolist()[:2] == [2, 2]


@pytest.mark.parametrize(
    "change", [{"sizes": {"256": "96"}}, {"epochs": 3}, {"protocol": "paper"}, {"rule": "fused"}]
)
def test_runs_that_are_no_seeds_are_tables_of_their_own(tmp_path, change):
    run = {"table": "input_size", "sizes": {"256": "64"}, "epochs": 8, "protocol": "last"}
    folders = [
        job(tmp_path, str(n), {"256": hits(4, 3)}, seed=n, **run | own)
        for n, own in enumerate([{}, change])
    ]
    tables = save_paper_tables(folders, tmp_path / "tables")
    assert [table.seeds.sum() for table in tables.values()] == [1, 1]


def test_another_set_in_the_rows_of_one_of_the_papers_is_not_averaged_with_it(tmp_path):
    run = {"table": "backbones", "profile": "quick"}
    row = "ACM, FEST, NUAA-SIRST"
    folders = [
        job(tmp_path, name, {row: hits(4, n)}, dataset=name, **run)
        for n, name in enumerate(["NUAA-SIRST", "NUDT-SIRST", "scenes"], start=1)
    ]
    tables = save_paper_tables(folders, tmp_path / "tables")
    assert sorted(table.loc[row, "pd"] for table in tables.values()) == [25, 50, 75]


class TestMadeAnew:
    def made(self, folder, key, ended, hit, images=None):
        path = job(folder, key, {"th1 0.5": hits(4, hit)}, table="th1", profile="smoke", seed=0)
        made_of = {"key": key, "name": "th1-name", "origin": {"images": images}}
        record = {"job": made_of, "ended": ended}
        write_json(path / "environment.json", record)
        return path

    def test_the_last_one_alone_is_gathered(self, tmp_path):
        self.made(tmp_path, "th1-b", "2026-01-01", 1)
        self.made(tmp_path, "th1-a", "2026-01-02", 3)
        found = load_results(tmp_path)
        assert found[["job", "pd"]].values.tolist() == [["th1-a", 0.75]]

    def test_the_one_that_the_plan_takes_stands_for_one_that_ended_later(self, tmp_path):
        self.made(tmp_path, "th1-b", "2026-01-01", 1)
        self.made(tmp_path, "th1-a", "2026-01-02", 3)
        assert load_results(tmp_path, ["th1-b"]).job.tolist() == ["th1-b"]
        csv, _ = save_gathered(tmp_path, taken=["th1-b"])
        assert pd.read_csv(csv).job.tolist() == ["th1-b"]

    def test_jobs_of_other_images_are_kept(self, tmp_path):
        self.made(tmp_path, "th1-b", "2026-01-01", 1, images="of one root")
        self.made(tmp_path, "th1-a", "2026-01-02", 3, images="of another")
        assert load_results(tmp_path, ["th1-a"]).job.tolist() == ["th1-a", "th1-b"]

    def test_stale_ones_are_marked(self, tmp_path):
        old = self.made(tmp_path, "th1-a", "2026-01-01", 3)
        job(tmp_path, "th2-b", {"th2 0.1": hits(4, 3)}, table="th2", profile="smoke", seed=0)
        stale = {"th1-a": "festkit was 0.1.0 and is now 0.2.0"}
        csv, _ = save_gathered(tmp_path, stale)
        told = pd.read_csv(csv).set_index("job")["stale"]
        assert told["th1-a"] == stale["th1-a"]
        assert pd.isna(told["th2-b"])
        (table,) = save_paper_tables([old], tmp_path / "tables", stale).values()
        said = "Stale: th1-a (festkit was 0.1.0 and is now 0.2.0)"
        assert table.attrs["caption"].endswith(said)
        for kind in ("md", "html", "tex"):
            (path,) = (tmp_path / "tables").glob(f"*.{kind}")
            assert "Stale: th1-a (festkit was 0.1.0 and is now 0.2.0)" in path.read_text()
