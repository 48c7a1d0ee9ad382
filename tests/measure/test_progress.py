import pytest

from pipeline.measure.progress import display


def test_a_log_gets_one_plain_line_a_process_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """No bar, no escape sequences, nothing on stdout, which may be JSON for a program."""
    with display(2) as shown:
        for title in ("first", "second"):
            shown.start(title)
            shown.within(0.5, "timing")
            shown.finish()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["measuring 1/2: first", "measuring 2/2: second"]
