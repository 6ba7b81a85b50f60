"""One of every value that shows itself, with a text of one's choice in each place for text, and a reader of HTML."""

from html.parser import HTMLParser

from IPython.core.formatters import DisplayFormatter

from synaptoroute_core import (
    AuditReport,
    CalibrationBin,
    CalibrationReport,
    Candidate,
    Confusion,
    Decision,
    Delta,
    Edit,
    Explanation,
    FeedbackRecord,
    Finding,
    FitReport,
    Flip,
    HeldOut,
    JudgedText,
    Latency,
    LeftOut,
    Missed,
    Mistake,
    Neighbour,
    Proposal,
    Receipt,
    Route,
    RouteQuality,
    RouterConfig,
    RouterStats,
    Savings,
    Suggestion,
    SyncStatus,
    evaluate_decisions,
)

VOID = {"br", "col", "wbr"}
TABLES = {"colgroup", "table", "tbody", "td", "th", "thead", "tr"}
BLOCKS = {"details", "div", "h3", "li", "p", "pre", "style", "summary", "ul"}
TAGS = VOID | TABLES | BLOCKS | {"b", "bdi", "code", "em", "span", "strong"}
ATTRIBUTES = {"aria-label", "class", "role", "scope", "style", "title"}


class Page(HTMLParser):
    """HTML as a browser reads it.

    Attributes:
        tags: The elements, in their order, each with its attributes.
        text: What one can read, of all elements but the style.
        style: The style.
        faults: Elements that are not closed, or closed out of turn.
    """

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.style, self.faults, self._open = [], "", "", [], []
        self.feed(html)
        self.close()
        self.faults += self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def all(self, tag, **attributes):
        """The attributes of the elements of this kind that have these."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]

    def has_class(self, name):
        return [found for _, found in self.tags if name in found.get("class", "").split()]


def shown(value):
    """What a notebook shows of a value: HTML, read, and text."""
    data, _ = DisplayFormatter().format(value)
    return Page(data["text/html"]), data["text/plain"]


def decision(text="refund", *, route="refund", scores=(0.8, 0.3), **fields):
    """A decision between routes named after a text."""
    given = {
        "reason": "matched" if route else "below_threshold",
        "score": scores[0],
        "threshold": 0.5,
        "candidates": tuple(Candidate(route=text, score=score, utterance=text, threshold=0.5) for score in scores),
    }
    return Decision(route=route, **given | fields)


def samples(text):
    """A value of every public class that shows itself, by the name of the class."""
    held_out, made = HeldOut(accuracy=0.9, answered=0.5, error=None, out_of_scope_accepted=0.1, f1=0.8), decision(text)
    finding = Finding(
        kind="collision",
        severity="error",
        route=text,
        other_route=text,
        utterances=(text, text),
        owners=(text, text),
        message=text,
        suggestion=text,
    )
    edit = Edit(action="add", route="refund", utterance=text)
    left_out = LeftOut(edit=edit, reason=text)
    before = evaluate_decisions([(text, "a"), (text, None)], [decision("a"), decision("b")], ["a", "b"], seconds=1.0)
    after = evaluate_decisions([(text, "a"), (text, None)], [decision("a", route=None)] * 2, ["a", "b"])
    values = (
        AuditReport(revision=1, routes=2, utterances=4, findings=(finding,), hidden={"collision": 3}),
        CalibrationBin(lower=0.0, upper=0.1, count=0, confidence=None, right=None),
        CalibrationReport(
            changed=True,
            reason="It holds.",
            revision=3,
            threshold=0.7,
            max_error=0.02,
            confidence=0.95,
            examples=400,
            answered=300,
            wrong=2,
            coverage=0.75,
            bound=0.019,
        ),
        Candidate(route=text, score=0.5, utterance=text),
        before.compare(after),
        Confusion(expected=text, chosen=text, count=1, texts=(text,)),
        made,
        Delta(figure=text, before=None, after=0.5, change=None),
        edit,
        before,
        Explanation(decision=made, neighbours=(Neighbour(route=text, utterance=text, similarity=-0.2),), advice=text),
        FeedbackRecord(
            id=1,
            text=text,
            answer=None,
            route=text,
            reason="matched",
            score=0.5,
            confidence=None,
            revision=1,
            source=text,
            created_at="2026-01-01T00:00:00Z",
        ),
        finding,
        FitReport(
            kind="head",
            changed=False,
            reason="It was better before.",
            revision=2,
            routes=2,
            utterances=4,
            examples=0,
            held_out=9,
            before=held_out,
            after=held_out,
        ),
        Flip(text=text, expected=text, before=text, after=None, kind="broken", llm_calls=1, wrong_answers=0),
        held_out,
        JudgedText(text=text, expected=text, chosen=text, best=text, sureness=0.5, threshold=None),
        Latency(queries=3, total_s=1.0, mean_ms=333.0),
        left_out,
        Missed(text=text, expected=text, decision=made),
        Mistake(text=text, expected=None, decision=made),
        Neighbour(route=text, utterance=text, similarity=0.5),
        Proposal(
            accepted=False,
            reason="It makes something worse.",
            edits=(edit,),
            left_out=(left_out,),
            golden_before=held_out,
            golden_after=held_out,
        ),
        Receipt(revision=1, changed=2),
        Route("refund", [text], description=text, metadata={"owner": text, text: [text]}),
        RouteQuality(route=text, support=3, answered=2, precision=None, recall=0.5, f1=None),
        RouterConfig(),
        SyncStatus(
            revision=7, shared=True, behind_s=0.25, failing=None, digest="0123456789abcdef", epoch="89abcdef01234567"
        ),
        RouterStats(
            routes=1,
            utterances=12_000,
            revision=1,
            pending=0,
            answered=0,
            cache_hits=0,
            encoded=0,
            batches=0,
            rejected=0,
            dropped=0,
            failed=0,
        ),
        Savings(error=0.01, coverage=0.5, calls_saved=10, money_saved=None),
        Suggestion(text=text, why="cluster", decision=made, route=text, size=20, members=(text,) * 12, value=0.5),
    )
    return {type(value).__name__: value for value in values}
