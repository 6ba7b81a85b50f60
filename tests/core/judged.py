"""Decisions and their labels, made by hand, and a reader of Markdown."""

from hypothesis import strategies as st
from markdown_it import MarkdownIt

from synaptoroute_core import Candidate, Decision, evaluate_decisions


def decided(best, score, *, answered=True, confidence=None):
    """A decision whose best candidate is ``best``, and which chooses it or not."""
    return Decision(
        route=best if answered else None,
        reason="matched" if answered else "below_threshold",
        score=score,
        confidence=confidence,
        candidates=(Candidate(route=best, score=score, utterance="x"),),
    )


def abstained(best, score):
    return decided(best, score, answered=False)


def evaluate(pairs, routes=("a", "b", "c"), **options):
    """Evaluate (label, decision) pairs; the texts are t1, t2, ..."""
    examples = [(f"t{number}", label) for number, (label, _) in enumerate(pairs, start=1)]
    return evaluate_decisions(examples, [decision for _, decision in pairs], routes, **options)


CASE = [
    ("a", decided("a", 0.90)),  # right
    ("a", decided("b", 0.80)),  # wrong route
    ("b", decided("b", 0.70)),  # right
    ("b", abstained("b", 0.40)),  # would have been right
    (None, decided("a", 0.60)),  # out of scope, accepted
    (None, abstained("a", 0.30)),  # out of scope, left alone
    ("b", decided("a", 0.85)),  # wrong route
]

labels = st.sampled_from(["a", "b", None])
scores = st.integers(0, 12).map(lambda number: number / 16)  # few values, so that ties are common
pairs_of = st.lists(st.tuples(labels, st.builds(decided, st.sampled_from("ab"), scores)), min_size=1, max_size=12)


def tables_of(markdown):
    """Each table that a reader of the Markdown sees, as rows of plain texts."""
    tables = []
    for token in MarkdownIt().enable("table").parse(markdown):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and tables and token.level > 2:
            assert {child.type for child in token.children} <= {"text", "text_special", "em_open", "em_close"}
            tables[-1][-1].append("".join(child.content for child in token.children))
    return tables
