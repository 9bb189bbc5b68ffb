"""Which book the command reads, what it keeps of it, and what a name means."""

import json
import os
from pathlib import Path

import pytest

from conftest import CHAPTER
from lossdemo import books
from lossdemo.books import Entry, NoBook, Unknown, find_chapter, find_claim, locate, read_entries
from lossdemo.verify.claims import Book

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of this test's own."""
    directory = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory))
    return directory


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a book and without settings."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "losses.md").write_text(CHAPTER)
    return tmp_path


SETTINGS = {
    "pyproject.toml": '[tool.pytest.ini_options]\nclaims = "docs"\n',
    "./pyproject.toml": '[tool.pytest]\nclaims = "docs"\n',
    "pytest.toml": '[pytest]\nclaims = "docs"\n',
    ".pytest.toml": '[pytest]\nclaims = "docs"\n',
    "pytest.ini": "[pytest]\nclaims = docs\n",
    ".pytest.ini": "[pytest]\nclaims = docs\n",
    "tox.ini": "[pytest]\nclaims = docs\n",
    "setup.cfg": "[tool:pytest]\nclaims = docs\n",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_projects_book_is_where_its_settings_for_pytest_say(
    project: Path, name: str, pytester: pytest.Pytester
) -> None:
    """In each file that pytest reads, from the directory and from those below it; pytest finds the same."""
    (project / name).write_text(SETTINGS[name])
    (project / "docs" / "deep").mkdir()
    for start in (project, project / "docs" / "deep"):
        assert locate(start) == (project, project / "docs", project / name)
    config = pytester.parseconfig("-p", "no:hypothesispytest", str(project))
    assert (config.rootpath, config.inipath) == (project, project / name)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"pyproject.toml": "[project]\nname = 'x'\n"},
        {"pytest.ini": "", "pyproject.toml": SETTINGS["pyproject.toml"]},  # the first file counts, with nothing in it
        {"tox.ini": "[tox]\n", "setup.cfg": "[metadata]\nname = x\n"},
    ],
    ids=["none", "another's", "a first file that says nothing", "others'"],
)
def test_elsewhere_it_is_lossdemos_own(project: Path, settings: dict[str, str]) -> None:
    """Beside the package in a clone."""
    for name, text in settings.items():
        (project / name).write_text(text)
    assert locate(project) == (ROOT, ROOT / "spec", None)


