import asyncio
import logging
import shutil
import weakref

import numpy as np
import pytest

from service.errors import Invalid, NotFound, PinsError, StartupError
from service.manifest import RuntimeOptions
from service.models.repository import Repository
from tests.limits import no_more_files
from tests.service.graphs import mean_model, write_model

ROOM_FOR_TWO = 450_000  # bytes, of models as tiny as these


def open_repository(root, **options):
    return Repository(root, "cpu", **options)


def get(repository, name=None, version=None):
    return asyncio.run(repository.get(name, version))


def look(repository):
    asyncio.run(repository.look())


def answers(repository, name="mean"):
    """The version that answers where a request names none."""
    return get(repository, name).manifest.version


def in_memory(repository):
    return [version.key for version in repository.served if version.state == "loaded"]


def spoil(folder):
    (folder / "model.onnx").write_bytes(b"truncated")


def reason(root, caplog):
    """Why the one broken folder is not served; it must be in the log, too."""
    with caplog.at_level(logging.ERROR):
        repository = open_repository(root)
    [broken] = repository.broken
    assert broken.key == "mean/1"
    assert broken.fault in caplog.text
    return broken.fault


def test_the_newest_version_is_the_default_by_number_not_by_text(tmp_path):
    for version in (2, 10, 9):
        write_model(tmp_path, version=version)
    repository = open_repository(tmp_path)
    assert answers(repository) == 10
    assert get(repository, "mean", 2).manifest.version == 2
    assert [version.number for version in repository.served] == [10, 9, 2]


def test_a_request_need_not_name_the_only_model(tmp_path):
    write_model(tmp_path)
    assert get(open_repository(tmp_path)).manifest.name == "mean"


def test_a_request_must_name_one_of_several_models_unless_there_is_a_default(tmp_path):
    write_model(tmp_path, "a")
    write_model(tmp_path, "b")
    with pytest.raises(Invalid, match="/model: expected the name of a model, one of a, b, received nothing"):
        get(open_repository(tmp_path))
    assert get(open_repository(tmp_path, default="b")).manifest.name == "b"
    with pytest.raises(StartupError, match=r"expected a default model out of \['a', 'b'\], received 'c'"):
        open_repository(tmp_path, default="c")


def test_unknown_names_and_versions_are_answered_with_the_known_ones(tmp_path):
    write_model(tmp_path)
    with pytest.raises(NotFound, match=r"expected a model out of \['mean'\], received 'other'"):
        get(open_repository(tmp_path), "other")
    with pytest.raises(NotFound, match=r"expected a version of mean out of \[1\], received 2"):
        get(open_repository(tmp_path), "mean", 2)


def test_a_broken_version_does_not_stop_the_others(tmp_path):
    write_model(tmp_path, version=1)
    spoil(write_model(tmp_path, version=2))
    repository = open_repository(tmp_path)
    assert answers(repository) == 1
    assert [broken.key for broken in repository.broken] == ["mean/2"]
    with pytest.raises(
        NotFound, match=r"out of \[1\], received 2; mean/2 is there, but cannot be served: model.onnx: "
    ):
        get(repository, "mean", 2)
    spoil(write_model(tmp_path, "copied"))
    with pytest.raises(NotFound, match=r"received 'copied'; copied/1 is there, but cannot be served: model.onnx: "):
        get(open_repository(tmp_path), "copied")


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
    look(repository)
    assert repository.served == repository.broken == []


def test_no_folder_of_models_stops_the_start(tmp_path):
    with pytest.raises(StartupError, match=r"expected a folder of models at .*/nowhere, found none"):
        open_repository(tmp_path / "nowhere")


def test_a_graph_of_fixed_length_takes_no_other_length_without_an_input_lengths(tmp_path, caplog):
    write_model(tmp_path, graph=mean_model(time=5))
    assert "expected 5 steps in model.json, found 3" in reason(tmp_path, caplog)


def test_a_version_whose_folder_is_not_named_by_its_number_is_broken(tmp_path):
    folder = write_model(tmp_path)
    folder.rename(folder.parent / "01")
    [broken] = open_repository(tmp_path).broken
    assert "expected the name and version of its folder, received mean/1" in broken.fault


