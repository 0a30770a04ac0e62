"""Explanations put to the test: their model is run again without some of the steps, behind all that waits.

See `explanations/faithfulness.py` for what is measured. Here it is run: in runs so short that a prediction which comes
meanwhile does not wait for long, and once for each question, since the answer does not change.

Of text, each character of the answer has weights of its own. They are tested together, each by whether the model still
writes that character at its place when characters of the text are unknown to it; what is found is the mean over them.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray
from service.batcher import BACKGROUND_S, Batcher, Job, Limits
from service.errors import Invalid
from service.explanations import faithfulness
from service.explanations.faithfulness import EFFECT, FAST_DRAWS, Measured, Removed, Test
from service.explanations.record import Explanation
from service.explanations.verdicts import judge_one
from service.inference import Found, Key, Part, merge, split
from service.manifest import AnswerVerdict, Manifest
from service.models.loading import Model
from service.models.repository import Repository
from service.once import Once
from service.ragged import Ragged
from service.schemas.faithfulness import Baseline
from service.settings import Settings
from service.subject import Setup, Subject, untestable
from service.telemetry.collect import Telemetry

KEPT = 256  # answers; the least recently asked for goes first
STEPS_RUN = 1_000_000  # steps that a model is run over for one test, about: half a second to some seconds
WINDOWS = 20  # steps or windows of steps that are left out one by one, at least
SEQUENCES = 16  # of a request that asks for the cheap part of the test
CHARACTERS, FAST_CHARACTERS = 16, 4  # of an answer in text whose weights are tested, at most
R = TypeVar("R")


@dataclass(frozen=True)
class Examined:
    """One sequence of an explanation, tested.

    Attributes:
        seed: of the random steps.
    """

    setup: Setup
    measured: Measured
    verdict: AnswerVerdict
    seed: int


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
        self._known = Once[tuple[str, str, int, Baseline | None]](KEPT)

    async def examine(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Examined:
        """Tests the weights of one sequence.

        Args:
            baseline: None for what says least to the model: its training mean, or the mean of the sequence.

        Raises:
            Invalid: it cannot be tested, or not with this baseline; says why.
            NotFound: its model is not served any more.
            Conflict: the model predicts something else by now.
            Full: too much waits.
            DeadlineExceeded: it was not finished in time.
            Stopped: the server is stopping.
        """
        if explanation.attention is None:
            raise untestable("weights", "one of a model without attention")
        question = ("test", explanation.id, index, baseline)
        examined: Examined = await self._known.ask(question, lambda: self._examine(explanation, index, baseline))
        return examined

    async def occlude(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Occluded:
        """What leaving out each step alone changes, of models without attention as well. Raises: see `examine`."""
        question = ("occlude", explanation.id, index, baseline)
        occluded: Occluded = await self._known.ask(question, lambda: self._occlude(explanation, index, baseline))
        return occluded

    async def examine_fast(
        self, model: Model, explanation: Explanation, deadline: float
    ) -> list[dict[str, Any] | None]:
        """The cheap part of the test, of every sequence of an answer that is not kept yet: see `FastFaithfulness`; None
        where the answer is an empty text.

        Args:
            deadline: by `time.monotonic`.

        Raises:
            Full, DeadlineExceeded, Stopped: see `examine`.
        """
        found: list[dict[str, Any] | None] = []
        for index in range(len(explanation)):
            if explanation.answers is not None and not explanation.answers[index]:
                found.append(None)
                continue
            subject = Subject.of(model, explanation, index, None)
            places = subject.characters(FAST_CHARACTERS)
            tests = [
                faithfulness.fast_test(weights, subject.task, unit=subject.unit, seed=subject.seed)
                for weights in subject.weights_of(places)
            ]
            each = await self._conduct_all(tests, subject, places, deadline)
            said = {
                "baseline": subject.setup.baseline,
                "unit": subject.setup.unit_in_words(explanation, index),
                "draws": FAST_DRAWS,
                "seed": subject.seed,
            }
            found.append(asdict(faithfulness.mean_fast(each)) | said)
        return found

    async def _examine(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Examined:
        deadline = time.monotonic() + self._settings.deadline
        model = await self._repository.get(explanation.model, explanation.version)
        subject = Subject.of(model, explanation, index, baseline)
        length = len(subject.values)
        places = subject.characters(_characters(length))
        width = _width(length, max(1, len(places)))
        tests = [
            faithfulness.full_test(weights, subject.task, unit=subject.unit, seed=subject.seed, width=width)
            for weights in subject.weights_of(places)
        ]
        measured = faithfulness.mean(await self._conduct_all(tests, subject, places, deadline))
        verdict = judge_one(measured, EFFECT if subject.setup.unit else 0.0)
        if baseline is None:  # or a sequence that is tested in several ways would count as several
            self._telemetry.verdicts(model.manifest.name, model.manifest.version).add(verdict)
        return Examined(subject.setup, measured, verdict, subject.seed)

    async def _occlude(self, explanation: Explanation, index: int, baseline: Baseline | None) -> Occluded:
        deadline = time.monotonic() + self._settings.deadline
        model = await self._repository.get(explanation.model, explanation.version)
        subject = Subject.of(model, explanation, index, baseline)
        length = len(subject.values)
        width = _width(length, 1)
        test = faithfulness.occlusion_test(length, subject.task, unit=subject.unit, width=width)
        return Occluded(subject.setup, await self._conduct(test, subject, [], deadline), width)

    async def _conduct_all(self, tests: list[Test[R]], subject: Subject, places: list[int], deadline: float) -> list[R]:
        """Runs the test of a sequence, or those of these characters of an answer, to their end."""
        if len(places) <= 1:
            return [await self._conduct(tests[0], subject, places, deadline)]
        return await self._conduct(faithfulness.together(tests), subject, places, deadline)

    async def _conduct(self, test: Test[R], subject: Subject, places: list[int], deadline: float) -> R:
        """Runs a test to its end."""
        removed = next(test)
        while True:
            predictions = await self._predict(subject, removed, places, deadline)
            try:
                removed = test.send(predictions)
            except StopIteration as end:
                found: R = end.value
                return found

    async def _predict(self, subject: Subject, removed: Removed, places: list[int], deadline: float) -> FloatArray:
        """Predictions for the sequence without these steps; see `Subject.score`."""
        count = self._at_once(subject.model, *subject.values.shape)
        scores = []
        for start in range(0, len(removed), count):
            perturbed = faithfulness.perturb(subject.values, removed[start : start + count], subject.setup.values)
            found = await self._run(subject, perturbed, deadline)
            if start == 0:
                subject.check(found)  # the first of a test is the sequence as it is
            scores.append(subject.score(found, places))
        return np.concatenate(scores)

    async def _run(self, subject: Subject, sequences: FloatArray, deadline: float) -> Found:
        """What the model says about `(batch, time, feature)` when nothing else waits."""
        count, length, features = sequences.shape
        lengths, codec = np.full(count, length, np.int32), subject.model.codec
        values = sequences.reshape(-1, features) if codec is None else sequences.reshape(-1).astype(np.int32)
        key = Key(subject.model, subject.beam)
        parts = split(key, Ragged(values, lengths, time=length), self._limits)
        answer: asyncio.Future[Sequence[Found]] = asyncio.get_running_loop().create_future()

        def done(outcome: Sequence[Found] | Exception) -> None:
            if answer.cancelled():
                return
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        job = Job[Key, Part, Found](key, parts, done, deadline, background=True)
        self._batcher.submit(job)
        try:
            found = await answer
        finally:
            self._batcher.cancel(job)  # if nobody waits for it any more
        return merge(parts, found)

    def _at_once(self, model: Model, length: int, features: int) -> int:
        """Sequences of a run that takes no longer than background work may, by estimate."""
        settings, cost, length = self._settings, model.cost, model.runtime.time or length
        most = min(settings.max_batch, settings.max_batch_values // (length * features))
        each = length * cost.per_step
        return max(1, min(most, int((BACKGROUND_S - cost.seconds(0, length)) / each) if each else most))


def check_fast(manifest: Manifest) -> None:
    """Refuses the cheap part of the test of a model that cannot be tested.

    Raises:
        Invalid: says why.
    """
    if manifest.attention is None:
        expected = f"no test, because {manifest.name} has no attention"
        raise Invalid.at("/faithfulness", expected, '"fast"')


def check_count(count: int) -> None:
    """Refuses the cheap part of the test of more than a few sequences.

    Raises:
        Invalid: says how many may be tested.
    """
    if count > SEQUENCES:
        expected = f"at most {SEQUENCES} sequences with a test of their weights"
        raise Invalid.at("/sequences", expected, str(count))


def _characters(length: int) -> int:
    """Of an answer that are tested so that it stays within `STEPS_RUN` for a text of this length."""
    left = STEPS_RUN // length - WINDOWS - faithfulness.runs(0)
    return max(1, min(CHARACTERS, left // (faithfulness.runs(1) - faithfulness.runs(0))))


def _width(length: int, tests: int) -> int:
    """Steps left out together so that so many tests of a sequence of this length stay within `STEPS_RUN`."""
    return -(-length // max(WINDOWS, STEPS_RUN // length - faithfulness.runs(tests)))
