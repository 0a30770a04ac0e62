"""Publishes an encoder-decoder: from an evaluated run to a version that the service can load."""

from pathlib import Path

import numpy as np

from service.manifest import Attention, Decoding, Example, Lengths, TrainingRecord
from training.export import ExportError
from training.runs import METRICS_FILE
from training.text.decoding import Decoder
from training.text.evaluate import TextMetrics
from training.text.export import check_parity, to_onnx
from training.text.fit import PairsRun
from training.text.pairs import Pairs, encode
from training.versions import check_name, write_version


def publish_text_run(folder: Path, name: str, models: Path, description: str = "") -> Path:
    """Publishes the chosen seed of an evaluated run; returns the new version's folder.

    Raises:
        ExportError: a gate refused it.
    """
    check_name(name)
    run = PairsRun.read(folder)
    if not (folder / METRICS_FILE).exists():
        raise ExportError(f"expected an evaluated run, found no {METRICS_FILE}: evaluate {folder} first")
    metrics = TextMetrics.read(folder)
    data = run.load_data()
    decoder = Decoder(run.load_model(folder, run.chosen), run.longest)
    graph = to_onnx(decoder).SerializeToString()
    parity = check_parity(decoder, graph, *encode(data.test.sources, run.vocabulary.input))
    trained = np.array([len(text) for text in data.train.sources])
    return write_version(
        graph,
        models,
        name=name,
        description=description,
        task="sequence",
        features=["character"],
        labels=[],
        vocabulary=run.vocabulary,
        decoding=Decoding(longest=run.longest, beam=1),
        lengths=Lengths(min=1, max=None),
        attention=Attention(
            kind=f"{run.model.score}, {run.model.normalizer}", position="decoder", axes=("out_time", "in_time")
        ),
        examples=pick_examples(data),
        training=TrainingRecord(
            data=data.source,
            samples=len(data.train),
            lengths=Lengths(min=int(trained.min()), max=int(trained.max())),
            seed=run.chosen,
            settings={**run.model.model_dump(), **run.fit.model_dump()},
            attention_on_step=metrics.evidence,
        ),
        quality=metrics.quality,
        faithfulness=metrics.faithfulness,
        parity=parity,
    )


def pick_examples(data: Pairs) -> list[Example]:
    """The first test pairs."""
    pairs = zip(data.test.sources[:3], data.test.targets[:3], strict=True)
    return [Example(sequence=source, target=target) for source, target in pairs]
