import json
import shutil

import numpy as np
import pytest

from service.manifest import Manifest
from service.models.codec import Codec
from service.models.loading import load
from training.export import ExportError
from training.text.evaluate import TextMetrics, evaluate_pairs, weight_on_evidence
from training.text.fit import PairsRun, is_pairs
from training.text.pairs import Texts
from training.text.publish import publish_text_run


def test_the_report_says_how_good_it_is_and_what_the_weights_are_worth(text_run):
    metrics = TextMetrics.read(text_run)
    assert 0 <= metrics.quality.published <= 1
    assert metrics.quality.baseline.value == 0
    assert metrics.quality.twin.seeds.keys() == {0}
    assert metrics.exact_match[1] == metrics.quality.published
    assert metrics.evidence is None
    assert metrics.faithfulness.samples == 34
    page = (text_run / "report.html").read_text()
    assert "Exact match on 34 test" in page
    assert page.count("<svg") >= 4


def test_a_twin_that_is_there_is_not_fitted_again(text_run):
    weights = text_run / "twin" / "seed-0" / "model.keras"
    before = weights.stat().st_mtime_ns
    evaluate_pairs(text_run)
    assert weights.stat().st_mtime_ns == before
    assert not PairsRun.read(text_run / "twin").model.attention


def test_weight_on_evidence_by_hand():
    """The first of two characters looks at its evidence with 0.6, the other with 0.3."""
    attention = [np.array([[[0.6, 0.4, 0], [0.1, 0.3, 0.6], [0, 0, 1]]])]
    texts = Texts(["abc"], ["xyz"], [((0, 2), (0, 2))])
    found = weight_on_evidence({"attention": attention}, texts)
    assert found["top"] == 0.5
    np.testing.assert_allclose(found["mean_weight"], (1.0 + 0.4) / 2)


def test_what_is_published_answers_as_the_model_does(text_run, tmp_path):
    folder = publish_text_run(text_run, "backwards", tmp_path, "Capitals, backwards.")
    manifest = Manifest.read(folder)
    assert (manifest.task, manifest.decoding.longest, manifest.quality) == (
        "sequence",
        4,
        TextMetrics.read(text_run).quality,
    )
    assert {example.target for example in manifest.examples} == {e.sequence[::-1].upper() for e in manifest.examples}
    assert "Exact match" in (folder / "README.md").read_text() or "exact match" in (folder / "README.md").read_text()
    model = load(folder, "cpu")
    codec = Codec(manifest.vocabulary, manifest.decoding)
    written = model.runtime.run_text(codec.encode("abcd")[None], np.array([4], np.int32), 1).prediction
    assert set(codec.decode(written[0].tolist())) <= set("ABCD")


def test_only_an_evaluated_run_is_published(text_run, tmp_path):
    folder = shutil.copytree(text_run, tmp_path / "run")
    (folder / "metrics.json").unlink()
    with pytest.raises(ExportError, match=r"expected an evaluated run, found no metrics\.json"):
        publish_text_run(folder, "backwards", tmp_path)


def test_runs_are_told_apart(text_run, fitted_run):
    assert is_pairs(text_run)
    assert not is_pairs(fitted_run)


def test_a_changed_file_is_refused(text_run, tmp_path):
    run = PairsRun.read(text_run)
    changed = run.data_options.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ValueError, match="expected the file that was fitted, received one changed since then"):
        run.model_copy(update={"data_options": changed}).load_data()
    assert json.loads((text_run / "run.json").read_text())["data_options"]["source"] == "from"
