"""Making a head for the routes of a snapshot, from the first text to the report."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.changes import Vectors
from synaptoroute_core.decision import Policy
from synaptoroute_core.errors import ConfigurationError
from synaptoroute_core.fits import Fit
from synaptoroute_core.head import Head
from synaptoroute_core.learning.heads.choosing import FEWEST, HELD_BACK, Choice, choose_recipe
from synaptoroute_core.learning.heads.confidence import leave_routes_out, thin, train_acceptor
from synaptoroute_core.learning.heads.corruption import corrupt
from synaptoroute_core.learning.heads.evidence import Evidence, held_out, shares_of
from synaptoroute_core.learning.heads.training import Material, Recipe, Trial
from synaptoroute_core.learning.reports import FitReport, HeldOut
from synaptoroute_core.lexical import bag_of
from synaptoroute_core.snapshot import Snapshot
from synaptoroute_core.text import utterance_key
from synaptoroute_core.types import Example
from synaptoroute_core.words import counted

MAX_TEXTS = 20_000
"""Texts that a head is trained on. Of more, each route gives as many as the others, and at most this many in all."""
OUT_OF_SCOPE_SHARE = 0.2
"""Strangers among the queries, where no examples tell how many there are."""
UTTERANCES_FOR_COPIES = 20
"""Texts a route, on average, from which copies with typing errors are tried. With 10 they cost most of a percent of
accuracy on validation splits, and there are too few texts for cross-validation to see it."""
FEWEST_ROUTES = 2
FEWEST_EXAMPLES = 50
"""Labelled examples from which the share of strangers is read."""

Encode = Callable[[Sequence[str]], Vectors]
Step = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class HeadRequest:
    """What a head is to be made of, beside the utterances; kept with it, so that it can be made again.

    Attributes:
        examples: Labelled texts.
        out_of_scope_share: Share of queries that belong to no route, 0 to 1; None = as in the examples, or 0.2.
        seed: Decides all that chance decides.
    """

    examples: tuple[Example, ...] = ()
    out_of_scope_share: float | None = None
    seed: int = 0

    def as_details(self) -> dict[str, Any]:
        """The same as JSON data."""
        examples = [list(example) for example in self.examples]
        return {"examples": examples, "out_of_scope_share": self.out_of_scope_share, "seed": self.seed}

    @classmethod
    def from_details(cls, details: Mapping[str, Any], names: Sequence[str]) -> HeadRequest:
        """The request that a stored fit was made by, without the examples of routes that are gone."""
        known = set(names)
        examples = [(text, label) for text, label in details["examples"] if label is None or label in known]
        return cls(tuple(examples), details["out_of_scope_share"], details["seed"])

    @property
    def share(self) -> float:
        """The share of strangers to reckon with."""
        if self.out_of_scope_share is not None:
            return self.out_of_scope_share
        outside = sum(label is None for _, label in self.examples)
        if 0 < outside < len(self.examples) >= FEWEST_EXAMPLES:
            return outside / len(self.examples)
        return OUT_OF_SCOPE_SHARE


@dataclass(frozen=True, slots=True)
class MadeHead:
    """A head and what is to be said of it.

    Attributes:
        head: The head.
        request: What it was made of.
        choice: How it was made.
        evidence: What its like answered to texts they had not seen; None if there were too few routes.
        confidences: How sure of each of these answers an acceptor is that was made from the other rounds.
        utterances: Utterances that it was trained on.
        examples: Examples that it was made from.
        seconds: How long it took.
    """

    head: Head
    request: HeadRequest
    choice: Choice
    evidence: Evidence | None
    confidences: NDArray[np.float64]
    utterances: int
    examples: int
    seconds: float

    def fit(self) -> Fit:
        """What is to be kept."""
        return Fit("head", head=self.head, details=self.request.as_details())

    def report(self, snapshot: Snapshot, policy: Policy, *, revision: int, fresh: bool) -> FitReport:
        """What to tell the user.

        Args:
            snapshot: The routes that it was made for, with the rule that was in force.
            policy: The router's settings.
            revision: The revision that the fit made.
            fresh: Whether the routes are still those.
        """
        recipe, evidence, share = self.choice.recipe, self.evidence, self.request.share
        before = after = None
        if evidence is not None:
            least = rule_of_similarity(snapshot, policy)
            counted = shares_of(evidence, share)
            answered = (evidence.scores >= least) & (evidence.leads >= policy.min_margin)
            before = held_out(evidence.by_score(), counted, answered)
            answered = self.confidences >= policy.min_confidence
            after = held_out(replace(evidence, scores=self.confidences), counted, answered)
        return FitReport(
            kind="head",
            changed=True,
            reason=_reason(before, after, fresh=fresh),
            revision=revision,
            routes=len(snapshot.names),
            utterances=self.utterances,
            examples=self.examples,
            held_out=0 if evidence is None else len(evidence),
            before=before,
            after=after,
            threshold=policy.min_confidence,
            settings={
                "lexical_weight": recipe.lexical_weight,
                "typing_errors": recipe.copies,
                "blend": recipe.blend,
                "out_of_scope_share": share,
                "seed": self.request.seed,
                "accuracy": self.choice.accuracy,
                "accuracy_with_typing_errors": self.choice.corrupted,
            },
            seconds=self.seconds,
        )


def rule_of_similarity(snapshot: Snapshot, policy: Policy) -> float:
    """The threshold of similarity scores in force, of routes without their own."""
    head, least = snapshot.rule
    return policy.threshold if head is not None or least is None else least


def make_head(snapshot: Snapshot, request: HeadRequest, encode: Encode, step: Step, threads: int = 1) -> MadeHead:
    """Train a head on the utterances of a snapshot, and on examples if there are any.

    Args:
        snapshot: The routes.
        request: What else to use; labels are names of the snapshot's routes.
        encode: Gives vectors of texts.
        step: Called with the share of the work that was done since; may raise to stop it.
        threads: Trials that are worked on at the same time.

    Raises:
        ConfigurationError: There are fewer than two routes.
        EncoderError: A text could not be encoded.
    """
    started = time.perf_counter()
    if len(snapshot.names) < FEWEST_ROUTES:
        raise ConfigurationError(
            f"there is nothing to tell apart with {counted(len(snapshot.names), 'route')}: a head needs at least two"
        )
    texts, material, strangers = gather(snapshot, request, encode)
    step(0.05)
    material = _with_copies(texts, material, request.seed, encode)
    step(0.2)
    choice = choose_recipe(material, request.seed, lambda share: step(0.25 * share), threads)
    if not choice.recipe.copies:
        material = replace(material, copies=None)
    answers: list[Evidence] = []
    for answer, share in leave_routes_out(material, strangers, choice.recipe, request.seed, threads):
        answers.append(answer)
        step(0.3 * share)
    evidence = Evidence.joined(answers) if answers else None
    asked = len(material) + (0 if strangers is None else len(strangers))
    head = Trial(material, request.seed).head(choice.recipe)
    step(0.2)

    def accepting(known: Evidence | None) -> Head:
        return replace(head, acceptor=train_acceptor(known, request.share, asked))

    return MadeHead(
        head=accepting(evidence),
        request=request,
        choice=choice,
        evidence=evidence,
        confidences=_confidences(answers, accepting),
        utterances=int(material.stored.sum()),
        examples=len(request.examples),
        seconds=time.perf_counter() - started,
    )


def _confidences(answers: Sequence[Evidence], accepting: Callable[[Evidence], Head]) -> NDArray[np.float64]:
    """How sure of each answer an acceptor is that was made from the rounds other than its own."""
    found = [np.empty(0)]
    for place, part in enumerate(answers):
        others = Evidence.joined([*answers[:place], *answers[place + 1 :]])
        found.append(accepting(others).confidence(part.features))
    return np.concatenate(found)


def retrain_head(snapshot: Snapshot, request: HeadRequest, head: Head, encode: Encode) -> Head:
    """A head for other utterances, made as another one was but for copies with typing errors, with its acceptor."""
    recipe = Recipe(head.lexical_weight, copies=False, blend=head.blend)
    _, material, _ = gather(snapshot, request, encode)
    return replace(Trial(material, request.seed).head(recipe), acceptor=head.acceptor)


def gather(snapshot: Snapshot, request: HeadRequest, encode: Encode) -> tuple[list[str], Material, Material | None]:
    """Utterances and in-scope examples, and out-of-scope examples; each text once."""
    labels = np.repeat(np.arange(len(snapshot.names)), np.diff(snapshot.starts, append=len(snapshot.order)))
    kept = thin(labels, MAX_TEXTS, np.random.default_rng(request.seed))
    rows = snapshot.order[kept]
    texts = [snapshot.texts[row] for row in rows]
    known = {utterance_key(text) for text in texts}
    fresh = {utterance_key(text): (text, label) for text, label in request.examples if utterance_key(text) not in known}
    inside = [(text, snapshot.positions[label]) for text, label in fresh.values() if label is not None]
    outside = [text for text, label in fresh.values() if label is None]
    vectors = encode([*(text for text, _ in inside), *outside])
    texts += [text for text, _ in inside]
    material = Material(
        names=snapshot.names,
        vectors=np.concatenate([snapshot.matrix[rows], vectors[: len(inside)]]),
        bags=[bag_of(text) for text in texts],
        labels=np.concatenate([labels[kept], np.array([place for _, place in inside], np.intp)]),
        stored=np.arange(len(texts)) < len(rows),
    )
    if not outside:
        return texts, material, None
    none = np.full(len(outside), -1)
    bags = [bag_of(text) for text in outside]
    strangers = Material(snapshot.names, vectors[len(inside) :], bags, none, np.zeros(len(outside), np.bool_))
    return texts, material, strangers


def _with_copies(texts: Sequence[str], material: Material, seed: int, encode: Encode) -> Material:
    """The material with a copy of each text with typing errors, if there is enough to judge copies by."""
    if len(texts) * HELD_BACK < FEWEST or len(texts) < UTTERANCES_FOR_COPIES * len(material.names):
        return material
    chooser = random.Random(seed)  # noqa: S311  # no secret
    copied = [corrupt(text, chooser) for text in texts]
    bags = [bag_of(text) for text in copied]
    return replace(material, copies=replace(material, vectors=encode(copied), bags=bags))


def _reason(before: HeldOut | None, after: HeldOut | None, *, fresh: bool) -> str:
    if not fresh:
        return "The routes were changed meanwhile: decisions go by similarity until the head is fitted again."
    if before is None or after is None or before.accuracy is None:
        return "There are too few routes or utterances to hide some, so the confidence is that of the shipped acceptor."
    return (
        f"On texts held back and routes hidden, the area under the risk-coverage curve goes from "
        f"{before.aurc:.3f} to {after.aurc:.3f}."
    )
