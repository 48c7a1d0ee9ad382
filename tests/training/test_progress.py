import pytest

from pipeline.training.progress import training_display


def test_without_a_terminal_each_epoch_is_one_plain_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """A log holds figures and no bar; stdout is for results."""
    with training_display("small, shared", 3, 10) as display:
        display.step()
        display.epoch(1, 0.25, None)
        display.epoch(2, 0.125, 0.9)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines() == [
        "small, shared: epoch 1/3: loss 0.2500",
        "small, shared: epoch 2/3: loss 0.1250, validation 0.9000",
    ]


def test_a_terminal_shows_a_bar_with_the_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epoch, loss, validation figure and time left."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "140")
    with training_display("small, shared", 2, 10) as display:
        for _ in range(10):
            display.step()
        display.epoch(1, 0.25, 0.9)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "epoch 1/2: loss 0.2500, validation 0.9000" in seen.err
    assert "50%" in seen.err
