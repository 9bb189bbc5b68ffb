"""Many trainings at once: equal to the loop, member by member and step by step, and what is refused."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossdemo import ensemble, train
from lossdemo.verify.run import Setting

MEMBERS, ROWS, STEPS = 3, 8, 12


class Tied(nn.Module):
    """A weight used by two layers, and a parameter that is a single number."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.scale = nn.Linear(2, 2), nn.Linear(2, 2), nn.Parameter(torch.randn(()))
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the second layer's two numbers, scaled."""
        return self.scale * self.second(self.first(x).tanh()).mean(1, keepdim=True)


class Shifted(nn.Module):
    """A constant made in `forward`, a buffer, a parameter that stays, one used twice, and one that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 1)
        self.first.bias.requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(2))
        self.register_buffer("scale", torch.tensor([1.0, 0.5]))

    def forward(self, x: Tensor) -> Tensor:
        """Two turns of the first layer, then the second."""
        return self.second(self.first(self.first(x).tanh() * self.scale + torch.tensor(0.5)))


class Column(nn.Module):
    """The first input alone, a view with gaps."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        return x[:, :1]


def network(*layers: Callable[[], nn.Module], out: int = 1) -> nn.Module:
    """Two linear layers with these between them."""
    return nn.Sequential(nn.Linear(2, 4), *(layer() for layer in layers), nn.Linear(4, out))


CASES = {
    "line, MSE": (lambda: nn.Linear(2, 1), F.mse_loss),
    "network, MAE": (lambda: network(nn.ReLU), nn.L1Loss()),
    "normalized, Huber": (lambda: network(lambda: nn.LayerNorm(4), nn.GELU), nn.HuberLoss(delta=0.5)),
    "BatchNorm, MSE": (lambda: network(lambda: nn.BatchNorm1d(4, track_running_stats=False)), F.mse_loss),
    "logits, BCE": (lambda: network(nn.Tanh), lambda z, y: F.binary_cross_entropy_with_logits(z, y.sigmoid())),
    "classes": (lambda: network(nn.ReLU, out=3), lambda z, y: F.cross_entropy(z, (y[:, 0] > 0).long())),
    "one column, strided": (lambda: nn.Sequential(nn.Flatten(), Column(), nn.Linear(1, 3), nn.Linear(3, 1)), F.l1_loss),
    "tied and a scalar": (Tied, F.mse_loss),
    "weighted classes": (
        lambda: network(nn.ReLU, out=3),
        lambda z, y: nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]))(z, (y[:, 0] > 0).long()),
    ),
    "its own loss": (Shifted, lambda z, y: (z - y).abs().pow(1.5).sum() / torch.tensor([2.0])),
}


def drawn() -> tuple[Tensor, Tensor]:
    """Inputs (members, rows, 2) and targets (members, rows, 1)."""
    return torch.randn(MEMBERS, ROWS, 2), torch.randn(MEMBERS, ROWS, 1)


