"""`pytest --prove`: kills, survivors, vacuous claims, crashes, and what is left behind."""

import contextlib
import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lossdemo.verify import mutants, prove
from lossdemo.verify.claims import Book, Claim
from lossdemo.verify.mutant import MUTANTS, Mutant
from lossdemo.verify.patch import NoSuchTarget, locate, replaced, watched
from lossdemo.verify.run import Setting

MSE = "torch.nn.functional.mse_loss"
CHAPTER = """\
# Losses

```python
>>> import torch
>>> from torch.nn import functional as F
>>> one, three = torch.tensor([1.]), torch.tensor([3.])
```

## MSE squares

```python
>>> F.mse_loss(three, one)
tensor(4.)
```

Basis: mathematics

## MSE is positive

```python
>>> F.mse_loss(three, one).item() > 0
True
```

Basis: mathematics

## One is one

```python
>>> one.item()
1.0
```

Basis: mathematics
"""


def chapter(directory: Path, text: str = CHAPTER) -> dict[str, Claim]:
    """The claims of a chapter by their id."""
    (directory / "losses.md").write_text(text)
    return {claim.id: claim for claim in Book(directory)}


def named(*names: str) -> list[Mutant]:
    """Mutants of the catalogue."""
    return [mutant for mutant in MUTANTS if mutant.name in names]


def made(make: object, **arguments: object) -> Mutant:
    """A mutant of MSE as it would stand in the catalogue."""
    return Mutant("made", MSE, "Made here.", make, arguments.get("when"))


def test_a_mutant_that_the_numbers_show_is_killed(tmp_path: Path) -> None:
    """A claim that pins a number notices a wrong factor; one that does not, does not."""
    claims = chapter(tmp_path)
    assert prove.prove(claims["mse-squares"], Setting(), named("mse_loss_is_halved_under_mean"))[1].killed == [
        "mse_loss_is_halved_under_mean"
    ]
    assert prove.prove(claims["mse-is-positive"], Setting(), named("mse_loss_is_halved_under_mean"))[1].survived == [
        "mse_loss_is_halved_under_mean"
    ]


def test_only_mutants_of_what_a_claim_calls_are_tried(tmp_path: Path) -> None:
    """A claim is not run under a mutant of a function that it does not call."""
    failure, proof = prove.prove(chapter(tmp_path)["one-is-one"], Setting(), prove.available())
    assert failure is None
    assert proof == ([], [], [], {})


def test_mutants_that_no_call_could_notice_are_idle(tmp_path: Path) -> None:
    """A mutant of unreduced losses is not run under a claim that reduces, and is named apart."""
    _, proof = prove.prove(
        chapter(tmp_path)["mse-squares"], Setting(), named("mse_loss_none_is_mean", "mse_loss_is_halved_under_mean")
    )
    assert (proof.killed, proof.idle) == (["mse_loss_is_halved_under_mean"], ["mse_loss_none_is_mean"])


def test_a_claim_that_fails_by_itself_is_not_tried(tmp_path: Path) -> None:
    """First a claim has to hold."""
    claim = chapter(tmp_path, CHAPTER.replace("tensor(4.)", "tensor(5.)"))["mse-squares"]
    failure, proof = prove.prove(claim, Setting(), prove.available())
    assert failure is not None
    assert proof == ([], [], [], {})


def refuse(original: object) -> object:
    """A mutant that does not want what torch takes."""

    def call(*args: object, **kwargs: object) -> None:
        raise mutants.RefusedOnPurpose("not this")

    return call


def test_a_refusal_on_purpose_kills_and_a_crash_does_not(tmp_path: Path) -> None:
    """An error that the mutant means is noticed; one of its own, as of its signature, is an error of the suite."""
    claim = chapter(tmp_path)["mse-squares"]
    assert prove.prove(claim, Setting(), [made(refuse)])[1].killed == ["made"]
    _, proof = prove.prove(claim, Setting(), [made(lambda original: lambda x: original(x, x))])
    assert (proof.killed, list(proof.crashed)) == ([], ["made"])
    assert "TypeError" in proof.crashed["made"]


def test_an_error_behind_the_mutant_kills(tmp_path: Path) -> None:
    """Where torch or the claim stumbles over a wrong value, it was noticed."""
    claim = chapter(tmp_path, CHAPTER.replace("three, one)\ntensor(4.)", "three, one).reshape(1)\ntensor([4.])"))
    wide = made(lambda original: lambda *args: torch.ones(2))
    assert prove.prove(claim["mse-squares"], Setting(), [wide])[1].killed == ["made"]


def test_everything_is_put_back_also_after_an_interrupt() -> None:
    """Torch's functions are the same objects as before, inherited methods are inherited again."""
    before = {target: getattr(*locate(target)) for target in {mutant.target for mutant in prove.available()}}
    for mutant in prove.available():
        with pytest.raises(KeyboardInterrupt), replaced(mutant.target, mutant.make):
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


