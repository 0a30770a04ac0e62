"""Fits the encoder-decoder on pairs of texts, into a run folder as `fit.py` does."""

import json
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from pydantic import Field
from rich.console import Console

from service.manifest import START, Vocabulary
from training.data.tables import fingerprint
from training.runs import (
    BATCHES_AT_ONCE,
    MODEL_FILE,
    RUN_FILE,
    Advance,
    BaseRun,
    FitConfig,
    History,
    clear,
    fit_seeds,
    keeping,
    optimizer,
    seed_folder,
    write,
)
from training.text.models import EncoderDecoder, EncoderDecoderConfig, build
from training.text.pairs import Pairs, PairsOptions, Texts, dates, encode, load_pairs

DATES = "dates"


class PairsRun(BaseRun):
    """run.json of an encoder-decoder: everything needed to build the data and the models again."""

    task: Literal["sequence"] = "sequence"
    data: str = Field(description="dates, or the absolute path of a file")
    data_options: dict[str, int] | PairsOptions = Field(union_mode="left_to_right")
    vocabulary: Vocabulary
    longest: int = Field(description="characters of an answer at most")
    model: EncoderDecoderConfig

    def load_data(self) -> Pairs:
        """The data it was fitted on."""
        return load(self.data, self.data_options)

    def load_model(self, folder: Path, seed: int) -> EncoderDecoder:
        """The model of one seed, uncompiled."""
        model: EncoderDecoder = keras.saving.load_model(seed_folder(folder, seed) / MODEL_FILE, compile=False)
        return model


def is_pairs(folder: Path) -> bool:
    """Whether a run folder is of an encoder-decoder."""
    return json.loads((folder / RUN_FILE).read_bytes()).get("task") == "sequence"


def load(data: str, options: dict[str, int] | PairsOptions) -> Pairs:
    """Loads the dates with the arguments of their maker, or with `PairsOptions` the file at a path."""
    return load_pairs(Path(data), options) if isinstance(options, PairsOptions) else dates(**options)


def fit_pairs(
    data_name: str,
    data_options: dict[str, int] | PairsOptions,
    model: EncoderDecoderConfig,
    config: FitConfig,
    seeds: list[int],
    folder: Path,
) -> PairsRun:
    """Fits the model once for each seed and writes the run folder.

    Args:
        data_name: `dates`, or the path of a file.
        data_options: arguments of `dates`, or how the file is read.
        seeds: each fixes initial weights, order of the pairs, dropout and forgetting.
        folder: of the run; made if needed, its files overwritten.
    """
    data = load(data_name, data_options)
    if isinstance(data_options, PairsOptions):
        data_name = str(Path(data_name).resolve())
        data_options = data_options.model_copy(update={"sha256": fingerprint(Path(data_name))})
    Console(markup=False, highlight=False, soft_wrap=True).print(str(data))
    vocabulary = data.vocabulary()
    clear(folder)
    histories = fit_seeds(
        folder, seeds, config.epochs, lambda seed, advance: fit_seed(data, vocabulary, model, config, seed, advance)
    )
    run = PairsRun(
        data=data_name,
        data_options=data_options,
        vocabulary=vocabulary,
        longest=max(map(len, data.train.targets)),
        model=model,
        fit=config,
        validation_loss=config.kept_losses(histories),
    )
    write(folder, run, histories)
    return run


def fit_seed(
    data: Pairs,
    vocabulary: Vocabulary,
    config: EncoderDecoderConfig,
    settings: FitConfig,
    seed: int,
    on_epoch: Advance,
) -> tuple[EncoderDecoder, History]:
    """Fits one model; returns it with the weights of its best epoch or of its last, and its history.

    Args:
        on_epoch: called with the losses of each epoch.
    """
    keras.utils.set_random_seed(seed)
    model = build(config, len(vocabulary.input), len(vocabulary.output))
    model.compile(
        optimizer=optimizer(settings, len(data.train)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=BATCHES_AT_ONCE,
    )
    inputs, following, counts = arrays(data.train, vocabulary)
    history = model.fit(
        inputs,
        following,
        sample_weight=counts,
        validation_data=arrays(data.validation, vocabulary),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        verbose=0,
        callbacks=[
            *keeping(settings),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(logs)),
        ],
    )
    return model, {name: [float(value) for value in values] for name, values in history.history.items()}


def arrays(texts: Texts, vocabulary: Vocabulary) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """What the model is given, what it is to say, and what of that counts.

    Returns:
        Inputs by name; the next character at every step `(pair, out_time)` int32, END behind the last; and its weight
        in the loss `(pair, out_time)`: 1 up to the first END, 0 behind it.
    """
    sources, lengths = encode(texts.sources, vocabulary.input)
    targets, ends = encode(texts.targets, vocabulary.output)
    following = np.pad(targets, ((0, 0), (0, 1)))  # END is 0, as padding is
    answers = np.insert(following[:, :-1], 0, START, axis=1)
    counts = (np.arange(following.shape[1]) <= ends[:, None]).astype(np.float32)
    return {"sources": sources, "lengths": lengths, "answers": answers}, following, counts
