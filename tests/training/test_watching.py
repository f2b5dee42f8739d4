import math
import warnings

import pytest
from handmade import make_set
from tinyrun import tiny

from festkit.training.loop import SILENT_EPOCHS, ProgressLogger
from festkit.training.trainer import train

ROW = {
    "epoch": 1, "loss": 0.5, "train_iou": 0.25, "predicted": 7.0, "learning_rate": 0.1,
    "iou": math.nan, "pd": math.nan, "fa": math.nan,
}  # fmt: skip


@pytest.fixture
def watch():
    made = ProgressLogger("ACM 256 px EEDM", done=0, total=20)
    yield made
    made.close()


def no_warning():
    return warnings.catch_warnings(action="error")


class TestBar:
    def test_it_counts_images(self, watch):
        watch.step(4)
        watch.step(3)
        assert (watch.bar.n, watch.bar.total, watch.bar.unit) == (7, 20, "image")

    def test_it_goes_on_where_a_run_was(self):
        made = ProgressLogger("x", done=8, total=20)
        assert (made.bar.n, made.bar.initial) == (8, 8)
        made.close()

    def test_the_line_of_an_epoch(self, watch):
        watch.epoch(ROW, 30)
        assert watch.bar.postfix == "epoch 1/30; loss 0.5000, train IoU 25.0"
        watch.epoch(ROW | {"epoch": 2, "iou": 0.5, "pd": 0.875, "fa": 2.5e-5}, 30)
        assert watch.bar.postfix == (
            "epoch 2/30; loss 0.5000, train IoU 25.0; validation: IoU 50.0, Pd 87.5, Fa 25.0e-6"
        )
        watch.epoch(ROW | {"epoch": 3, "loss": 0.25}, 30)  # the last look stays in sight
        assert watch.bar.postfix.startswith("epoch 3/30; loss 0.2500")
        assert watch.bar.postfix.endswith("validation: IoU 50.0, Pd 87.5, Fa 25.0e-6")

    def test_one_of_several_processes_is_quiet(self, capsys):
        made = ProgressLogger("x", done=0, total=3, quiet=True)
        made.step(3)
        made.epoch(ROW, 1)
        made.close()
        assert capsys.readouterr().err == ""

    def test_a_run_counts_all_its_images(self, tmp_path, monkeypatch):
        bars, close = [], ProgressLogger.close
        monkeypatch.setattr(
            ProgressLogger, "close", lambda self: [bars.append(self.bar), close(self)]
        )
        folder = make_set(tmp_path / "set", train=9)
        cfg = tiny(folder, tmp_path / "run")
        while not train(cfg, max_minutes=0).finished:
            pass
        assert [bar.n for bar in bars] == [4, 8, 12, 16, 20, 24]
        assert {bar.total for bar in bars} == {24}


class TestCollapse:
    def silent(self, epoch):
        return ROW | {"epoch": epoch, "predicted": 0.0}

    def test_it_is_told_after_some_epochs_and_once(self, watch):
        with no_warning():
            for epoch in range(1, SILENT_EPOCHS):
                watch.epoch(self.silent(epoch), 30)
        with pytest.warns(
            UserWarning,
            match=rf"no pixel .* in {SILENT_EPOCHS} epochs up to epoch {SILENT_EPOCHS}: .*Try",
        ):
            watch.epoch(self.silent(SILENT_EPOCHS), 30)
        with no_warning():
            watch.epoch(self.silent(SILENT_EPOCHS + 1), 30)

    def test_one_pixel_breaks_the_row(self, watch):
        with no_warning():
            for epoch in range(1, 3 * SILENT_EPOCHS):
                row = self.silent(epoch) if epoch % SILENT_EPOCHS else ROW
                watch.epoch(row, 30)

    def test_in_a_run(self, tmp_path):
        folder = make_set(tmp_path / "set", train=2)
        cfg = tiny(folder, tmp_path / "run", epochs=SILENT_EPOCHS, learning_rate=1e-9)
        with pytest.warns(UserWarning, match="the network has collapsed to background"):
            train(cfg)