def test_the_catalogue_is_large_named_and_said() -> None:
    """At least 120 mutants, each with a name of its own and a docstring, for each loss that this torch has."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 120
    assert all(mutant.doc.endswith(".") for mutant in MUTANTS)
    targets = {mutant.target for mutant in MUTANTS}
    losses = {name for name in dir(F) if name.endswith(("_loss", "cross_entropy", "with_logits", "kl_div"))}
    public = {name for name in losses if not name.startswith("_")}
    assert {f"torch.nn.functional.{name}" for name in public} <= targets


@pytest.mark.filterwarnings("ignore:reduction")  # kl_div warns of its mean
@pytest.mark.parametrize(
    "mutant", [m for m in prove.available() if m.target.startswith("torch.nn.functional.")], ids=lambda m: m.name
)
def test_a_mutant_does_not_crash_on_plain_calls(mutant: Mutant) -> None:
    """A mutant takes what the loss takes, and differs in its result rather than in its signature."""
    x, y = torch.tensor([[0.2, 0.7], [0.6, 0.1]]), torch.tensor([[0.9, 0.3], [0.5, 0.5]])
    sign, index = torch.tensor([1, -1]), torch.tensor([0, 1])
    arguments = {
        "cross_entropy": (x, index),
        "nll_loss": (x.log(), index),
        "linear_cross_entropy": (x, y, index),
        "gaussian_nll_loss": (x, y, torch.ones(2, 2)),
        "hinge_embedding_loss": (x, torch.tensor([[1, -1], [-1, 1]])),
        "margin_ranking_loss": (x[0], x[1], sign),
        "soft_margin_loss": (x, torch.tensor([[1.0, -1.0], [-1.0, 1.0]])),
        "multi_margin_loss": (x, index),
        "multilabel_margin_loss": (x, torch.tensor([[1, -1], [0, -1]])),
        "cosine_embedding_loss": (x, y, sign),
        "triplet_margin_loss": (x, y, y.flip(0)),
        "triplet_margin_with_distance_loss": (x, y, y.flip(0)),
        "ctc_loss": (x[:, None].log_softmax(-1), torch.tensor([[1]]), torch.tensor([2]), torch.tensor([1])),
    }.get(mutant.target.rpartition(".")[2], (x, y))
    with replaced(mutant.target, mutant.make):
        result = getattr(*locate(mutant.target))(*arguments)
    assert isinstance(result, torch.Tensor)


def workout() -> None:
    """Every layer, optimizer and helper that a mutant breaks, with the arguments that it may ignore."""
    x, y = torch.tensor([[0.2, -0.7], [0.6, 0.1]]), torch.tensor([[0.9], [0.3]])
    nn, optim = torch.nn, torch.optim
    for activation in (nn.Tanh(), nn.ReLU(), nn.Sigmoid()):
        model = nn.Sequential(
            nn.Embedding(3, 2, max_norm=0.1), nn.Flatten(), nn.BatchNorm1d(2), nn.Linear(2, 1), activation
        )
        for optimizer in (
            optim.SGD(model.parameters(), lr=0.1, momentum=0.5, dampening=0.1, weight_decay=0.1),
            optim.SGD(model.parameters(), lr=0.1, momentum=0.5, nesterov=True, maximize=True),
            optim.Adam(model.parameters(), lr=0.1, betas=(0.8, 0.9), eps=0.1, weight_decay=0.1),
            optim.AdamW(model.parameters()),
            optim.RMSprop(model.parameters()),
            optim.Adagrad(model.parameters()),
        ):
            scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
            for _ in range(2):
                optimizer.zero_grad(set_to_none=False)
                scaler.scale(F.mse_loss(model(torch.tensor([[0], [1]])), y)).backward()
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                nn.utils.clip_grad_value_(model.parameters(), 0.1)
                scaler.step(optimizer)
                scaler.update()
        model.eval()(torch.tensor([[0], [1]]))
    w = x.clone().requires_grad_()
    for z in (
        w.sigmoid(),
        w.softmax(1),
        w.log_softmax(1),
        torch.sigmoid(w),
        torch.tanh(w),
        torch.relu(w - 5),
        w.detach(),
    ):
        (z * w).backward(torch.ones(2, 2))
    torch.autograd.grad((w**2).sum(), w)
    with torch.no_grad():
        w.add_(1)


@pytest.mark.filterwarnings("ignore")  # a mutant may bring about any warning; here it must only not crash
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if ".functional." not in m.target], ids=lambda m: m.name)
def test_a_mutant_does_not_crash_in_a_workout(mutant: Mutant) -> None:
    """Nothing is raised by a mutant itself, whatever becomes of the training behind it."""
    crashes: list[Exception] = []
    behind = contextlib.suppress(RuntimeError, AssertionError)  # torch may stumble over what the mutant returned
    with torch.random.fork_rng(), replaced(mutant.target, prove._Guarded(mutant.make, crashes)), behind:
        torch.manual_seed(0)
        workout()
    assert not crashes


@pytest.fixture
def spec(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one chapter: a strong claim, a weak one, and one that calls nothing."""
    pytester.makeconftest('pytest_plugins = ["lossdemo.verify.plugin"]')
    pytester.makeini("[pytest]\naddopts = -p no:doctest -p no:hypothesispytest\n")
    pytester.mkdir("spec")
    (pytester.path / "spec" / "losses.md").write_text(CHAPTER)
    pytester.makepyfile(test_other="def test_other(): assert False")
    return pytester


