"""`pytest --prove`: kills, survivors, vacuous claims, crashes, and which results are kept."""

import inspect
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lossdemo.verify import kept, prove
from lossdemo.verify.claims import Book
from lossdemo.verify.mutant import Mutant, mutant, other_than, using
from lossdemo.verify.patch import NoSuchTarget, locate, replaced, watched
from lossdemo.verify.run import Setting

MSE = "torch.nn.functional.mse_loss"
PREAMBLE = """\
# Losses

```python
>>> import torch
>>> from torch.nn import functional as F
>>> from ours import scaled
>>> one, three = torch.tensor([1.]), torch.tensor([3.])
```
"""
MUTANTS = '''\
"""Wrong versions."""

from lossdemo.verify.mutant import RefusedOnPurpose, mutant, other_than, then, using

FACTOR = 0.5


@mutant("torch.nn.functional.mse_loss")
def halved(original):
    """The textbook's one half."""
    return then(original, lambda loss: FACTOR * loss)


@mutant("torch.nn.functional.mse_loss", when=lambda call: call["reduction"] == "none")
def never_unreduced(original):
    """A kernel that always reduces."""
    return using(original, reduction="mean")
'''
OURS = "def scaled(x):\n    return 2 * x\n"
NAMES = (f"wrong_{number}" for number in count())  # a module a test, as what was once imported stays registered


def claim(title: str, code: str) -> str:
    """A section of a chapter."""
    return f"\n## {title}\n\n```python\n{code}\n```\n\nBasis: mathematics\n"


SQUARES = claim("MSE squares", ">>> F.mse_loss(three, one)\ntensor(4.)")
POSITIVE = claim("MSE is positive", ">>> F.mse_loss(three, one).item() > 0\nTrue")
UNREDUCED = claim("MSE may stay", ">>> F.mse_loss(three, one, reduction='none').shape\ntorch.Size([1])")


class Project:
    """A project with claims and mutants of its own, whose runs are in this process."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.name = next(NAMES)
        pytester.makepyprojecttoml(
            f"[tool.pytest.ini_options]\nclaims = 'spec'\nmutants = ['{self.name}']\n"
            "addopts = '-p no:hypothesispytest'\n"
        )
        pytester.mkdir("spec")
        pytester.syspathinsert()
        self.write("ours.py", OURS)
        self.mutants(MUTANTS)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.pytester.path / name).write_text(text, encoding="utf-8")

    def mutants(self, text: str) -> None:
        """Write the mutants."""
        self.write(f"{self.name}.py", text)

    def prove(self, *claims: str, options: tuple[str, ...] = (), preamble: str = PREAMBLE) -> pytest.RunResult:
        """Prove a chapter of these claims."""
        if claims:
            self.write("spec/losses.md", preamble + "".join(claims))
        return self.pytester.runpytest_inprocess("--prove", "--device", "cpu", *options)


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """A project."""
    return Project(pytester)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Claim and mutant of each run under a mutant."""
    runs: list[tuple[str, str]] = []
    original = prove.fate

    def noted(claim, setting, mutant):
        runs.append((claim.id, mutant.name))
        return original(claim, setting, mutant)

    monkeypatch.setattr(prove, "fate", noted)
    return runs


def test_a_claim_that_notices_a_mutant_passes_and_says_which(project: Project) -> None:
    """An author sees which mutants the claim kills and which not; one that no call could notice is not tried."""
    result = project.prove(SQUARES, UNREDUCED, options=("-k", "squares"))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["spec/losses.md::mse-squares[[]cpu[]] kills 1 of 1", "    kills: halved"])


def test_vacuous_claims_fail_with_what_was_tried(project: Project) -> None:
    """A claim that calls nothing that a mutant breaks, or that every mutant survives, shows nothing."""
    result = project.prove(claim("One is one", ">>> one.item()\n1.0"), POSITIVE)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["Tried: nothing, as it calls no function that a mutant breaks"])
    result.stdout.fnmatch_lines(["The claim is vacuous: it holds for wrong versions too.", "Tried: halved"])


def test_a_claim_that_fails_by_itself_is_not_tried(project: Project, tried: list) -> None:
    """First a claim has to hold."""
    project.prove(SQUARES.replace("4.", "5.")).assert_outcomes(failed=1)
    assert not tried


