"""What the fuzzer cannot know by itself; loaded by schemathesis.toml."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """The body of a stream: text as it is, anything else as a line of JSON."""
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")