@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("case", CASES)
def test_each_member_is_trained_as_by_the_loop(case: str, momentum: float, setting: Setting) -> None:
    """Losses and parameters of each step, with one learning rate and with one for each member."""
    (make, criterion), (x, y) = CASES[case], drawn()
    for lr in (0.05, torch.tensor([0.05, 0.1, 0.0])):
        models = [make() for _ in range(MEMBERS)]
        start = ensemble.stack(models)
        found = ensemble.fit(models[0], criterion, start, x, y, STEPS, lr=lr, momentum=momentum, record=True)
        for i, (model, rate) in enumerate(zip(models, torch.as_tensor(lr).expand(MEMBERS).tolist())):
            for name, parameter in model.named_parameters():
                assert torch.equal(parameter, start[name][i])
            optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "the loss does not depend on unused")
                history = train.fit(model, criterion, optimizer, x[i], y[i], STEPS, record="parameters")
            torch.testing.assert_close(found.loss[:, i], torch.tensor(history.loss), rtol=1e-4, atol=1e-5)
            for name, steps in history.parameters.items():
                if name in found.path:
                    torch.testing.assert_close(found.path[name][:, i], steps, rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(found.parameters[name][i], steps[-1], rtol=1e-4, atol=1e-5)


def test_rows_are_those_of_each_step_and_member(setting: Setting) -> None:
    """A minibatch of a member's own rows at each step, from a tensor as from a generator."""
    x, y = drawn()
    models = [nn.Linear(2, 1) for _ in range(MEMBERS)]
    rows = torch.randint(ROWS, (STEPS, MEMBERS, 2))
    found = [
        ensemble.fit(models[0], F.mse_loss, ensemble.stack(models), x, y, STEPS, lr=0.1, rows=each)
        for each in (rows, (step for step in rows))
    ]
    assert torch.equal(found[0].loss, found[1].loss)
    for i, model in enumerate(models):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = [
            train.fit(model, F.mse_loss, optimizer, x[i, rows[t, i]], y[i, rows[t, i]], 1).loss for t in range(STEPS)
        ]
        torch.testing.assert_close(found[0].loss[:, i], torch.tensor(losses).flatten())
        torch.testing.assert_close(found[0].parameters["weight"][i], model.weight.detach())


def test_an_incomplete_batch_is_averaged_over_its_own_rows(setting: Setting) -> None:
    """Batches of 3, 3 and 2 rows in turn, the same for all members."""
    x, y = drawn()
    models = [nn.Linear(2, 1) for _ in range(MEMBERS)]
    batches = torch.arange(ROWS).split(3) * 2
    found = ensemble.fit(models[0], F.mse_loss, ensemble.stack(models), x, y, 6, lr=0.1, rows=batches)
    for i, model in enumerate(models):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for rows in batches:
            train.fit(model, F.mse_loss, optimizer, x[i, rows], y[i, rows], 1)
        torch.testing.assert_close(found.parameters["weight"][i], model.weight.detach())


def test_dropout_is_drawn_anew_for_each_member_and_step(setting: Setting) -> None:
    """No two masks are the same, nothing moves at lr 0, and in evaluation nothing is dropped."""
    model, x = nn.Dropout(0.5), torch.ones(MEMBERS, 64, 2)
    dropped = nn.Sequential(model, nn.Linear(2, 1))
    start = ensemble.stack([dropped] * MEMBERS)
    found = ensemble.fit(dropped, F.mse_loss, start, x, 0 * x[..., :1], 3, lr=0.0)
    assert len(found.loss.unique()) == 3 * MEMBERS
    assert all(torch.equal(values, start[name]) for name, values in found.parameters.items())
    found = ensemble.fit(dropped.eval(), F.mse_loss, start, x, 0 * x[..., :1], 3, lr=0.0)
    torch.testing.assert_close(found.loss, found.loss[:1, :1].expand(3, MEMBERS))


def test_data_are_shared_without_a_copy_and_inputs_may_be_integers(setting: Setting) -> None:
    """`expand` gives all members one tensor; an embedding takes its indices."""
    model = nn.Embedding(5, 1)
    start = {"weight": torch.zeros(MEMBERS, 5, 1)}
    x, y = torch.arange(5).expand(MEMBERS, 5), torch.arange(5)[:, None].expand(MEMBERS, 5, 1) * 1.0
    found = ensemble.fit(model, nn.MSELoss(reduction="sum"), start, x, y, 1, lr=0.5)
    assert found.parameters["weight"][1].flatten().tolist() == [0, 1, 2, 3, 4]


def test_no_steps_give_the_start_and_no_losses(setting: Setting) -> None:
    """Copies of it: what is done with the result does not reach the start."""
    model, (x, y) = nn.Linear(2, 1), drawn()
    start = ensemble.stack([model] * MEMBERS)
    found = ensemble.fit(model, F.mse_loss, start, x, y, 0, lr=0.1, record=True)
    assert found.loss.shape == (0, MEMBERS)
    assert found.path["weight"].shape == (1, MEMBERS, 1, 2)
    found.parameters["weight"].zero_()
    assert start["weight"].all()


def test_a_member_that_diverges_leaves_the_others_alone(setting: Setting) -> None:
    """Its losses end as NaN; the others have what they have by themselves."""
    model, (x, y) = nn.Linear(2, 1), drawn()
    start = ensemble.stack([model] * MEMBERS)
    found = ensemble.fit(model, F.mse_loss, start, x, y, 400, lr=torch.tensor([0.1, 1e4, 0.1]))
    assert found.loss.isfinite().all(0).tolist() == [True, False, True]
    alone = ensemble.fit(model, F.mse_loss, {name: w[:1] for name, w in start.items()}, x[:1], y[:1], 400, lr=0.1)
    torch.testing.assert_close(found.loss[:, 0], alone.loss[:, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": {"weight": torch.zeros(MEMBERS, 1, 2)}}, "stack as many models"),
        ({"start": {"weight": torch.zeros(2, 1, 2), "bias": torch.zeros(2, 1)}}, "stack as many models"),
        ({"y": torch.zeros(MEMBERS, 7, 1)}, r"both begin with \(members, n\)"),
        ({"x": torch.zeros(MEMBERS, 0, 2), "y": torch.zeros(MEMBERS, 0, 1)}, "neither of them 0"),
        ({"steps": -1}, "steps is -1"),
        ({"lr": torch.ones(2)}, r"lr is \(2,\) for 3 members"),
        ({"lr": torch.optim.SGD([torch.zeros(1)], lr=0.1)}, "lr is a SGD: give a number"),
        ({"x": [[1.0]]}, "x is a list: give a tensor"),
        ({"criterion": lambda z, y: (F.mse_loss(z, y), 1)}, "criterion returned a tuple: return a tensor"),
        ({"rows": torch.zeros(1, MEMBERS, 2, dtype=torch.long)}, "rows has 1 of the 2 steps"),
        ({"rows": torch.arange(2)}, r"a step's rows are \(\) of int64"),
        ({"rows": torch.zeros(2, MEMBERS + 1, 2, dtype=torch.long)}, r"a step's rows are \(4, 2\) of int64"),
        ({"rows": torch.ones(2, MEMBERS, ROWS, dtype=torch.bool)}, r"a step's rows are \(3, 8\) of bool"),
        ({"criterion": nn.MSELoss(reduction="none")}, r"loss has shape \(8, 1\)"),
    ],
)
def test_what_does_not_go_together_is_refused(change: dict, words: str) -> None:
    """With what to change."""
    model = nn.Linear(2, 1)
    given = {"criterion": F.mse_loss, "start": ensemble.stack([model] * MEMBERS), "steps": 2, "lr": 0.1}
    given |= {"x": torch.zeros(MEMBERS, ROWS, 2), "y": torch.zeros(MEMBERS, ROWS, 1)}
    with pytest.raises((ValueError, TypeError), match=words):
        ensemble.fit(model, **given | change)


@pytest.mark.parametrize("models", [[], [nn.Linear(1, 1), nn.Linear(2, 1)], [nn.Linear(1, 1), nn.ReLU()]])
def test_models_of_different_build_are_not_stacked(models: list[nn.Module]) -> None:
    """By name and shape; nor are none. Of one build are those whose classes a parametrization has made anew."""
    with pytest.raises(ValueError, match="give one or more models built alike"):
        ensemble.stack(models)
    normed = [nn.utils.parametrizations.weight_norm(nn.Linear(2, 1)) for _ in range(3)]
    assert ensemble.stack(normed)["parametrizations.weight.original1"].shape == (3, 1, 2)


def test_running_statistics_are_refused_in_training_mode(setting: Setting) -> None:
    """They would be one for all members; in evaluation they stay, and it goes."""
    model, (x, y) = network(lambda: nn.BatchNorm1d(4)), drawn()
    start = ensemble.stack([model] * MEMBERS)
    with pytest.raises(ValueError, match=r"1 keeps running statistics"):
        ensemble.fit(model, F.mse_loss, start, x, y, 1, lr=0.1)
    assert ensemble.fit(model.eval(), F.mse_loss, start, x, y, 1, lr=0.1).loss.isfinite().all()


def test_a_loss_that_asks_for_a_value_is_refused_by_torch(setting: Setting) -> None:
    """A condition in Python would be decided once for all members."""
    model, (x, y) = nn.Linear(2, 1), drawn()
    with pytest.raises(RuntimeError):
        ensemble.fit(
            model, lambda z, y: z.sum() if z.sum() > 0 else -z.sum(), ensemble.stack([model] * 3), x, y, 1, lr=1
        )