def test_vacuous_claims_fail_with_what_was_tried(spec: pytest.Pytester) -> None:
    """A claim that calls nothing that a mutant breaks shows nothing; tests that are no claims are left out."""
    result = spec.runpytest_inprocess("--prove", "--device", "cpu")
    result.assert_outcomes(passed=1, failed=2, deselected=1)
    result.stdout.fnmatch_lines(
        ["The claim is vacuous: *", "Tried: nothing, as it calls no function that a mutant breaks"]
    )


def test_a_claim_that_every_mutant_survives_is_vacuous(spec: pytest.Pytester) -> None:
    """What was tried is listed by name."""
    text = CHAPTER.replace("F.mse_loss(three, one).item() > 0", "F.mse_loss(three, one).ndim")
    (spec.path / "spec" / "losses.md").write_text(text.replace(".ndim\nTrue", ".ndim\n0"))
    result = spec.runpytest_inprocess("--prove", "--device", "cpu", "-k", "positive")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(["Tried: *mse_loss_is_halved_under_mean*"])


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_the_matrix_is_printed_and_kept(spec: pytest.Pytester, workers: list[str]) -> None:
    """An author sees which mutants the claim kills, and the matrix is kept as data."""
    run = spec.runpytest_subprocess if workers else spec.runpytest_inprocess
    result = run("--prove", "--device", "cpu", "--dtype", "float64", "-k", "squares", *workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["spec/losses.md::mse-squares[[]cpu-float64[]] kills * of *", "    kills: mse_loss_is_halved_under_mean, *"]
    )
    kept = json.loads((spec.path / ".pytest_cache/v/lossdemo/proofs").read_text())
    assert "mse_loss_is_halved_under_mean" in kept["claims"]["spec/losses.md::mse-squares[cpu-float64]"]["killed"]
    assert "mse_loss_is_halved_under_mean" in kept["mutants"]["killed"]
    assert "ctc_loss_ignores_blank" in kept["mutants"]["untouched"]


@pytest.mark.parametrize(
    ("name", "gap"),
    [
        ("mse_loss_none_is_mean", "survived"),
        ("ctc_loss_ignores_blank", "untouched"),
        ("mse_loss_is_halved_under_mean", None),
    ],
)
def test_a_mutant_that_nobody_kills_fails_the_whole_book_by_name(
    spec: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, gap: str | None
) -> None:
    """The run of the whole book fails though every claim kills something, also for what no claim calls."""
    monkeypatch.setattr(prove, "MUTANTS", named("mse_loss_is_halved_under_mean", name))
    claim = CHAPTER.partition("## MSE is positive")[0]
    (spec.path / "spec" / "losses.md").write_text(
        claim + claim[claim.index("## MSE") :].replace("squares", "is 4 for 2")
    )
    result = spec.runpytest_inprocess("--prove", "--device", "cpu")
    result.assert_outcomes(passed=2, deselected=1)
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if gap else pytest.ExitCode.OK)
    if gap:
        result.stdout.fnmatch_lines([f"{gap}: {name}"])
    assert spec.runpytest_inprocess("--prove", "--device", "cpu", "-k", "squares").ret == 0


def test_many_claims_are_summed_up_by_chapter(spec: pytest.Pytester) -> None:
    """For more than a few claims the matrix is a table, a line a chapter."""
    preamble, _, claim = CHAPTER.partition("## MSE is positive")[0].partition("## MSE squares")
    text = preamble + "".join(f"## MSE squares {i}{claim}" for i in range(6))
    (spec.path / "spec" / "losses.md").write_text(text)
    result = spec.runpytest_inprocess("--prove", "--device", "cpu")
    result.stdout.re_match_lines([r"chapter +claims +mutants killed +fewest by a claim", r"spec/losses.md +6 +3 +3"])


def test_a_crashed_mutant_is_an_error_of_the_suite(spec: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails the claim that found it, and names the mutant and its error."""
    monkeypatch.setattr(prove, "MUTANTS", [made(lambda original: lambda x: original(x, x))])
    result = spec.runpytest_inprocess("--prove", "--device", "cpu", "-k", "squares")
    result.assert_outcomes(failed=1, deselected=3)
    result.stdout.fnmatch_lines(["These mutants crashed by themselves: mend them.", "    made: TypeError*"])


def test_mutants_of_functions_that_torch_lacks_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue for a newer torch runs on an older one."""
    monkeypatch.setattr(prove, "MUTANTS", [Mutant("later", "torch.later", "Not yet.", refuse, None), *MUTANTS[:1]])
    assert prove.available() == MUTANTS[:1]