def test_a_loaded_model_is_had_without_waiting(tmp_path):
    write_model(tmp_path)
    with pytest.raises(StopIteration) as ended:
        open_repository(tmp_path).get("mean", None).send(None)
    assert ended.value.value.manifest.version == 1


def test_a_new_version_answers_once_it_is_found(tmp_path):
    write_model(tmp_path)
    repository = open_repository(tmp_path)
    write_model(tmp_path, version=2)
    write_model(tmp_path, "other")
    assert answers(repository) == 1
    look(repository)
    assert answers(repository) == 2
    assert get(repository, "mean", 1).manifest.version == 1
    assert answers(repository, "other") == 1


def test_a_new_version_does_not_answer_before_it_is_loaded(tmp_path):
    write_model(tmp_path)
    repository = open_repository(tmp_path)
    write_model(tmp_path, version=2)

    async def story():
        looking = asyncio.create_task(repository.look())
        seen = []
        while not looking.done():
            model = await repository.get("mean", None)
            seen.append((model.manifest.version, [version.key for version in repository.coming]))
            await asyncio.sleep(0)
        return seen

    seen = asyncio.run(story())
    assert (1, ["mean/2"]) in seen
    assert (2, ["mean/2"]) not in seen
    assert answers(repository) == 2


def test_a_bad_new_version_is_refused_once_and_taken_when_it_is_repaired(tmp_path, caplog):
    write_model(tmp_path)
    repository = open_repository(tmp_path)
    folder = write_model(tmp_path, version=2)
    good = (folder / "model.onnx").read_bytes()
    spoil(folder)
    for _ in range(3):
        look(repository)
    assert answers(repository) == 1
    assert [broken.key for broken in repository.broken] == ["mean/2"]
    assert caplog.text.count("expected sha256") == 1
    (folder / "model.onnx").write_bytes(good)
    look(repository)
    assert answers(repository) == 2
    assert repository.broken == []


def test_a_version_that_could_not_be_read_is_tried_again(tmp_path, caplog):
    write_model(tmp_path)
    repository = open_repository(tmp_path)
    repository.unload("mean", 1)

    async def story():
        with no_more_files(), pytest.raises(NotFound):
            await repository.get("mean", None)
        [broken] = repository.broken
        assert "Too many open files" in broken.fault
        await repository.look()
        return await repository.get("mean", None)

    assert asyncio.run(story()).manifest.version == 1
    assert repository.broken == []
    assert repository.served[0].fault is None
    assert caplog.text.count("is not served") == 1


def test_what_cannot_be_read_at_every_look_is_said_once_until_it_is_something_else(tmp_path, caplog):
    folder = write_model(tmp_path)
    graph = folder / "model.onnx"
    good = graph.read_bytes()
    graph.unlink()
    repository = open_repository(tmp_path)
    for _ in range(3):
        look(repository)
    assert caplog.text.count("No such file") == 1
    graph.mkdir()
    for _ in range(3):
        look(repository)
    assert caplog.text.count("Is a directory") == 1
    graph.rmdir()
    graph.write_bytes(good)
    look(repository)
    assert answers(repository) == 1


def test_a_version_that_changes_for_the_worse_is_served_as_it_was(tmp_path):
    folder = write_model(tmp_path)
    repository = open_repository(tmp_path)
    model = get(repository)
    spoil(folder)
    look(repository)
    assert get(repository) is model
    [version] = repository.served
    assert "expected sha256" in version.fault
    shutil.rmtree(folder)
    write_model(tmp_path, graph=mean_model(scale=3.0))
    look(repository)
    assert get(repository) is not model
    assert version.fault is None


def test_a_folder_that_is_gone_is_not_served_any_more(tmp_path):
    gone = []
    folders = [write_model(tmp_path, version=version) for version in (1, 2)]
    repository = open_repository(tmp_path, forget=lambda *version: gone.append(version))
    shutil.rmtree(folders[1])
    look(repository)
    assert answers(repository) == 1
    assert gone == [("mean", 2)]
    shutil.rmtree(folders[0])
    look(repository)
    with pytest.raises(NotFound, match=r"expected a model out of \[\], received 'mean'"):
        get(repository, "mean")


