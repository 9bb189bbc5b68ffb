"""The verdict file: written wholly or not at all, read again, and refused where it is another."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from records import RECORD, RUN, run

from lossdemo.verify.verdicts import NotVerdicts, Refusal, Verdicts, checksum


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """A file has everything, and is the same to the byte if it is written again."""
    verdicts = run(
        replace(RECORD, killed=("x",), survived=(), title="α ≠ β"), replace=("a=b:c",), refused=(Refusal("x", "y"),)
    )
    verdicts.write(tmp_path / "one.json")
    assert Verdicts.read(tmp_path / "one.json") == verdicts
    Verdicts.read(tmp_path / "one.json").write(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_file_is_written_wholly_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails the old file stays, and nothing is left beside it."""
    path = tmp_path / "verdicts.json"
    RUN.write(path)

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        replace(RUN, torch="3.0").write(path)
    assert Verdicts.read(path) == RUN
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    """The file that a symbolic link names is replaced, and not the link."""
    (tmp_path / "link.json").symlink_to(tmp_path / "verdicts.json")
    RUN.write(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert Verdicts.read(tmp_path / "verdicts.json") == RUN


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file or directory"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "is not a verdict file: `pytest --verdicts FILE` writes one"),
        ('{"records": []}', "is not a verdict file: `pytest --verdicts FILE` writes one"),
        ('{"schema": 1, "records": []}', "has schema version 1, and this lossdemo reads 2: write it anew"),
        ('{"schema": 2, "records": []}', "is not a verdict file of version 2: Object missing required field `date`"),
    ],
)
def test_another_file_is_refused_with_what_is_wrong(tmp_path: Path, text: str | None, message: str) -> None:
    """Each message names the file, and says what it is not."""
    path = tmp_path / "verdicts.json"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(NotVerdicts, match=re.escape(message)) as caught:
        Verdicts.read(path)
    assert str(path) in str(caught.value)


def with_record(**changes: object) -> Callable[[dict], None]:
    """Changes the first record of a file's data."""
    return lambda data: data["records"][0].update(changes)


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (with_record(outcome="green"), "Invalid enum value 'green' - at `$.records[0].outcome`"),
        (with_record(basis=None), "`$.records[0].basis`"),
        (with_record(line="3"), "`$.records[0].line`"),
        (with_record(seed=True), "`$.records[0].seed`"),
        (with_record(duration="1 s"), "`$.records[0].duration`"),
        (with_record(killed="x"), "`$.records[0].killed`"),
        (with_record(killed=[1]), "`$.records[0].killed[0]`"),
        (lambda data: data["records"][0].pop("title"), "missing required field `title` - at `$.records[0]`"),
        (lambda data: data.update(prove="yes"), "`$.prove`"),
        (lambda data: data.update(date="yesterday"), "time data 'yesterday' does not match format"),
        (lambda data: data.update(cuda=0), "`$.cuda`"),
        (lambda data: data.update(refused=["x"]), "`$.refused[0]`"),
    ],
)
def test_a_spoilt_file_is_refused(tmp_path: Path, spoil: Callable[[dict], None], where: str) -> None:
    """A file that was edited by hand is no source of false figures: the message says where it is wrong."""
    path = tmp_path / "verdicts.json"
    RUN.write(path)
    data = json.loads(path.read_text())
    spoil(data)
    path.write_text(json.dumps(data))
    with pytest.raises(NotVerdicts, match=re.escape(where)):
        Verdicts.read(path)


def test_a_claim_is_in_a_file_once_for_each_setting(tmp_path: Path) -> None:
    """A file in which a claim both passes and fails says nothing."""
    run(RECORD, replace(RECORD, outcome="failed")).write(tmp_path / "verdicts.json")
    with pytest.raises(NotVerdicts, match="a is in it twice for cpu"):
        Verdicts.read(tmp_path / "verdicts.json")


def test_what_is_read_is_safe_to_print(tmp_path: Path) -> None:
    """A file that somebody sends cannot steer the terminal that shows it; blanks and umlauts are left alone."""
    run(replace(RECORD, title="\x1b[2J \u202e", message="ä\xa0\n\tb")).write(tmp_path / "verdicts.json")
    record = Verdicts.read(tmp_path / "verdicts.json").records[0]
    assert (record.title, record.message) == (r"\x1b[2J \u202e", "ä\xa0\n\tb")


def test_a_checksum_is_of_the_text_alone() -> None:
    """Line ends and the blank lines around a claim do not count, each letter does."""
    assert checksum("## A\r\n\r\ntext\r\n\r\n") == checksum("## A\n\ntext\n") != checksum("## A\n\ntexts\n")


@pytest.mark.slow
def test_reading_and_drawing_need_neither_torch_nor_pytest() -> None:
    """A command that only reads verdicts starts at once."""
    modules = "lossdemo.verify.verdicts, lossdemo.verify.matrix, lossdemo.verify.difference"
    code = f"import sys, {modules}; print(sorted({{'torch', 'pytest', 'rich', 'jinja2'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