def test_an_installed_book_lies_in_the_package(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the wheel has it; where there is none, that is said."""
    monkeypatch.setattr(books, "PACKAGE", project / "lossdemo")
    with pytest.raises(NoBook, match="the book is not beside the package: install lossdemo anew"):
        locate(project)
    (project / "lossdemo" / "spec").mkdir(parents=True)
    assert locate(project) == (project / "lossdemo", project / "lossdemo" / "spec", None)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pyproject.toml", "[tool.pytest", "pyproject.toml: Expected"),
        ("pytest.ini", "claims = x", "pytest.ini"),
        ("pytest.ini", "[pytest]\nclaims = nowhere\n", r"claims = 'nowhere' in .*pytest.ini: there is no directory"),
    ],
)
def test_settings_that_are_wrong_are_said(project: Path, name: str, text: str, message: str) -> None:
    """A mistake does not make the command read another book."""
    (project / name).write_text(text)
    with pytest.raises(NoBook, match=message):
        locate(project)


def test_what_is_kept_is_the_book(cache: Path) -> None:
    """The first time as the second, which reads no Markdown."""
    wanted = [Entry.of(claim) for claim in Book(ROOT / "spec")]
    assert read_entries(ROOT / "spec") == wanted
    [file] = (cache / "lossdemo").iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "claims": [["id", "x.md", 1, "Kept", "", [], "", []]]}))
    assert [entry.title for entry in read_entries(ROOT / "spec")] == ["Kept"]


def test_what_is_kept_is_never_stale(project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another text, another page, one page less, another reader: each is read anew. One file a book is kept."""
    directory = project / "docs"

    def titles() -> list[str]:
        return [entry.title for entry in read_entries(directory)]

    first = titles()
    assert first[0] == "MSE squares"
    page = directory / "losses.md"
    page.write_text(CHAPTER.replace("MSE squares", "MSE cubes!"))  # as long as it was
    os.utime(page, ns=(0, 0))
    assert titles()[0] == "MSE cubes!"
    (directory / "again.md").write_text(CHAPTER.replace("## ", "## Again "))
    assert len(titles()) == 8
    page.rename(directory / "zero.md")
    assert {entry.chapter for entry in read_entries(directory)} == {"again.md", "zero.md"}
    (directory / "again.md").unlink()
    assert len(titles()) == 4
    [file] = (cache / "lossdemo").iterdir()
    kept = json.loads(file.read_text())["key"]
    (project / "verify").mkdir()
    (project / "verify" / "claims.py").write_text("another reader")
    (project / "search.py").write_text("another search")
    monkeypatch.setattr(books, "PACKAGE", project)
    titles()
    assert json.loads(file.read_text())["key"] != kept


@pytest.mark.parametrize("content", [b"", b"[]", b'{"key": 1}', b"\xff", b'{"key": "x", "claims": 3}'])
def test_a_cache_that_is_broken_is_made_anew(project: Path, cache: Path, content: bytes) -> None:
    """Whatever stands in it."""
    wanted = read_entries(project / "docs")
    [file] = (cache / "lossdemo").iterdir()
    file.write_bytes(content)
    assert read_entries(project / "docs") == wanted
    assert b"MSE squares" in file.read_bytes()


def test_without_a_cache_it_works_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is not there, or may not be written: nothing is kept, and nothing is made elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    for home in ("/dev/null", "/proc/nowhere"):
        monkeypatch.setenv("HOME", home)
        assert len(read_entries(project / "docs")) == 4
    assert not Path("relative").exists()


def test_stray_files_are_no_chapters(project: Path) -> None:
    """An editor's lock, a directory, a pipe, and a page that is not UTF-8."""
    directory = project / "docs"
    (directory / ".#losses.md").symlink_to("nowhere")
    (directory / "folder.md").mkdir()
    os.mkfifo(directory / "pipe.md")
    (directory / "latin.md").write_bytes(b"## Gr\xfc\xdfe\n")
    assert len(read_entries(directory)) == 4


@pytest.mark.parametrize("name", ["outliers", "OUTLIERS.md", "spec/outliers.md", "./outliers.md", "Outliers"])
def test_a_chapter_may_be_named_in_several_ways(name: str) -> None:
    """With a path, a suffix, in any case."""
    assert find_chapter(name, ["loss.md", "outliers.md"]) == "outliers.md"
    assert find_chapter(f"{name}x", ["loss.md", "outliers.md"]) is None


IDS = ["mse-is-the-average", "mse-squares", "the-mses-average", "a-mean-of-mse-and-mae", "huber-is-half-of-mse"]


@pytest.mark.parametrize(
    "name",
    [
        "mse-squares",
        "squares",
        "MSE squares",
        "spec/loss.md::mse-squares[cpu-float64]",
        "loss.md#mse-squares",
    ],
)
def test_a_claim_may_be_named_in_several_ways(name: str) -> None:
    """By its id, a part of it or of the title, a node id, a link."""
    assert find_claim(name, IDS) == "mse-squares"


def test_an_id_that_is_part_of_another_is_itself() -> None:
    """The whole wins over the part, and a beginning over a middle."""
    assert find_claim("a", ["a", "ab"]) == "a"
    assert find_claim("a", ["bac", "ab"]) == "ab"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mse", ["mse-squares", "mse-is-the-average", "huber-is-half-of-mse", "a-mean-of-mse-and-mae"]),
        ("squered", ["mse-squares"]),
        ("avrage-mse", ["mse-is-the-average", "the-mses-average"]),
    ],
)
def test_the_nearest_come_first(name: str, near: list[str]) -> None:
    """What has the words, spelt so or nearly so, and little else."""
    with pytest.raises(Unknown) as caught:
        find_claim(name, IDS)
    assert [line.strip() for line in str(caught.value).splitlines()[1:]][: len(near)] == near


def test_where_no_id_is_like_it_the_search_is_named() -> None:
    """It may be a symptom."""
    with pytest.raises(Unknown, match="no claim has 'loss is stuck' in its id") as caught:
        find_claim("loss is stuck", IDS)
    assert str(caught.value).endswith("\nby what it says: lossdemo list loss is stuck")


def test_many_are_counted() -> None:
    """The first eight, how many more, and how to see them."""
    with pytest.raises(Unknown, match=r"30 claims have 'mse' in their id") as caught:
        find_claim("mse", [f"mse-{number}" for number in range(30)])
    assert str(caught.value).endswith("\n  and 22 more: lossdemo list mse")
    assert len(str(caught.value).splitlines()) == 10


@pytest.mark.parametrize("name", ["", "::", "[cpu]", "?"])
def test_a_name_without_letters_names_nothing(name: str) -> None:
    """And says how to find one."""
    with pytest.raises(Unknown, match="names no claim: `lossdemo list WORDS` finds one"):
        find_claim(name, IDS)
