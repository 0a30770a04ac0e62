"""Explanations put to the test: their model is run again without some of the steps, behind all that waits.

See `explanations/faithfulness.py` for what is measured. Here it is run: in runs so short that a prediction which comes
meanwhile does not wait for long, and once for each question, since the answer does not change.

Of text, each character of the answer has weights of its own. They are tested one by one, by whether the model still
writes that character at its place when characters of the text are unknown to it; what is found is the mean over them.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.batcher import BACKGROUND_S, Batcher, Job, Limits
from service.errors import Fault, Invalid
from service.explanations import faithfulness
from service.explanations.faithfulness import Fast, Measured, Removed, Test
from service.explanations.record import Explanation, Ragged, steps
from service.inference import Found, Key, Part, merge, split
from service.manifest import UNKNOWN, Manifest, Task, Verdict
from service.models.loading import Model
from service.models.repository import Repository
from service.schemas import Baseline
from service.settings import Settings
from service.telemetry.collect import Telemetry

KEPT = 256  # answers; the least recently asked for goes first
STEPS_RUN = 1_000_000  # steps that a model is run over for one test, about: half a second to some seconds
WINDOWS = 20  # steps or windows of steps that are left out one by one, at least
SEQUENCES = 16  # of a request that asks for the cheap part of the test
CHARACTERS, FAST_CHARACTERS = 16, 4  # of an answer in text whose weights are tested, evenly spaced
SEED = 0  # of the random steps
R = TypeVar("R")


@dataclass(frozen=True)
class Setup:
    """What a removed step holds, and what changes are counted in.

    Attributes:
        values: `(feature,)`, None for the last value that is kept; of text, the id of an unknown character.
        unit: of a regression's or forecast's changes; None where the model does not say.
    """

    baseline: Baseline
    values: FloatArray | None
    unit: float | None


@dataclass(frozen=True)
class Subject:
    """What is run again: one sequence of an explanation.

    Attributes:
        values: `(time, feature)`; of text, its ids `(time, 1)`.
        written: the answer, of text.
        place: of the character of the answer that is looked at; None for all, which gives the share that stays.
    """

    model: Model
    values: FloatArray
    setup: Setup
    written: str | None = None
    place: int | None = None

    @property
    def task(self) -> Task:
        """As which its predictions are tested."""
        return self.model.manifest.task if self.written is None else "binary"


@dataclass(frozen=True)
class Examined:
    """One sequence of an explanation, tested."""

    setup: Setup
    measured: Measured
    verdict: Verdict


@dataclass(frozen=True)
class Occluded:
    """What leaving out each step alone changes, `(time,)`, `width` neighbours together."""

    setup: Setup
    importance: NDArray[np.float64]
    width: int


class Examiner:
    """Tests explanations, each question once: what was found is kept in memory, the latest `KEPT`.

    Args:
        batcher: of the predictions.
        settings: its deadline, and its limits on a run.
        telemetry: counts the verdicts.
    """

    def __init__(
        self, repository: Repository, batcher: Batcher[Key, Part, Found], settings: Settings, telemetry: Telemetry
    ) -> None:
        self._repository, self._batcher, self._settings, self._telemetry = repository, batcher, settings, telemetry
        self._limits = Limits(settings.max_batch, settings.max_batch_values)
        self._known: OrderedDict[tuple[str, str, int, Baseline | None], asyncio.Task[Any]] = OrderedDict()

    async def examine(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Examined:
        """Tests the weights of one sequence.

        Args:
            baseline: None for what says least to the model: its training mean, or the mean of the sequence.

        Raises:
            Invalid: it cannot be tested, or not with this baseline; says why.
            NotFound: its model is not served any more.
            Full: too much waits.
            DeadlineExceeded: it was not finished in time.
            Stopped: the server is stopping.
        """
        if explanation.attention is None:
            raise _untestable("weights", "one of a model without attention")
        return await self._once(("test", explanation.id, index, baseline), self._examine(explanation, index, baseline))

    async def occlude(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Occluded:
        """What leaving out each step alone changes, of models without attention as well. Raises: see `examine`."""
        return await self._once(
            ("occlude", explanation.id, index, baseline), self._occlude(explanation, index, baseline)
        )

    async def examine_fast(self, model: Model, explanation: Explanation, deadline: float) -> list[Fast]:
        """The cheap part of the test, of every sequence of an answer that is not kept yet.

        Args:
            deadline: by `time.monotonic`.

        Raises:
            Full, DeadlineExceeded, Stopped: see `examine`.
        """
        found = []
        for index in range(len(explanation)):
            each = []
            for subject, weights in _subjects(model, explanation, index, None, FAST_CHARACTERS):
                test = faithfulness.fast_test(weights, subject.task, unit=subject.setup.unit or 1.0, seed=SEED)
                each.append(await self._conduct(test, subject, deadline))
            found.append(faithfulness.mean_fast(each))
        return found

    async def _once(self, question: tuple[str, str, int, Baseline | None], answering: Coroutine[Any, Any, R]) -> R:
        """The answer to the question, which all who ask it wait for together."""
        task = self._known.get(question)
        if task is None:
            task = self._known[question] = asyncio.create_task(answering)
            task.add_done_callback(lambda task: self._forget_failed(question, task))
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        else:
            answering.close()
        self._known.move_to_end(question)
        found: R = await asyncio.shield(task)
        return found

    def _forget_failed(self, question: tuple[str, str, int, Baseline | None], task: asyncio.Task[Any]) -> None:
        if (task.cancelled() or task.exception() is not None) and self._known.get(question) is task:
            del self._known[question]

    async def _examine(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Examined:
        deadline = time.monotonic() + self._settings.deadline
        model = await self._repository.get(explanation.model, explanation.version)
        each = []
        for subject, weights in _subjects(model, explanation, index, baseline, CHARACTERS):
            setup, width = subject.setup, _width(len(weights))
            test = faithfulness.full_test(weights, subject.task, unit=setup.unit or 1.0, seed=SEED, width=width)
            each.append(await self._conduct(test, subject, deadline))
        measured = faithfulness.mean(each)
        least = faithfulness.EFFECT if setup.unit else 0.0
        verdict = faithfulness.judge_one(measured, least)
        self._telemetry.verdicts(model.manifest.name, model.manifest.version).add(verdict)
        return Examined(setup, measured, verdict)

    async def _occlude(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Occluded:
        deadline = time.monotonic() + self._settings.deadline
        model = await self._repository.get(explanation.model, explanation.version)
        subject = _subject(model, explanation, index, baseline)
        setup, length = subject.setup, len(subject.values)
        width = _width(length)
        test = faithfulness.occlusion_test(length, subject.task, unit=setup.unit or 1.0, width=width)
        return Occluded(setup, await self._conduct(test, subject, deadline), width)

    async def _conduct(self, test: Test[R], subject: Subject, deadline: float) -> R:
        """Runs a test to its end."""
        removed = next(test)
        while True:
            predictions = await self._predict(subject, removed, deadline)
            try:
                removed = test.send(predictions)
            except StopIteration as end:
                found: R = end.value
                return found

    async def _predict(self, subject: Subject, removed: Removed, deadline: float) -> FloatArray:
        """Predictions for the sequence without these steps, `(batch, output)`; of text, `(batch, 1)`."""
        count = self._at_once(subject.model, *subject.values.shape)
        found = []
        for start in range(0, len(removed), count):
            perturbed = faithfulness.perturb(subject.values, removed[start : start + count], subject.setup.values)
            each = await self._run(subject, perturbed, deadline)
            found.append(each.predictions if each.answers is None else _same(each.answers, subject))
        return np.concatenate(found)

    async def _run(self, subject: Subject, sequences: FloatArray, deadline: float) -> Found:
        """What the model says about `(batch, time, feature)` when nothing else waits."""
        count, length, features = sequences.shape
        lengths, codec = np.full(count, length, np.int32), subject.model.codec
        values = sequences.reshape(-1, features) if codec is None else sequences.reshape(-1).astype(np.int32)
        key = Key(subject.model, None if codec is None else codec.beam)
        parts = split(key, Ragged(values, lengths, time=length), self._limits)
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

        def done(outcome: Any) -> None:
            if answer.cancelled():
                return
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(merge(parts, outcome))

        job = Job[Key, Part, Found](key, parts, done, deadline, background=True)
        self._batcher.submit(job)
        try:
            return await answer
        finally:
            self._batcher.cancel(job)  # if nobody waits for it any more

    def _at_once(self, model: Model, length: int, features: int) -> int:
        """Sequences of a run that takes no longer than background work may, by estimate."""
        settings, cost, length = self._settings, model.cost, model.runtime.time or length
        most = min(settings.max_batch, settings.max_batch_values // (length * features))
        each = length * cost.per_step
        return max(1, min(most, int((BACKGROUND_S - cost.seconds(0, length)) / each) if each else most))


def prepare(manifest: Manifest, sequence: FloatArray, baseline: Baseline | None) -> Setup:
    """What a removed step of this sequence holds.

    Args:
        sequence: `(time, feature)`.
        baseline: None for what says least to the model.

    Raises:
        Invalid: the model does not say its training means; or text is to hold numbers, or numbers a character.
    """
    is_text, pointer = manifest.vocabulary is not None, "the query parameter baseline"
    if baseline is not None and is_text != (baseline == "unknown"):
        expected = f"{'unknown' if is_text else 'mean, sequence, last or zero'}, because {manifest.name} reads "
        expected += "text" if is_text else "numbers"
        raise Invalid([Fault(pointer=pointer, expected=expected, received=baseline)])
    if is_text:
        return Setup("unknown", np.array([UNKNOWN], np.float32), 1.0)
    training = manifest.training
    means = training.feature_means if training else None
    baseline = baseline or ("sequence" if means is None else "mean")
    probabilities = manifest.task in ("binary", "multiclass")
    unit = 1.0 if probabilities else training.target_std if training else None
    if baseline == "last":
        return Setup(baseline, None, unit)
    if baseline == "mean":
        if means is None:
            expected = f"sequence, last or zero, because {manifest.name} declares no training means"
            raise Invalid([Fault(pointer=pointer, expected=expected, received="mean")])
        return Setup(baseline, np.array(means, np.float32), unit)
    values = sequence.mean(axis=0) if baseline == "sequence" else np.zeros(sequence.shape[1], np.float32)
    return Setup(baseline, values, unit)


def check_fast(manifest: Manifest) -> None:
    """Refuses the cheap part of the test of a model that cannot be tested.

    Raises:
        Invalid: says why.
    """
    if manifest.attention is None:
        expected = f"no test, because {manifest.name} has no attention"
        raise Invalid([Fault(pointer="/faithfulness", expected=expected, received='"fast"')])


def check_count(count: int) -> None:
    """Refuses the cheap part of the test of more than a few sequences.

    Raises:
        Invalid: says how many may be tested.
    """
    if count > SEQUENCES:
        expected = f"at most {SEQUENCES} sequences with a test of their weights"
        raise Invalid([Fault(pointer="/sequences", expected=expected, received=str(count))])


def _subject(model: Model, explanation: Explanation, index: int, baseline: Baseline | None) -> Subject:
    if not explanation.has_inputs:
        raise _untestable("its sequences", "one whose sequences were not kept")
    written = explanation.answers[index] if explanation.answers is not None else None
    if model.codec is not None and explanation.texts is not None:
        values = model.codec.encode(explanation.texts[index]).astype(np.float32)[:, None]
    else:
        values = (explanation.sequences or [])[index]
    return Subject(model, values, prepare(model.manifest, values, baseline), written)


def _subjects(
    model: Model, explanation: Explanation, index: int, baseline: Baseline | None, characters: int
) -> Iterator[tuple[Subject, FloatArray]]:
    """What is tested of one sequence, each with its weights `(time,)`: of text, so many characters of the answer."""
    subject, weights = _subject(model, explanation, index, baseline), (explanation.attention or [])[index]
    if subject.written is None:
        yield subject, steps(weights)
        return
    for place in np.linspace(0, len(weights) - 1, min(len(weights), characters)).astype(int).tolist():
        yield replace(subject, place=place), weights[place]


def _same(answers: list[str], subject: Subject) -> FloatArray:
    """Whether other answers have the same character at its place, or the share of all that do, `(answer, 1)`."""
    written, place = subject.written or "", subject.place
    if place is not None:
        shares = [float(answer[place : place + 1] == written[place]) for answer in answers]
    else:
        shares = [sum(map(str.__eq__, answer, written)) / max(1, len(written), len(answer)) for answer in answers]
    return np.array(shares, np.float32)[:, None]


def _untestable(expected: str, received: str) -> Invalid:
    expected = f"an explanation that has {expected}"
    return Invalid([Fault(pointer="the path parameter id", expected=expected, received=received)])


def _width(length: int) -> int:
    """Steps left out together so that a test of a sequence of this length stays within `STEPS_RUN`."""
    runs = max(WINDOWS, STEPS_RUN // length - faithfulness.RUNS)
    return -(-length // runs)
