"""What the tests of text share: a tiny task, and a run fitted on it."""

import itertools

import numpy as np
import pytest

from training.runs import FitConfig
from training.text.evaluate import evaluate_pairs
from training.text.fit import fit_pairs
from training.text.models import EncoderDecoderConfig
from training.text.pairs import PairsOptions


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory):
    """A file of 340 texts of 2 to 4 letters, each turned into capitals backwards."""
    texts = ["".join(letters) for n in (2, 3, 4) for letters in itertools.product("abcd", repeat=n)]
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("pairs") / "backwards.csv"
    rows = [f"{text},{text[::-1].upper()}" for text in random.permutation(texts)]
    path.write_text("\n".join(["from,to", *rows]) + "\n")
    return path


@pytest.fixture(scope="session")
def text_run(pairs_file):
    """A run folder of one seed, evaluated with its twin, not to be written to."""
    folder = pairs_file.parent / "run"
    options = PairsOptions(source="from", target="to")
    fit_pairs(str(pairs_file), options, EncoderDecoderConfig(units=8), FitConfig(epochs=2), [0], folder)
    evaluate_pairs(folder)
    return folder
