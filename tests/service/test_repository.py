import logging

import pytest

from service.errors import Invalid, NotFound, StartupError
from service.repository import Repository
from tests.service.graphs import mean_model, write_model


def open_repository(root, **options):
    return Repository(root, "cpu", 1, **options)


def reason(root, caplog):
    """Why the one broken folder is not served; it must be in the log, too."""
    with caplog.at_level(logging.ERROR):
        repository = open_repository(root)
    [broken] = repository.broken
    assert broken.folder == "mean/1"
    assert broken.reason in caplog.text
    return broken.reason


def test_the_newest_version_is_the_default_by_number_not_by_text(tmp_path):
    for version in (2, 10, 9):
        write_model(tmp_path, version=version)
    repository = open_repository(tmp_path)
    assert repository.get("mean", None).manifest.version == 10
    assert repository.get("mean", 2).manifest.version == 2
    assert [model.manifest.version for model in repository.models] == [10, 9, 2]


def test_a_request_need_not_name_the_only_model(tmp_path):
    write_model(tmp_path)
    assert open_repository(tmp_path).get(None, None).manifest.name == "mean"


def test_a_request_must_name_one_of_several_models_unless_there_is_a_default(tmp_path):
    write_model(tmp_path, "a")
    write_model(tmp_path, "b")
    with pytest.raises(Invalid, match="/model: expected the name of a model, one of a, b, received nothing"):
        open_repository(tmp_path).get(None, None)
    assert open_repository(tmp_path, default="b").get(None, None).manifest.name == "b"
    with pytest.raises(StartupError, match=r"expected a default model out of \['a', 'b'\], received 'c'"):
        open_repository(tmp_path, default="c")


def test_unknown_names_and_versions_are_answered_with_the_known_ones(tmp_path):
    write_model(tmp_path)
    with pytest.raises(NotFound, match=r"expected a model out of \['mean'\], received 'other'"):
        open_repository(tmp_path).get("other", None)
    with pytest.raises(NotFound, match=r"expected a version of mean out of \[1\], received 2"):
        open_repository(tmp_path).get("mean", 2)


def test_a_broken_version_does_not_stop_the_others(tmp_path):
    write_model(tmp_path, version=1)
    (write_model(tmp_path, version=2) / "model.onnx").write_bytes(b"")
    repository = open_repository(tmp_path)
    assert repository.get("mean", None).manifest.version == 1
    assert [broken.folder for broken in repository.broken] == ["mean/2"]


def test_a_truncated_graph_is_broken(tmp_path, caplog):
    path = write_model(tmp_path) / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    assert "model.onnx: expected sha256" in reason(tmp_path, caplog)


def test_a_graph_that_is_none_is_broken(tmp_path, caplog):
    write_model(tmp_path, graph=b"junk")
    assert "expected a graph that ONNX Runtime can load" in reason(tmp_path, caplog)


def test_a_missing_file_is_broken(tmp_path, caplog):
    (write_model(tmp_path) / "model.onnx").unlink()
    assert "No such file or directory" in reason(tmp_path, caplog)


def test_a_manifest_that_is_not_json_is_broken(tmp_path, caplog):
    (write_model(tmp_path) / "model.json").write_text("{")
    assert "model.json: /: Invalid JSON" in reason(tmp_path, caplog)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"colour": "red"}, "model.json: /colour: Extra inputs are not permitted"),
        ({"task": "dance"}, "model.json: /task: Input should be 'binary', 'multiclass', "),
        ({"labels": ["a"]}, "expected as many labels as a regression task has"),
        ({"lengths": {"min": 3, "max": 2}}, "expected max >= min, received min 3 and max 2"),
        ({"name": "other"}, "expected the name and version of its folder, received other/1"),
        ({"version": 2}, "expected the name and version of its folder, received mean/2"),
        ({"features": ["x0"]}, "expected 1 features as in model.json, found 2"),
        ({"lengths": {"min": 1, "max": 3}}, "expected an input 'lengths'"),
        ({"task": "multiclass", "labels": ["a", "b", "c"]}, "expected 3 outputs for its labels, found 1"),
        (
            {"attention": {"kind": "softmax", "position": "before", "axes": ["time"]}},
            "expected an output 'attention' as in model.json, found none",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_broken(tmp_path, caplog, changes, expected):
    write_model(tmp_path, declare=changes)
    assert expected in reason(tmp_path, caplog)


def test_attention_over_other_axes_than_declared_is_broken(tmp_path, caplog):
    write_model(tmp_path, graph=mean_model("per_feature"), attention="shared")
    assert "expected attention over ('time',) as in model.json, found 3 axes" in reason(tmp_path, caplog)


def test_attention_that_is_not_declared_is_broken(tmp_path, caplog):
    write_model(tmp_path, graph=mean_model("shared"))
    assert "expected no output 'attention' as in model.json, found one" in reason(tmp_path, caplog)


def test_a_model_still_being_written_is_not_looked_at(tmp_path):
    folder = write_model(tmp_path)
    folder.rename(folder.parent / ".writing-x")
    repository = open_repository(tmp_path)
    assert repository.models == []
    assert repository.broken == []


def test_no_folder_of_models_stops_the_start(tmp_path):
    with pytest.raises(StartupError, match=r"expected a folder of models at .*/nowhere, found none"):
        open_repository(tmp_path / "nowhere")


def test_a_graph_of_fixed_length_takes_no_other_length_without_an_input_lengths(tmp_path, caplog):
    write_model(tmp_path, graph=mean_model(time=5))
    assert "expected 5 steps in model.json, found 3" in reason(tmp_path, caplog)
