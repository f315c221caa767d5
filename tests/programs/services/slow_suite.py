"""Tests that take their time: until there is the file that STOP names."""

import os
import time
from pathlib import Path


def test_before(tmp_path):
    (tmp_path / "file").write_text("text")


def test_slowly(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OF_THE_TEST", "1")
    number = 0
    while not Path(os.environ["STOP"]).exists():
        number += 1
        with Path(os.environ["STOP"] + "-not-yet").open("a") as file:
            print("round", number, file=file)
        time.sleep(0.02)
    assert os.environ["OF_THE_TEST"] == "1"
    print("captured")
    assert capsys.readouterr().out == "captured\n"


def test_after():
    assert "OF_THE_TEST" not in os.environ