def test_tests_that_are_no_claims_are_left_out(project: Project) -> None:
    """Only claims can be proved."""
    project.write("test_other.py", "def test_other(): assert False")
    project.prove(SQUARES).assert_outcomes(passed=1, deselected=1)


REFUSING = '''

@mutant("torch.nn.functional.mse_loss")
def refuses(original):
    """It does not want what torch takes."""

    def call(*args, **kwargs):
        raise RefusedOnPurpose("not this")

    return call
'''


def test_a_refusal_alone_does_not_lift_vacuity(project: Project) -> None:
    """Every caller notices a mutant that refuses, so it proves nothing of a claim; the mutant itself is noticed."""
    project.mutants(MUTANTS.partition("FACTOR")[0] + REFUSING)
    result = project.prove(claim("Calling is enough", ">>> loss = F.mse_loss(one, one)\n>>> print('done')\ndone"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["The claim is vacuous: *", "*1 killed"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("lambda x: original(x, x)", "TypeError"),  # not the function's signature
        ("lambda *args: original(*args, nothing=1)", "TypeError"),  # a mistaken call of the original
        ("lambda *args, **kwargs: undefined", "NameError"),
        ("lambda *args, **kwargs: args[0] + None", "TypeError"),
    ],
)
def test_a_mutants_own_crash_is_an_error_of_the_suite(project: Project, body: str, error: str) -> None:
    """It fails the claim that found it, and names the mutant and its error."""
    project.mutants(
        "from lossdemo.verify.mutant import mutant\n\n\n"
        f'@mutant("torch.nn.functional.mse_loss")\ndef broken(original):\n    """Broken."""\n    return {body}\n'
    )
    result = project.prove(SQUARES)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["These mutants crashed by themselves: mend them.", f"    broken: {error}*"])


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        (
            "gaussian_nll_loss",
            "lambda x, y, v: original(x, y, -v)",
            ">>> F.gaussian_nll_loss(one, three, one)\ntensor(2.)",
        ),
        ("kl_div", "lambda x, y, reduction: original(x, y)", ">>> F.kl_div(one, one, reduction='sum')\ntensor(-1.)"),
        (
            "mse_loss",
            "lambda *args: __import__('torch').ones(2)",
            ">>> F.mse_loss(three, one).reshape(1)\ntensor([4.])",
        ),
    ],
    ids=["an error of the original", "a warning of the original", "an error behind the mutant"],
)
def test_what_torch_says_to_a_wrong_value_kills(project: Project, target: str, body: str, code: str) -> None:
    """Where torch or the claim stumbles over what a mutant does, that was noticed: it is no crash of the mutant."""
    project.mutants(
        "from lossdemo.verify.mutant import mutant\n\n\n"
        f'@mutant("torch.nn.functional.{target}")\ndef wrong(original):\n    """Wrong."""\n    return {body}\n'
    )
    result = project.prove(claim("It says so", code))
    result.stdout.fnmatch_lines(["    kills: wrong"])
    assert result.ret == 0


@pytest.mark.parametrize(
    "code",
    [
        ">>> F.mse_loss(one, three)\ntensor(4.)\n>>> F.mse_loss(one)\nTraceback (most recent call last):\n"
        "TypeError: mse_loss() missing 1 required positional argument: 'target'",
        ">>> F.mse_loss(one, three)\ntensor(4.)\n>>> F.mse_loss(1.0, 2.0)\nTraceback (most recent call last):\n"
        "AttributeError: 'float' object has no attribute 'size'",
    ],
    ids=["a call that does not fit", "arguments of another kind"],
)
def test_claims_show_what_torch_refuses(project: Project, code: str) -> None:
    """What a claim sees under --prove are torch's own words, also where a mutant's condition cannot read the call."""
    condition = 'when=lambda call: call["input"].ndim < 2'
    project.mutants(MUTANTS.replace('mse_loss")', f'mse_loss", {condition})', 1))
    project.prove(claim("Torch refuses", code)).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "code",
    [
        ">>> scaled.seen = getattr(scaled, 'seen', 0) + 1\n>>> loss = F.mse_loss(three, one)\n"
        ">>> print(3.0 if scaled.seen == 1 else 4.0)\n3.0",
        ">>> from pathlib import Path\n>>> loss = F.mse_loss(three, one)\n>>> Path('seen').exists()\nFalse\n"
        ">>> Path('seen').touch()",
    ],
    ids=["an attribute", "a file"],
)
def test_a_claim_that_does_not_repeat_fails(project: Project, code: str) -> None:
    """A claim whose state changes from run to run would kill every mutant: it runs once more without one."""
    result = project.prove(claim("Once", code))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["The claim does not repeat: it held once, and then did not."])


