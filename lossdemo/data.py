"""The data sets that claims are stated on: inputs first, then targets, as tensors of the default dtype and device.

Random sets are drawn by NumPy from a seed of their own, so that they are the same on every device and leave torch's
generators alone.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


def line(n: int = 100, *, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """y = 2x + 1 + noise, with x and the noise normally distributed.

    Args:
        n: how many points.
        noise: the noise's standard deviation; 0 puts every point on the line.
        seed: of the draw.

    Returns:
        x (n, 1) and y (n, 1).
    """
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, 1))
    return _floats(x), _floats(2 * x + 1 + noise * random.standard_normal((n, 1)))


def blobs(n: int = 150, *, classes: int = 3, spread: float = 0.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points around centers that lie evenly on the circle of radius 2, one center for each class.

    Args:
        n: how many points; classes take turns, so they are equally frequent where `classes` divides `n`.
        classes: how many centers.
        spread: standard deviation of the points around their center.
        seed: of the draw.

    Returns:
        x (n, 2) and the class of each point (n,), int64.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    angles = 2 * np.pi * labels / classes
    centers = 2 * np.column_stack([np.cos(angles), np.sin(angles)])
    return _floats(centers + spread * random.standard_normal((n, 2))), torch.tensor(labels)


def random_labels(n: int = 100, *, features: int = 10, classes: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs and labels that have nothing to do with each other: there is nothing to learn, only to memorize.

    Args:
        n: how many samples.
        features: inputs a sample, normally distributed.
        classes: labels are drawn evenly from 0 to classes - 1.
        seed: of the draw.

    Returns:
        x (n, features) and the labels (n,), int64.
    """
    random = np.random.default_rng(seed)
    return _floats(random.standard_normal((n, features))), torch.tensor(random.integers(classes, size=n))


def spoil(values: Tensor, rows: Sequence[int] | Tensor, by: float) -> Tensor:
    """A copy of targets or inputs, shape (n, …), with `by` added once to the rows given by number or mask (n,)."""
    spoilt = values.clone()
    spoilt[torch.as_tensor(rows)] += by
    return spoilt


def telephone_calls() -> tuple[Tensor, Tensor]:
    """International calls from Belgium by year; from 1964 to 1969 their minutes were recorded instead of their number.

    Source: Rousseeuw and Leroy, Robust Regression and Outlier Detection, Wiley 1987, chapter 2, table 2
    (there in tens of millions).

    Returns:
        year (24, 1), 1950 to 1973, and calls (24, 1) in millions.
    """
    calls = [4.4, 4.7, 4.7, 5.9, 6.6, 7.3, 8.1, 8.8, 10.6, 12.0, 13.5, 14.9]
    calls += [16.1, 21.2, 119, 124, 142, 159, 182, 212, 43, 24, 27, 29]
    return _floats(np.arange(1950, 1974)[:, None]), _floats(np.array(calls)[:, None])


def diabetes(*, standardized: bool = False) -> tuple[Tensor, Tensor]:
    """Ten measurements of 442 patients, and how far their diabetes progressed within a year.

    Source: Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, Annals of Statistics 32, 2004; by way of
    scikit-learn.

    Returns:
        x (442, 10) in the units of the study, or standardized; y (442, 1), a score from 25 to 346.
    """
    x, y = _shipped("diabetes_data_raw.csv.gz"), _shipped("diabetes_target.csv.gz")
    return _inputs(x, standardized), _floats(y[:, None])


def breast_cancer(*, standardized: bool = False) -> tuple[Tensor, Tensor]:
    """Thirty measurements of the cell nuclei of 569 tumours, and whether the tumour is benign.

    Source: Street, Wolberg and Mangasarian, Nuclear feature extraction for breast tumor diagnosis, 1993; by way of
    scikit-learn.

    Returns:
        x (569, 30), raw or standardized; y (569, 1), 1.0 for benign and 0.0 for malignant.
    """
    table = _shipped("breast_cancer.csv", delimiter=",", skiprows=1)
    return _inputs(table[:, :-1], standardized), _floats(table[:, -1:])


def digits(*, standardized: bool = False) -> tuple[Tensor, Tensor]:
    """Handwritten digits in 8 x 8 pixels.

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, 1998, its test set; by way of scikit-learn.

    Returns:
        x (1797, 64), pixels from 0 to 16 or standardized; the digit (1797,), int64.
    """
    table = _shipped("digits.csv.gz", delimiter=",")
    return _inputs(table[:, :-1], standardized), torch.tensor(table[:, -1].astype(np.int64))


def standardize(x: Tensor, like: Tensor | None = None) -> Tensor:
    """Shift and scale each column by the mean and standard deviation it has in `like`, by default in `x` itself.

    For held-out data `like` is the training data. A column that is constant there is only shifted.

    Args:
        x: (n, features).
        like: (m, features).

    Returns:
        (n, features); for `like` None each column has mean 0 and standard deviation 1 (the one that divides by n).
    """
    like = x if like is None else like
    varies = like.amax(0) > like.amin(0)  # the deviation of a constant may be rounding instead of 0
    return (x - like.mean(0)) / torch.where(varies, like.std(0, correction=0), 1)


def _shipped(name: str, **arguments: Any) -> NDArray[np.float64]:
    """A table from scikit-learn's wheel, read without importing scikit-learn: that takes as long as importing torch."""
    package = find_spec("sklearn")
    if not package or not package.origin:
        raise ModuleNotFoundError("the real data sets are scikit-learn's: install scikit-learn")
    return np.loadtxt(Path(package.origin).parent / "datasets" / "data" / name, **arguments)


def _inputs(x: ArrayLike, standardized: bool) -> Tensor:
    return standardize(_floats(x)) if standardized else _floats(x)


def _floats(values: ArrayLike) -> Tensor:
    return torch.tensor(values, dtype=torch.get_default_dtype())
