"""Settings that were found to work on the built-in data, and the models committed under models/.

Noise is in all of them, in training only. On the inputs of the two small data sets it keeps the model from learning its
few sequences by heart. On the planted step some stands behind a block before the LSTM, too: what the block weighs
little drowns in it, so that the attention has to gather the evidence. Without noise the top weight was on the planted
step for 78 % of the test sequences, with it for more than 99 %.

The model of ItalyPowerDemand: 48 settings with attention before the LSTM (dense or local score, softmax or sparsemax,
16 or 32 units, learning rate 0.003 or 0.01, noise 0.1, 0.3 or 0.6) were compared inside the 67 training days, by
five-fold cross-validation repeated four times. Half of them are about as accurate, but all differ much in the rank
correlation of the weights with what leaving out each hour changes: 0.2 to 0.3 with the dense score and softmax, 0.8 to
0.9 with the local score and sparsemax, whose hours of weight 0 really have no say. The setting here is one of those; it
is older than the comparison, and test results of four settings were seen on the way to it.

Its last epoch is kept. The best of 200 by the loss on 17 days, most of which any model tells apart, is one by chance,
often among the first 20: with it one fit in six ended in a worse place (seeds 0 to 2 gave 0.971 on the test part, three
others 0.961: 0.969, 0.971, 0.944). Inside the training days (five partitions into five folds, 240 fits a setting) the
last reached an accuracy of 0.977 where the best reached 0.961, and less than half the spread over seeds, 0.005 instead
of 0.013; of eleven other settings of the fit, it was the better one in ten. Nothing added to it gained two standard
errors: averaged weights, no validation days or fewer, weight decay, dropout, smoothed labels, 400 epochs; nor did the
best of four starts make up for the best epoch. Judged on the test part once, with the seeds 201 to 203 that were named
before, it reached 0.967 (0.967, 0.966, 0.968): that is the run committed. Seeds 0 to 2, fitted later, gave 0.964
(0.964, 0.964, 0.965): 0.966 over the six.
"""

from dataclasses import dataclass
from typing import Any

from training.models import ModelConfig, ScalingName
from training.runs import FitConfig


@dataclass(frozen=True)
class Settings:
    """What `fit` uses for a data set where its options do not say otherwise."""

    fit: FitConfig
    dropout: float = 0.0
    input_noise: float = 0.0
    block_noise: float = 0.0
    scaling: ScalingName = "training"

    def model(self, chosen: dict[str, Any]) -> ModelConfig:
        """The model with these settings, but for the fields of `ModelConfig` that were chosen.

        Raises:
            pydantic.ValidationError: what was chosen does not go together.
        """
        found: dict[str, Any] = {
            "position": "before",
            "dropout": self.dropout,
            "input_noise": self.input_noise,
            "scaling": self.scaling,
        } | chosen
        if found["position"] == "before":
            found.setdefault("block_noise", self.block_noise)
        return ModelConfig(**found)


@dataclass(frozen=True)
class Recipe:
    """A committed model: fitted with the settings of its data and these options of the model."""

    name: str
    data: str
    seeds: int
    options: dict[str, Any]
    description: str


SETTINGS = {
    "planted": Settings(
        FitConfig(epochs=12, patience=12, batch_size=64, learning_rate=0.003), input_noise=0.5, block_noise=4
    ),
    "italy-power": Settings(FitConfig(epochs=200, keep="last", batch_size=16, learning_rate=0.003), input_noise=0.3),
    "japanese-vowels": Settings(
        FitConfig(epochs=100, patience=40, batch_size=16, learning_rate=0.002), dropout=0.5, input_noise=1.0
    ),
    "tecator": Settings(
        FitConfig(epochs=150, patience=150, batch_size=16, learning_rate=0.005), input_noise=0.003, scaling="sequence"
    ),
}
OWN = Settings(FitConfig(epochs=100, patience=20, batch_size=32, learning_rate=0.003), input_noise=0.1)  # other data

RECIPES = [  # what takes longest comes first: several are made at the same time, see examples.py
    Recipe("dates", "dates", 1, {}, "Turns a date as people of twelve languages write it into ISO 8601."),
    Recipe(
        "japanese-vowels",
        "japanese-vowels",
        3,
        {"position": "after", "score": "additive", "bidirectional": True, "units": 64},
        "Tells nine speakers apart by how they say two Japanese vowels, in 12 coefficients a step.",
    ),
    Recipe(
        "tecator",
        "tecator",
        3,
        {"position": "after", "score": "additive"},
        "Tells the fat in chopped meat, in percent, from the near infrared light that it absorbs at 100 wavelengths.",
    ),
    Recipe(
        "italy-power",
        "italy-power",
        3,
        {"position": "before", "score": "local", "normalizer": "sparsemax", "first_seed": 201},
        "Tells from a day of power demand in Italy, hour by hour, which half of the year it was.",
    ),
    Recipe(
        "planted-before",
        "planted",
        1,
        {"position": "before"},
        "Finds the one step of noise that holds the answer; its attention, applied to the inputs, shows where.",
    ),
    Recipe(
        "planted-after",
        "planted",
        1,
        {"position": "after"},
        "The same task with attention applied to the LSTM's states, which carry the evidence on to later steps.",
    ),
]
