"""Shapes, dtypes, devices and contents of the data sets."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from sklearn import datasets

from lossdemo import data
from lossdemo.verify.run import Setting, torch_as

SETS = {
    "line": (data.line, (100, 1), (100, 1)),
    "blobs": (data.blobs, (150, 2), (150,)),
    "random labels": (data.random_labels, (100, 10), (100,)),
    "telephone calls": (data.telephone_calls, (24, 1), (24, 1)),
    "diabetes": (data.diabetes, (442, 10), (442, 1)),
    "breast cancer": (data.breast_cancer, (569, 30), (569, 1)),
    "digits": (data.digits, (1797, 64), (1797,)),
}


@pytest.mark.parametrize(("load", "x_shape", "y_shape"), SETS.values(), ids=SETS)
def test_shapes_and_dtypes(setting: Setting, load: Callable, x_shape: tuple, y_shape: tuple) -> None:
    """Inputs and real targets have the default dtype, labels are int64, all on the default device and finite."""
    x, y = load()
    assert (tuple(x.shape), tuple(y.shape)) == (x_shape, y_shape)
    assert x.dtype == setting.dtype
    assert y.dtype == (setting.dtype if y.ndim == 2 else torch.int64)
    assert x.device.type == y.device.type == setting.device
    assert torch.isfinite(x).all()
    assert torch.isfinite(y).all()


@pytest.mark.parametrize("load", [data.line, data.blobs, data.random_labels])
def test_draws_depend_on_their_own_seed_alone(load: Callable) -> None:
    """A set is the same whatever torch's generator has done, leaves it alone, and another seed draws another set."""
    before = torch.get_rng_state()
    first = load()[0]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(first, load()[0])
    assert not torch.equal(first, load(seed=1)[0])


def test_line_without_noise_is_the_line(setting: Setting) -> None:
    """y = 2x + 1, and noise moves y by its standard deviation."""
    x, y = data.line(2000, noise=0)
    torch.testing.assert_close(y, 2 * x + 1)
    noisy_x, noisy_y = data.line(2000, noise=0.5)
    assert torch.equal(x, noisy_x)
    assert (noisy_y - y).std().item() == pytest.approx(0.5, rel=0.05)


def test_blobs_surround_their_centers(setting: Setting) -> None:
    """Each class has as many points as the others, around a center at distance 2."""
    x, y = data.blobs(400, classes=4, spread=0.1)
    assert y.bincount().tolist() == [100] * 4
    centers = torch.stack([x[y == label].mean(0) for label in range(4)])
    torch.testing.assert_close(centers.norm(dim=1), torch.full((4,), 2.0), rtol=0, atol=0.05)
    assert (x[y == 0] - centers[0]).std().item() == pytest.approx(0.1, rel=0.15)


def test_random_labels_take_every_class() -> None:
    """Labels run from 0 to classes - 1, each about as often."""
    counts = data.random_labels(1000, features=3, classes=4)[1].bincount()
    assert counts.tolist() == pytest.approx([250] * 4, abs=60)


def test_spoil_adds_to_the_given_rows_of_a_copy(setting: Setting) -> None:
    """Only the named rows differ, and the original stays."""
    y = torch.zeros(4, 1)
    assert data.spoil(y, [1, 3], by=50).flatten().tolist() == [0, 50, 0, 50]
    assert data.spoil(torch.zeros(2, 2), [0], by=-1).tolist() == [[-1, -1], [0, 0]]
    assert data.spoil(y, torch.tensor([True, False, False, True]), by=1).flatten().tolist() == [1, 0, 0, 1]
    assert y.any().item() is False
    with pytest.raises(IndexError):
        data.spoil(y, [4], by=1)


def test_telephone_calls_are_the_published_ones() -> None:
    """Years 1950 to 1973, with the jump of 1964 and the return of 1970."""
    year, calls = data.telephone_calls()
    assert year.flatten().tolist() == list(range(1950, 1974))
    assert calls[[0, 13, 14, 19, 20, 23], 0].tolist() == pytest.approx([4.4, 21.2, 119, 212, 43, 29])
    assert calls.sum().item() == pytest.approx(1199.8)


@pytest.mark.parametrize(
    ("load", "reference"),
    [
        (data.diabetes, partial(datasets.load_diabetes, scaled=False)),
        (data.breast_cancer, datasets.load_breast_cancer),
        (data.digits, datasets.load_digits),
    ],
)
def test_real_sets_are_those_of_scikit_learn(load: Callable, reference: Callable) -> None:
    """The tables read from scikit-learn's files are those that its own loaders return."""
    with torch_as(Setting(dtype=torch.float64)):
        x, y = load()
    expected_x, expected_y = reference(return_X_y=True)
    assert x.tolist() == expected_x.tolist()
    assert y.flatten().tolist() == expected_y.tolist()


@pytest.mark.parametrize("load", [data.diabetes, data.breast_cancer, data.digits])
def test_standardized_columns_have_mean_zero_and_deviation_one(setting: Setting, load: Callable) -> None:
    """Standardized sets are the raw ones, shifted and scaled; constant columns are zero."""
    raw, y = load()
    x, same = load(standardized=True)
    assert torch.equal(y, same)
    torch.testing.assert_close(x.mean(0), torch.zeros(x.shape[1]), rtol=0, atol=1e-4)
    varies = raw.amax(0) > raw.amin(0)
    torch.testing.assert_close(x[:, varies].std(0, correction=0), torch.ones(int(varies.sum())), rtol=1e-4, atol=0)
    assert not x[:, ~varies].any()


def test_standardize_uses_the_statistics_of_another_set() -> None:
    """Held-out data are shifted and scaled as the training data are."""
    train, held_out = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0]])
    assert data.standardize(train).tolist() == [[-1], [1]]
    assert data.standardize(held_out, like=train).tolist() == [[2]]


def test_a_constant_column_is_only_shifted(setting: Setting) -> None:
    """The deviation of a constant is zero, however it is rounded, and nothing is divided by it."""
    train = torch.full((442, 1), 0.1)
    assert data.standardize(train).abs().max() < 1e-6
    assert data.standardize(train + 0.1, like=train)[0].item() == pytest.approx(0.1, abs=1e-6)
