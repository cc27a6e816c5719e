import os
import time
from pathlib import Path

from indexer.metering import FOLDER, KEPT_S, PICTURES, REJECTED, SECONDS, Meter, totals
from search.errors import DamagedImage, ImageTooLarge


def test_the_counts_of_all_processes_are_added_up(tmp_path: Path) -> None:
    one, other = Meter(tmp_path), Meter(tmp_path)
    one.took("decode", 0.5)
    one.took("decode", 0.25)
    one.keep()
    one.took("models", 2.0, 8)
    one.rejected(DamagedImage("damaged JPEG file: it ends too early"))
    one.keep()
    other.took("decode", 1.0)
    other.rejected(ImageTooLarge("30000 x 30000 pixels"))
    other.rejected(PermissionError("no"))
    other.keep()
    counts = totals(tmp_path)
    assert counts[SECONDS] == {"decode": 1.75, "models": 2.0}
    assert counts[PICTURES] == {"decode": 3, "models": 8}
    assert counts[REJECTED] == {"DamagedImage": 1, "ImageTooLarge": 1, "OSError": 1}


def test_what_took_no_pictures_is_no_measure(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    with meter.timed("models", 0):
        pass
    with meter.timed("write", 2):
        time.sleep(0.01)
    meter.keep()
    assert totals(tmp_path)[PICTURES] == {"write": 2}
    assert totals(tmp_path)[SECONDS]["write"] >= 0.01


def test_a_half_written_file_and_one_of_long_ago_count_nothing(tmp_path: Path) -> None:
    assert not any(totals(tmp_path).values())
    long_ago = Meter(tmp_path)
    long_ago.took("decode", 1.0)
    long_ago.keep()
    (old,) = (tmp_path / FOLDER).iterdir()
    os.utime(old, times=(time.time() - KEPT_S - 60,) * 2)
    (tmp_path / FOLDER / "1-broken.json").write_text('{"seconds": {"dec', encoding="utf-8")
    meter = Meter(tmp_path)
    meter.took("decode", 2.0)
    meter.keep()
    assert totals(tmp_path)[SECONDS] == {"decode": 2.0}
    assert not old.exists()


def test_counts_that_cannot_be_written_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way", encoding="utf-8")
    meter = Meter(tmp_path)
    meter.took("decode", 1.0)
    meter.keep()
