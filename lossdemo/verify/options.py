"""The options of a run, declared once for pytest and for the command line. Importing this module imports nothing."""

from typing import NamedTuple


class Option(NamedTuple):
    """One option: of some choices, of whole numbers from the least to the largest, a flag, or as `metavar` says."""

    name: str
    help: str
    choices: tuple[str, ...] = ()
    range: tuple[int, int] | None = None
    default: int | None = None
    repeated: bool = False
    metavar: str | None = None
    flag: bool = False


SETTINGS = (
    Option("device", "run on this device (default: cpu, and cuda where there is one)", ("cpu", "cuda"), repeated=True),
    Option("dtype", "run with this default dtype (default: float32)", ("float32", "float64"), repeated=True),
    Option("seed", "seed every generator before each claim (default: 0)", range=(0, 2**32 - 1), default=0),
    Option("threads", "run each claim on this many threads (default: 1)", range=(1, 1024), default=1),
)
RECORD = Option("verdicts", "write what became of each claim, as JSON", metavar="FILE")
PROVE = (
    Option("prove", "run each claim again under wrong versions of what it calls: which does it notice?", flag=True),
    Option("prove-all", "as --prove, and each claim under each of them: the whole matrix", flag=True),
    Option("prove-anew", "as --prove, without the results that were kept", flag=True),
)
REPLACE = (
    Option(
        "replace",
        "run the claims that call TARGET, as torch.nn.functional.cross_entropy, with this in its place",
        repeated=True,
        metavar="TARGET=MODULE:NAME",
    ),
    Option("known", "with --replace: claims that are known to fail, one id a line with a reason", metavar="FILE"),
)
ALL = (*SETTINGS, RECORD, *PROVE, *REPLACE)
