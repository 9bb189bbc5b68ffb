"""The pytest plugin: `--device`, `--dtype`, `--seed`, `--threads`, and one test for each claim in each setting."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.integration.pytest import SybilItem
from sybil.sybil import SybilCollection

from lossdemo.verify.claims import Book, Claim, Refused, is_page

if TYPE_CHECKING:
    # Torch comes with it, and takes a second: only what runs claims imports it.
    from lossdemo.verify.run import Failure, Setting

    Verify = Callable[[Claim, Setting], Failure | None]

BOOK = "spec"
CHAPTERS = pytest.StashKey[SybilCollection]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings of a run; `--device` and `--dtype` may be given several times."""
    group = parser.getgroup("lossdemo", "the claims of the book")
    group.addoption(
        "--device",
        action="append",
        choices=("cpu", "cuda"),
        help="run on this device (default: cpu, and cuda where there is one)",
    )
    group.addoption(
        "--dtype",
        action="append",
        choices=("float32", "float64"),
        help="run with this default dtype (default: float32 for the book, both for tests)",
    )
    group.addoption(
        "--seed", type=_whole(0, 2**32 - 1), default=0, help="seed every generator before each claim (default: 0)"
    )
    group.addoption(
        "--threads", type=_whole(1, 1024), default=1, help="run each claim on this many threads (default: 1)"
    )

    group.addoption("--prove", action="store_true", help="run each claim again under wrong PyTorches: which notice?")
    group.addoption(
        "--replace",
        action="append",
        metavar="TARGET=MODULE:NAME",
        help="run the claims that call TARGET, as torch.nn.functional.cross_entropy, with this function in its place",
    )
    group.addoption(
        "--known",
        metavar="FILE",
        type=Path,
        help="with --replace: claims that are known to fail, one id a line with a reason",
    )
    group.addoption("--verdicts", metavar="FILE", type=Path, help="write what became of each claim, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Proving, replacing and recording are plugins of their own; what they cannot work with is refused at once."""
    if config.option.prove and config.option.replace:
        raise pytest.UsageError("--prove and --replace: give one of them")
    if config.option.known and not config.option.replace:
        raise pytest.UsageError("--known lists known failures of --replace: give both")
    if config.option.prove:
        from lossdemo.verify.prove import Prover

        config.pluginmanager.register(Prover(config), "lossdemo-verify")
    if config.option.replace:
        from lossdemo.verify.replace import Replacer

        config.pluginmanager.register(Replacer(config), "lossdemo-verify")
    if config.option.verdicts and not hasattr(config, "workerinput"):  # the reports of workers come to the controller
        from lossdemo.verify.recorder import Recorder

        config.pluginmanager.register(Recorder(_writable(config.option.verdicts)), "lossdemo-recorder")


def _verify(config: pytest.Config) -> Verify:
    from lossdemo.verify.run import run

    plugin = config.pluginmanager.get_plugin("lossdemo-verify")
    return plugin.verify if plugin else run


def is_claim(item: pytest.Item) -> TypeGuard[SybilItem]:
    """Whether an item is a claim of the book."""
    return isinstance(item, SybilItem) and isinstance(item.example.parsed, Claim)


def _writable(path: Path) -> Path:
    directory = path.resolve().parent
    if path.exists() and not path.is_file():
        raise pytest.UsageError(f"--verdicts {path}: this is no file: name one that may be written anew")
    if not directory.is_dir():
        raise pytest.UsageError(f"--verdicts {path}: make the directory {directory} first")
    if not os.access(directory, os.W_OK):
        raise pytest.UsageError(f"--verdicts {path}: the directory {directory} is not writable: name another")
    return path


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A page of the book is collected once for each setting."""
    config = parent.config
    directory = config.rootpath / BOOK
    if not is_page(file_path) or directory not in file_path.parents:
        return None
    if CHAPTERS not in config.stash:
        book = Book(directory)
        verify = _verify(config)
        config.stash[CHAPTERS] = SybilCollection(Chapters(book, setting, verify) for setting in settings(config))
    return config.stash[CHAPTERS].pytest()(file_path, parent)


def pytest_itemcollected(item: pytest.Item) -> None:
    """A claim carries its id and basis, into JUnit's XML too. One that cannot run here is skipped, with the reason."""
    if is_claim(item):
        item.user_properties += [("claim", item.example.parsed.id), ("basis", item.example.parsed.basis)]
        if hasattr(item, "id"):
            # Since 9.2 pytest keeps ids in parts. It reads `[cpu]` from its cache as a part of its own, Sybil makes it
            # none, and without this --lf finds no claim that failed.
            item._id = type(item.id).parse(item.nodeid)
        evaluator: Any = item.example.region.evaluator
        reason = not_run_because(item.example.parsed, evaluator.setting)
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"not run here: {reason}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    """What refuted a claim travels with the report as its `failure`: a line, and what came there."""
    report = yield
    if is_claim(item) and report.when == "call":
        evaluator: Any = item.example.region.evaluator
        report.failure = evaluator.failure and f"line {evaluator.failure.line}:\n{evaluator.failure.message}"
    return report


class Chapters(Sybil):
    """The chapters as Sybil documents in one setting: a region is a claim, and its name is the claim's id."""

    def __init__(self, book: Book, setting: Setting, verify: Verify) -> None:
        super().__init__(parsers=[self.regions], pattern="*", path=str(book.directory), encoding="utf-8-sig")
        self.book = book
        self.setting = setting
        self.verify = verify

    def parse(self, path: Path) -> Document:
        """Read the page at `path`; one with problems fails the collection with all of them."""
        try:
            return super().parse(path)
        except Refused as refused:
            raise pytest.Collector.CollectError(str(refused)) from None

    def regions(self, document: Document) -> Iterator[Region]:
        """One region for each claim."""
        for claim in self.book.claims(Path(document.path)):
            yield Region(claim.start, claim.end, parsed=claim, evaluator=Evaluator(self.setting, self.verify))

    def identify(self, example: Example) -> str:
        """The claim's id and setting: `mae-resists-outliers-better-than-mse[cpu]`."""
        return f"{example.parsed.id}[{self.setting}]"


class Evaluator:
    """Sybil's evaluator of one claim in one setting; `verify` is what runs it, and `failure` what it found last."""

    def __init__(self, setting: Setting, verify: Verify) -> None:
        self.setting = setting
        self.verify = verify
        self.failure: Failure | None = None

    def __call__(self, example: Example) -> str | None:
        """The failure as text, or None where the claim holds."""
        claim: Claim = example.parsed
        failure = self.failure = self.verify(claim, self.setting)
        if failure is None:
            return None
        example.line, example.column = failure.line, 1  # Sybil reports this line: the prompt's, not the heading's
        return f"{claim.title} [{self.setting}]\n\n{failure.message}"


def settings(config: pytest.Config, dtypes: Sequence[str] = ("float32",)) -> list[Setting]:
    """Every device with every dtype that the command line asks for, by default the devices here and `dtypes`."""
    import torch

    from lossdemo.verify.run import Setting

    return [
        Setting(device, getattr(torch, dtype), config.option.seed, config.option.threads)
        for device in dict.fromkeys(config.option.device or ["cpu", *["cuda"] * torch.cuda.is_available()])
        for dtype in dict.fromkeys(config.option.dtype or dtypes)
    ]


def not_run_because(claim: Claim, setting: Setting) -> str | None:
    """Why `claim` cannot run in `setting` on this machine, or None where it can."""
    import torch

    if setting.device == "cuda" and not torch.cuda.is_available():
        return "torch finds no CUDA device"
    if claim.needs and claim.needs != setting.device:
        return f"the claim needs {claim.needs}"
    major, minor = torch.__version__.split(".")[:2]
    if claim.since and claim.since > (int(major), int(minor)):
        return f"the claim holds since torch {'.'.join(map(str, claim.since))}, this is {torch.__version__}"
    if claim.until and claim.until < (int(major), int(minor)):
        return f"the claim holds until torch {'.'.join(map(str, claim.until))}, this is {torch.__version__}"
    return None