def test_where_a_version_takes_the_place_of_the_only_one_there_is_always_one(tmp_path):
    folder = write_model(tmp_path)
    repository = open_repository(tmp_path)
    write_model(tmp_path, version=2)
    shutil.rmtree(folder)

    async def story():
        looking = asyncio.create_task(repository.look())
        while not looking.done():
            await repository.get("mean", None)
            await asyncio.sleep(0)

    asyncio.run(story())
    assert answers(repository) == 2


def test_models_that_vanish_with_their_folder_stay_until_it_can_be_read_again(tmp_path):
    root = tmp_path / "models"
    write_model(root)
    repository = open_repository(root)
    root.rename(tmp_path / "away")
    with pytest.raises(OSError, match="No such file"):
        look(repository)
    assert answers(repository) == 1


def test_lazy_models_are_loaded_when_they_are_asked_for_and_only_once(tmp_path):
    write_model(tmp_path)
    write_model(tmp_path, "other")
    repository = open_repository(tmp_path, lazy=True)
    assert in_memory(repository) == []

    async def story():
        return await asyncio.gather(*[repository.get("mean", None) for _ in range(5)])

    assert len(set(asyncio.run(story()))) == 1
    assert in_memory(repository) == ["mean/1"]


def test_what_changes_while_it_is_loaded_is_loaded_again(tmp_path):
    folder = write_model(tmp_path)
    repository = open_repository(tmp_path, lazy=True)
    new = write_model(tmp_path / "new", graph=mean_model(scale=3.0))

    async def story():
        asked = asyncio.create_task(repository.get("mean", None))
        await asyncio.sleep(0.001)
        shutil.rmtree(folder)
        new.rename(folder)
        await repository.look()
        await asyncio.wait([asked])
        return await repository.get("mean", None)

    model = asyncio.run(story())
    assert model.runtime.run(np.ones((1, 3, 2), np.float32), np.full(1, 3, np.int32)).prediction == 3