def test_a_mutant_that_nobody_kills_fails_the_whole_book_by_name(project: Project) -> None:
    """The run of the whole book fails though every claim kills something, also for what no claim calls."""
    untouched = (
        '\n\n@mutant("torch.nn.functional.l1_loss")\ndef untouched(original):\n    """L1."""\n    return original\n'
    )
    project.mutants(MUTANTS + untouched)
    result = project.prove(SQUARES, claim("MSE squares twice", ">>> F.mse_loss(one, three)\ntensor(4.)"))
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["1 killed, 1 survived, 1 untouched", "survived: never_unreduced", "untouched: untouched"]
    )
    assert project.prove(options=("-k", "twice")).ret == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("", 1, "mutants of what does not exist: later (torch.nn.functional.mse_los)"),
        (", since=(9, 0)", 0, "not in this torch: later"),
    ],
)
def test_mutants_without_a_target_are_named(project: Project, arguments: str, code: int, said: str) -> None:
    """A mistyped target fails the run; one of a later torch says so, and is named."""
    target = f'"torch.nn.functional.mse_los"{arguments}'
    later = f'\n\n@mutant({target})\ndef later(original):\n    """Later."""\n    return original\n'
    project.mutants(MUTANTS + later)
    both = claim("MSE may stay", ">>> F.mse_loss(three, one, reduction='none')\ntensor([4.])")
    result = project.prove(SQUARES, both)
    assert result.ret == code
    result.stdout.fnmatch_lines([said])


def test_modules_that_cannot_be_imported_are_said(project: Project) -> None:
    """A wrong setting is a mistake of the project's, told in a line."""
    project.mutants("import nothing_at_all\n")
    result = project.prove(SQUARES)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: mutants = '{project.name}': importing it failed: ModuleNotFoundError*"])


def test_the_whole_book_tries_no_more_than_it_has_to(project: Project, tried: list) -> None:
    """A mutant that is noticed and a claim that has noticed are not tried again; --prove-all tries each with each."""
    third = claim("MSE squares thirds", ">>> F.mse_loss(one / 3, one)\ntensor(0.4444)")
    unreduced = claim("MSE may stay", ">>> F.mse_loss(three, one, reduction='none')\ntensor([4.])")
    assert project.prove(SQUARES, third, unreduced).ret == 0
    assert len(tried) == 3  # one a claim: halved twice, as it is all that two of them can notice, and never_unreduced
    tried.clear()
    assert project.prove(options=("--prove-all", "--prove-anew")).ret == 0
    assert len(tried) == 4
    project.mutants(MUTANTS + MUTANTS.partition("FACTOR = 0.5\n")[2].replace("def ", "def second_"))
    tried.clear()
    assert project.prove(options=("--prove-anew",)).ret == 0
    assert len(tried) == 5  # both halved, one of them, and both never_unreduced
    tried.clear()
    assert project.prove(options=("--prove-all", "--prove-anew")).ret == 0
    assert len(tried) == 8


def edit(name: str, old: str, new: str) -> Callable[[Project], tuple[str, ...]]:
    """A change of a file of the project."""

    def change(project: Project) -> tuple[str, ...]:
        path = project.pytester.path / (name or f"{project.name}.py")
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return ()

    return change


