"""What the tests of training share: one tiny run, and models as a user would bring them."""

import gc
import os
import shutil

import keras
import pytest

from training.evaluate import evaluate
from training.fit import fit
from training.layers import AttentionBlock, LastState, ValidSteps, ZeroPadding
from training.models import ModelConfig
from training.runs import FitConfig

# tf2onnx would copy its graph before each of its passes, to go on without one that fails; here that is to fail a test.
os.environ["TF2ONNX_CATCH_ERRORS"] = "FALSE"
gc.collect()
gc.freeze()  # the half a million objects of TensorFlow, or every test would look through them for garbage


def pytest_configure(config):
    # Keras asks numpy for a copy of a variable, and TensorFlow's __array__ does not know that argument of numpy 2 yet.
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )


@pytest.fixture(scope="session")
def fitted_run(tmp_path_factory):
    """A run folder of two seeds, not to be written to."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    fit(
        "planted",
        {"n": 400},
        ModelConfig(position="before", units=4),
        FitConfig(epochs=3, learning_rate=0.01),
        [0, 1],
        folder,
    )
    return folder


@pytest.fixture
def copied_run(fitted_run, tmp_path):
    """The same run, to write to."""
    return shutil.copytree(fitted_run, tmp_path / "run")


@pytest.fixture(scope="session")
def evaluated_run(fitted_run):
    """The same run, evaluated, not to be written to."""
    folder = shutil.copytree(fitted_run, fitted_run.parent / "evaluated")
    evaluate(folder)
    return folder


@pytest.fixture(scope="session")
def own_model():
    """Makes a model as a user would bring it: of 5 steps and 2 features, or of any length with an input `lengths`."""

    def make(outputs=1, activation="sigmoid", variable_length=False, features=2):
        sequences = keras.Input((5, features), name="sequences")
        head = keras.layers.Dense(outputs, activation=activation, name="prediction")
        block = AttentionBlock(name="attention")
        if not variable_length:
            weighted, attention = block(sequences)
            return keras.Model(sequences, {"prediction": head(keras.layers.LSTM(3)(weighted)), "attention": attention})
        lengths = keras.Input((), dtype="int32", name="lengths")
        valid = ValidSteps()(sequences, lengths)
        weighted, attention = block(ZeroPadding()(sequences, valid), valid)
        state = LastState()(keras.layers.LSTM(3, return_sequences=True)(weighted), lengths)
        return keras.Model([sequences, lengths], {"prediction": head(state), "attention": attention})

    return make