def test_a_load_outlives_the_request_that_began_it(tmp_path):
    write_model(tmp_path)
    repository = open_repository(tmp_path, lazy=True)

    async def story():
        first, second = (asyncio.create_task(repository.get("mean", None)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(story()).manifest.version == 1


def test_a_lazy_model_that_proves_broken_leaves_its_place_to_the_version_before(tmp_path):
    write_model(tmp_path)
    spoil(write_model(tmp_path, version=2))
    repository = open_repository(tmp_path, lazy=True)
    assert answers(repository) == 1
    with pytest.raises(NotFound, match=r"expected a version of mean out of \[1\], received 2"):
        get(repository, "mean", 2)


def test_what_was_asked_for_least_recently_makes_room(tmp_path):
    for name in "abc":
        write_model(tmp_path, name)
    repository = open_repository(tmp_path, lazy=True, max_memory=ROOM_FOR_TWO)
    for name in "aba":
        get(repository, name)
    get(repository, "c")
    assert in_memory(repository) == ["a/1", "c/1"]
    get(repository, "b")
    assert in_memory(repository) == ["b/1", "c/1"]
    assert repository.memory <= ROOM_FOR_TWO


def test_what_is_pinned_or_in_use_stays_in_memory(tmp_path):
    models = tmp_path / "models"
    for name in "abc":
        write_model(models, name)
    repository = open_repository(models, lazy=True, max_memory=ROOM_FOR_TWO, pins=tmp_path / "pins.json")
    asyncio.run(repository.pin("a", 1))
    in_use = get(repository, "b")
    get(repository, "c")
    assert in_memory(repository) == ["a/1", "b/1", "c/1"]
    del in_use
    repository.unload("c", 1)
    get(repository, "c")
    assert in_memory(repository) == ["a/1", "c/1"]


def test_at_the_start_what_answers_by_default_is_loaded_as_far_as_there_is_room(tmp_path):
    for version in (1, 2):
        write_model(tmp_path, "a", version)
        write_model(tmp_path, "b", version)
    repository = open_repository(tmp_path, max_memory=ROOM_FOR_TWO)
    assert in_memory(repository) == ["a/2", "b/2"]
    assert get(repository, "a", 1).manifest.version == 1


def test_an_unloaded_model_is_gone_when_its_last_request_is_and_comes_back(tmp_path):
    write_model(tmp_path)
    repository = open_repository(tmp_path)
    model = get(repository)
    watched = weakref.ref(model)
    repository.unload("mean", 1)
    assert repository.memory == 0
    assert watched() is model
    del model
    assert watched() is None
    assert get(repository).manifest.version == 1


def test_the_options_of_a_model_come_before_those_of_the_server(tmp_path):
    write_model(tmp_path, declare={"runtime": {"graph_optimization": "basic"}})
    model = get(open_repository(tmp_path, options=RuntimeOptions(threads=2)))
    assert model.runtime.options == RuntimeOptions(threads=2, graph_optimization="basic")


def test_a_model_pinned_to_a_version_stays_there(tmp_path):
    models, pins = tmp_path / "models", tmp_path / "var" / "pins.json"
    for version in (1, 2):
        write_model(models, version=version)
    repository = open_repository(models, pins=pins)
    asyncio.run(repository.pin("mean", 1))
    assert answers(repository) == 1
    write_model(models, version=3)
    look(repository)
    assert answers(repository) == 1
    assert answers(open_repository(models, pins=pins)) == 1
    asyncio.run(repository.unpin("mean"))
    assert answers(repository) == 3


def test_pins_are_shared_between_processes(tmp_path):
    models = tmp_path / "models"
    for version in (1, 2):
        write_model(models, version=version)
        write_model(models, "other", version)
    one, two = (open_repository(models, pins=tmp_path / "pins.json") for _ in range(2))
    asyncio.run(one.pin("mean", 1))
    asyncio.run(two.pin("other", 1))
    for repository in (one, two):
        look(repository)
        assert [answers(repository, name) for name in ("mean", "other")] == [1, 1]


def test_a_pin_is_seen_before_a_new_version_answers(tmp_path):
    models = tmp_path / "models"
    write_model(models)
    one, two = (open_repository(models, pins=tmp_path / "pins.json") for _ in range(2))
    asyncio.run(one.pin("mean", 1))
    write_model(models, version=2)

    async def story():
        looking = asyncio.create_task(two.look())
        while not looking.done():
            assert (await two.get("mean", None)).manifest.version == 1
            await asyncio.sleep(0)

    asyncio.run(story())


def test_only_what_is_served_can_be_pinned(tmp_path):
    models = tmp_path / "models"
    write_model(models)
    spoil(write_model(models, version=2))
    repository = open_repository(models, pins=tmp_path / "pins.json", lazy=True)
    for version in (2, 3):
        with pytest.raises(NotFound, match=rf"expected a version of mean out of \[1\], received {version}"):
            asyncio.run(repository.pin("mean", version))
    with pytest.raises(NotFound, match="received 'other'"):
        asyncio.run(repository.unpin("other"))
    assert repository.pins == []


def test_a_pin_to_a_version_that_is_gone_is_said_and_the_newest_answers(tmp_path, caplog):
    models = tmp_path / "models"
    for version in (1, 2):
        write_model(models, version=version)
    repository = open_repository(models, pins=tmp_path / "pins.json")
    asyncio.run(repository.pin("mean", 1))
    shutil.rmtree(models / "mean" / "1")
    for _ in range(2):
        look(repository)
    assert answers(repository) == 2
    [pin] = repository.pins
    assert pin.fault == (
        "expected a version 1 of mean that can be served, found none; version 2, the newest, answers instead"
    )
    assert caplog.text.count(pin.fault) == 1
    write_model(models)
    look(repository)
    assert answers(repository) == 1


@pytest.mark.parametrize("content", ["{", '{"mean": "1"}', '["mean"]', '{"mean": 0}'])
def test_a_file_of_pins_that_is_none_stops_the_start_and_changes_nothing_later(tmp_path, content):
    models, pins = tmp_path / "models", tmp_path / "pins.json"
    for version in (1, 2):
        write_model(models, version=version)
    repository = open_repository(models, pins=pins)
    asyncio.run(repository.pin("mean", 1))
    pins.write_text(content)
    with pytest.raises(PinsError, match=r'expected pins {"NAME": VERSION} in .*pins.json, received'):
        look(repository)
    assert answers(repository) == 1
    with pytest.raises(StartupError, match="expected pins"):
        open_repository(models, pins=pins)