CHANGES = {
    "the claim's text": edit("spec/losses.md", "## MSE squares\n", "## MSE squares\n\nIndeed.\n"),
    "the preamble": edit("spec/losses.md", "one, three = ", "three, one = "),
    "what the claims import": edit("ours.py", "2 * x", "3 * x"),
    "a mutant": edit("", "FACTOR * loss", "FACTOR * loss * 1"),
    "a mutant's condition": edit("", '== "none"', '!= "mean"'),
    "what mutants share": edit("", "FACTOR = 0.5", "FACTOR = 0.25"),
    "the dtype": lambda project: ("--dtype", "float64"),
    "the seed": lambda project: ("--seed", "1"),
    "the threads": lambda project: ("--threads", "2"),
    "the wish": lambda project: ("--prove-anew",),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_results_are_kept_until_something_changes(project: Project, tried: list, change: Callable) -> None:
    """A second run tries nothing; after a change of anything that a result depends on it is found anew."""
    unreduced = claim("MSE may stay", ">>> F.mse_loss(three, one, reduction='none')\ntensor([4.])")
    assert project.prove(SQUARES, unreduced).ret == 0
    assert tried
    tried.clear()
    assert project.prove().ret == 0
    assert not tried
    kept.fingerprint.cache_clear()  # once a run, and this is one process
    kept._surroundings.cache_clear()
    kept._functions.cache_clear()
    options = change(project)
    project.pytester.syspathinsert()
    inspect.linecache.clearcache()
    project.prove(options=options)
    assert tried


@pytest.mark.parametrize("part", range(len(kept.machine())))
def test_results_are_those_of_one_torch_python_processor_and_harness(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The versions, the processor and the harness's own source are in the key of every result."""
    book = Book(Path(__file__).parent.parent / "spec")
    some = next(iter(book))
    before = kept.claim_key(some, Setting())
    parts = [*kept.machine()]
    parts[part] += " other"
    monkeypatch.setattr(kept, "machine", lambda: tuple(parts))
    assert kept.claim_key(some, Setting()) != before


def test_only_what_changed_is_proved_anew(project: Project, tried: list) -> None:
    """After an edit of one claim the others keep their results, though their lines moved."""
    unreduced = claim("MSE may stay", ">>> F.mse_loss(three, one, reduction='none')\ntensor([4.])")
    assert project.prove(SQUARES, unreduced).ret == 0
    tried.clear()
    assert project.prove(SQUARES.replace("```python", "Indeed.\n\n```python"), unreduced).ret == 0
    assert {name for name, _ in tried} == {"mse-squares"}


def test_everything_is_put_back_also_after_an_interrupt() -> None:
    """Torch's functions are the same objects as before, inherited methods are inherited again."""
    mutants = [mutant for mutant in prove.load(["lossdemo.mutants"]) if prove.exists(mutant.target)]
    before = {target: getattr(*locate(target)) for target in {mutant.target for mutant in mutants}}
    for one in mutants:
        with pytest.raises(KeyboardInterrupt), replaced(one.target, one.make):
            raise KeyboardInterrupt
    with watched(before, lambda *call: None):
        pass
    assert all(getattr(*locate(target)) is function for target, function in before.items())
    assert "sigmoid" not in vars(torch.Tensor)


def test_watching_sees_calls_through_modules() -> None:
    """A loss module calls the function of torch.nn.functional, and that is seen with its arguments."""
    seen = []
    with watched([MSE], lambda target, _, args, kwargs: seen.append((target, kwargs["reduction"]))):
        torch.nn.MSELoss(reduction="sum")(torch.ones(1), torch.zeros(1))
    F.mse_loss(torch.ones(1), torch.zeros(1))
    assert seen == [(MSE, "sum")]


@pytest.mark.parametrize("target", ["torch.nn.functional.nothing", "nowhere.at.all", "torch", "math.pi", "torch.x.y"])
def test_targets_that_are_not_there(target: str) -> None:
    """A dotted path has to lead to a function."""
    with pytest.raises(NoSuchTarget, match=f"there is no function {target}"):
        locate(target)


def test_the_catalogue_is_named_and_said() -> None:
    """Each mutant has a name of its own, a docstring, and a target; there is one for each loss and module of torch."""
    mutants: list[Mutant] = prove.load(["lossdemo.mutants"])
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    assert all(mutant.doc.endswith(".") for mutant in mutants)
    assert all(prove.exists(mutant.target) for mutant in mutants if mutant.since is None)
    targets = {mutant.target.removesuffix(".__init__").removesuffix(".forward") for mutant in mutants}
    losses = {name for name in dir(F) if name.endswith(("_loss", "cross_entropy", "with_logits", "kl_div"))}
    assert {f"torch.nn.functional.{name}" for name in losses if not name.startswith("_")} <= targets


def test_the_makers_of_mutants() -> None:
    """`using` changes arguments, by name and by function; `other_than` tells calls with another value."""
    doubled = using(lambda x, y=1: (x, y), y=lambda y: 2 * y)
    assert (doubled(3), doubled(3, 4)) == ((3, 2), (3, 8))
    assert other_than(y=1)({"x": 0, "y": 2})
    assert not other_than(y=1)({"x": 0, "y": 1})
    assert mutant("math.sqrt", when=other_than(x=1))(doubled) is doubled
