"""What the number comparison accepts and refuses."""

import doctest

import pytest

from lossdemo.verify.compare import OutputChecker, mismatch

ACCEPTED = [
    ("True", "True"),
    ("", ""),
    ("3", "3"),
    ("-3", "-3"),
    # two decimals or more: half a unit of the last digit
    ("0.25", "0.25"),
    ("0.25", "0.2549"),
    ("0.25", "0.245"),
    ("0.3333", "0.33333334"),
    ("5.04", "5.041477"),
    ("-0.00", "0.0049"),
    ("0.00", "1e-9"),
    ("1.93e-22", "1.9287e-22"),
    ("1.50e+03", "1503.9"),
    # fewer: exactly, to 1e-4 of the size and 1e-6 at zero
    ("0.5", "0.50004"),
    ("2.", "1.9999"),
    ("1e-05", "1.00005e-05"),
    ("0.", "0.0000"),
    ("0.", "-0."),
    ("0.0", "9e-7"),
    ("1000.0", "1000.09"),
    # tensors
    ("tensor(0.)", "tensor(-0.)"),
    ("tensor(0.)", "tensor(0., device='cuda:0')"),
    ("tensor([1., 2.])", "tensor([1.0000, 2.0000], device='cuda:0', grad_fn=<AddBackward0>)"),
    ("tensor([0.5000], grad_fn=<MulBackward0>)", "tensor([0.5000], grad_fn=<DivBackward0>)"),
    ("tensor([[1., 2.],\n        [3., 4.]])", "tensor([[1., 2.],\n        [3., 4.]],\n       device='cuda:0')"),
    ("tensor([0., 1.])", "tensor([-0.,  1.])"),
    ("tensor([1.0000, 2.0000])", "tensor([ 1.0000, 2.0000])"),
    ("nan", "nan"),
    ("tensor([nan, inf, -inf])", "tensor([nan, inf, -inf])"),
    ("(inf, [[nan, nan]])", "(inf, [[nan, nan]])"),
    ("torch.Size([2, 3])", "torch.Size([2, 3])"),
    ("torch 2.13.0", "torch 2.13.0"),
    ("tensor(1.+2.j)", "tensor(1.0000+2.0000j)"),
    ("array([1., 2.])", "array([1. , 2. ])"),
    ("a\n<BLANKLINE>\nb", "a\n\nb"),
    ("0.", "1e-6"),
]

REFUSED = [
    ("True", "False"),
    ("True", ""),
    ("", "0"),
    ("3", "4"),
    ("3", "-3"),
    ("3", "3.0"),
    ("3.0", "3"),
    ("1 2", "1 2 3"),
    ("1 2 3", "1 2"),
    ("0.25", "0.2551"),
    ("0.25", "-0.25"),
    ("0.25", "0.2449"),
    ("5.04", "5.05"),
    ("1.93e-22", "0.0"),
    ("1.93e-22", "1.94e-22"),
    ("0.5", "0.5001"),
    ("2.", "2.001"),
    ("1e-05", "1.1e-05"),
    ("1e-07", "0.0"),
    ("0.", "2e-6"),
    ("tensor(0.)", "tensor(0.9)"),
    ("tensor(0.)", "tensor(0.9000)"),
    ("tensor(1.)", "tensor(1)"),
    ("tensor([1., 2.])", "tensor([1., 3.])"),
    ("tensor([1., 2.])", "tensor([[1., 2.]])"),
    ("tensor(1.)", "tensor(1., dtype=torch.float16)"),
    ("tensor(1., requires_grad=True)", "tensor(1.)"),
    ("nan", "0.0"),
    ("0.0", "nan"),
    ("0.25", "nan"),
    ("nan", "inf"),
    ("inf", "-inf"),
    ("inf", "1e308"),
    ("inf", "nan"),
    ("relu6", "relu7"),
    ("float64", "float32"),
    ("torch 2.13.0", "torch 2.12.0"),
    ("cuda:0", "cuda:1"),
    ("a ... b", "a x b"),
    ("...", "1"),
    ("0.", "1.1e-6"),
    ("v1.25", "v1.251"),
    ("torch 2.13.0", "torch 2.131.0"),
    ("0.25s", "0.251s"),
    ("1.00j", "1.01j"),
    ("7", "007"),
    ("3", "٣"),
    ("1.00", "1e9999999999999999999"),
    ("('x', device='cuda')", "('x')"),
]


@pytest.mark.parametrize(("want", "got"), ACCEPTED)
def test_accepts(want: str, got: str) -> None:
    """Output that means what is written is accepted."""
    assert mismatch(want + "\n", got + "\n") is None


@pytest.mark.parametrize(("want", "got"), REFUSED)
def test_refuses(want: str, got: str) -> None:
    """Output that means something else is refused, and both are named."""
    assert mismatch(want + "\n", got + "\n")


def test_names_the_first_difference() -> None:
    """The reason names the number that differs, not the whole output."""
    assert mismatch("tensor([1., 2.])", "tensor([1., 3.])") == "expected '2.', got '3.'"


def test_ellipsis_is_a_wildcard_only_where_doctest_says_so() -> None:
    """The checker takes `...` for any text in the message of an exception, where ELLIPSIS is set, and nowhere else."""
    checker = OutputChecker()
    assert checker.check_output("ValueError: ... 3\n", "ValueError: not 3\n", doctest.ELLIPSIS)
    assert not checker.check_output("ValueError: ... 3\n", "ValueError: not 4\n", doctest.ELLIPSIS)
    assert checker.check_output("ValueError: a b\n", "ValueError: a\n  b\n", doctest.ELLIPSIS)
    assert not checker.check_output("a ... b\n", "a x b\n", 0)
    assert checker.check_output("0.25\n", "0.2501\n", 0)
