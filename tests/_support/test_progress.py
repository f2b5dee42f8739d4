from festkit._support.progress import progress


def test_items_come_as_they_are():
    assert list(progress("abc", "reading", unit="image")) == ["a", "b", "c"]


def test_a_bar_without_items_is_moved_by_hand():
    bar = progress(None, "training", unit="image", done=8, total=20)
    bar.update(4)
    bar.set_postfix_str("loss 0.5", refresh=False)
    assert (bar.n, bar.initial, bar.total, bar.postfix) == (12, 8, 20, "loss 0.5")
    bar.close()


def test_what_ends_at_once_shows_nothing(capsys):
    list(progress(range(100), "reading", unit="image"))
    progress(None, "training", unit="image", total=3).close()
    assert capsys.readouterr().err == ""


def test_quiet_shows_nothing_however_long(capsys):
    bar = progress(None, "training", unit="image", total=3, quiet=True)
    bar.start_t = 0
    bar.set_postfix_str("loss 0.5", refresh=False)
    bar.update(3)
    bar.close()
    assert list(progress("ab", "reading", unit="image", quiet=True)) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_a_log_file_gets_few_lines_with_label_and_unit(capsys):
    bar = progress(None, "ACM 256 px EEDM", unit="image", total=3)
    bar.start_t -= 1  # it began a second ago
    bar.update(2)
    bar.refresh()
    bar.close()
    line = capsys.readouterr().err
    assert "ACM 256 px EEDM:  67%" in line
    assert "2/3" in line
    assert "image/s" in line
