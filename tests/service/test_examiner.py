"""What keeps the testing of explanations within bounds; what it finds is tested through the front door."""

import asyncio

import msgspec
import numpy as np
import pytest

from service import examiner as module
from service.batcher import DeadlineExceeded
from service.errors import Conflict, Invalid, NotFound
from service.models.repository import Repository
from service.predictor import Predictor
from service.settings import Settings
from service.telemetry.collect import Telemetry
from tests.service.explanations.builders import explanation
from tests.service.graphs import write_model


@pytest.fixture
def predictor(tmp_path):
    """Makes a predictor with a model of two features and so many steps."""

    def make(steps=5, **settings):
        declare = {"lengths": {"min": steps, "max": steps}}
        write_model(tmp_path, "m", attention="shared", declare=declare)
        return Predictor(Repository(tmp_path, "cpu"), None, Settings(**settings), Telemetry())

    return make


def explained(**changes):
    """An explanation of what the model predicts: the mean."""
    one = explanation(**changes)
    means = [[sequence.mean()] for sequence in one.sequences]
    return msgspec.structs.replace(one, predictions=np.array(means, np.float32))


def compute(predictor):
    """Runs of the model so far, and the sequences of all."""
    metrics = predictor._telemetry.model("m", 1)
    return sum(metrics.compute.counts), metrics.sequences.value


async def examine(predictor, one, **changes):
    return await predictor.examiner.examine(one, **{"index": 0, "baseline": None, **changes})


def test_each_question_is_answered_once(predictor):
    predictor, one = predictor(), explained()

    async def ask():
        first, second = await asyncio.gather(examine(predictor, one), examine(predictor, one))
        assert first is second
        known = compute(predictor)
        assert await examine(predictor, one) is first
        assert compute(predictor) == known
        assert (await examine(predictor, one, baseline="zero")).setup.baseline == "zero"
        assert compute(predictor) > known

    asyncio.run(ask())


def test_one_who_gives_up_leaves_the_answer_to_the_others(predictor):
    predictor, one = predictor(), explained()

    async def ask():
        first, second = (asyncio.ensure_future(examine(predictor, one)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).measured.width == 1
        assert first.cancelled()

    asyncio.run(ask())


def test_only_the_latest_answers_are_kept(predictor, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    predictor, [first, *others] = predictor(), [explained() for _ in range(3)]

    async def ask():
        before = await examine(predictor, first)
        for other in others:
            await examine(predictor, other)
        known = compute(predictor)
        assert await examine(predictor, others[0])
        assert compute(predictor) == known
        assert await examine(predictor, first) is not before

    asyncio.run(ask())


def test_what_is_not_finished_in_time_fails_and_may_be_asked_again(predictor):
    predictor, one = predictor(deadline=1e-9), explained()

    async def ask():
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                await examine(predictor, one)

    asyncio.run(ask())


def test_what_fails_after_its_run_fails_who_asks_and_may_be_asked_again(predictor, monkeypatch):
    predictor, one = predictor(), explained()

    def no_memory(parts, found):
        raise MemoryError

    async def ask():
        with monkeypatch.context() as changed:
            changed.setattr(module, "merge", no_memory)
            asked = [asyncio.ensure_future(examine(predictor, one)) for _ in range(2)]
            await asyncio.wait(asked, timeout=5)
        assert all(isinstance(each.done() and each.exception(), MemoryError) for each in asked)
        assert (await examine(predictor, one)).measured.width == 1

    asyncio.run(ask())


def test_a_long_sequence_is_tested_within_a_bound(predictor):
    predictor, one = predictor(steps=5000), explained(steps=(5000,))

    async def ask():
        found = await examine(predictor, one)
        assert found.measured.width == 5000 // 80 + 1  # 1,000,000 / 5,000 runs, but for 120 of the shares
        assert compute(predictor)[1] * 5000 < 1_100_000

    asyncio.run(ask())


def test_a_run_takes_no_longer_than_background_work_may(predictor):
    predictor, one = predictor(max_batch=4), explained()

    async def ask():
        await examine(predictor, one)
        runs, sequences = compute(predictor)
        assert sequences == (1 + 5) + (1 + 2 * 12 * 2)  # each step alone; of 5 steps, the shares are 1 and 3 steps
        assert runs == 2 + 13

    asyncio.run(ask())


def test_inputs_that_were_not_kept_cannot_be_tested(predictor):
    predictor, one = predictor(), explained().without_inputs()
    with pytest.raises(Invalid, match="expected an explanation that has its sequences"):
        asyncio.run(examine(predictor, one))


def test_a_model_that_is_gone_cannot_be_run(predictor):
    predictor, one = predictor(), explained(model="gone")
    with pytest.raises(NotFound, match="'gone'"):
        asyncio.run(examine(predictor, one))


def test_a_model_that_predicts_something_else_by_now_is_not_tested(predictor):
    predictor, one = predictor(), explanation()  # its predictions are not the mean of its sequences
    with pytest.raises(Conflict, match=r"expected m 1 to predict what it predicted .* its files have been replaced"):
        asyncio.run(examine(predictor, one))


@pytest.mark.parametrize("length", [1, 10, 300, 1000, 3000, 10_000])
def test_the_tests_of_a_long_text_stay_within_a_bound_together(length):
    characters = module._characters(length)
    width = module._width(length, characters)
    runs = 2 + -(-length // width) + module.faithfulness.runs(characters)
    assert 1 <= characters <= module.CHARACTERS
    assert runs * length <= max(module.STEPS_RUN * 1.1, length * (2 + module.WINDOWS + module.faithfulness.runs(1)))
