"""Results of proofs, kept from run to run: found again only if all that they depend on is the same.

A result is one mutant's fate under one claim in one setting. Its key names the claim's text and its chapter's preamble,
the setting, the source of everything of this project that the claim or the harness runs, torch, NumPy, Python, the
processor, and the mutant's own source with that of what its module has besides mutants.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import inspect
import platform
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from lossdemo.verify.claims import Claim
from lossdemo.verify.mutant import Mutant
from lossdemo.verify.run import Setting

Fate = Literal["killed", "refused", "survived"]
Fates = dict[str, Fate]  # by key of mutant

packages_distributions = cache(importlib.metadata.packages_distributions)


def claim_key(claim: Claim, setting: Setting) -> str:
    """The key of all results of a claim in a setting."""
    code = [example.source for example in (*claim.preamble, *claim.examples)]
    packages = sorted({package for source in code for package in _imported(source)})
    fingerprints = [fingerprint(package) for package in packages]
    text = "\n".join(example.source + example.want for example in claim.preamble) + claim.text
    return _digest(text, repr(setting), *machine(), *fingerprints)


def mutant_key(mutant: Mutant) -> str:
    """The key of a mutant: its own source, and its module's without the other mutants."""
    directory = Path(inspect.getfile(sys.modules[mutant.module])).parent
    return _digest(mutant.name, mutant.target, repr(mutant.since), _source(mutant), _surroundings(directory))


@cache
def machine() -> tuple[str, ...]:
    """What is the same for all claims of a run."""
    harness = _of_files(Path(__file__).parent)
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return str(torch.__version__), np.__version__, sys.version, processor, harness


@cache
def fingerprint(package: str) -> str:
    """The version of an installed package; of one whose source is worked on, the source."""
    spec = importlib.util.find_spec(package)
    origin = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    if origin is None:
        return package
    if {"site-packages", "dist-packages"} & {*origin.parts}:
        names = packages_distributions().get(package, [])
        return ", ".join([package, *map(importlib.metadata.version, names)])
    if origin.is_relative_to(sysconfig.get_path("stdlib")):
        return package
    return _of_files(origin.parent) if origin.name == "__init__.py" else _digest(origin.read_text(encoding="utf-8"))


def _imported(source: str) -> set[str]:
    """The packages that a statement imports at its top."""
    if "import" not in source:
        return set()
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:  # the claim is about one
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def _of_files(directory: Path) -> str:
    """The contents of a package, but for mutants, which have keys of their own."""
    files = [path for path in directory.rglob("*") if path.is_file() and not {"__pycache__", "mutants"} & {*path.parts}]
    contents = (path.read_bytes() for path in sorted(files))
    return hashlib.sha256(b"\0".join(hashlib.sha256(content).digest() for content in contents)).hexdigest()


def _source(mutant: Mutant) -> str:
    """The code of the function that makes the mutant, with the plain values that it closes over."""
    cells = [cell.cell_contents for cell in mutant.make.__closure__ or ()]
    names = mutant.make.__code__.co_freevars
    values = [f"{name} = {getattr(value, '__qualname__', value)}" for name, value in zip(names, cells)]
    return "\n".join([_functions(mutant.module).get(mutant.make.__qualname__.partition(".")[0], ""), *values])


@cache
def _functions(module: str) -> dict[str, str]:
    """The source of each function of a module, with its decorators: read once, as a module has hundreds."""
    source = inspect.getsource(sys.modules[module])
    lines, functions = source.splitlines(), [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    first = {node.name: min(n.lineno for n in (node, *node.decorator_list)) for node in functions}
    return {node.name: "\n".join(lines[first[node.name] - 1 : node.end_lineno]) for node in functions}


@cache
def _surroundings(directory: Path) -> str:
    """What mutants share: the source of their module and of those beside it, without the mutants."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.py"))]
    for tree in trees:
        tree.body = [node for node in tree.body if not any(map(_makes_mutant, getattr(node, "decorator_list", [])))]
    return "\n".join(map(ast.unparse, trees))


def _makes_mutant(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func).rpartition(".")[2] == "mutant"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
