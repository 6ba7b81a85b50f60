"""Routes that are tried out, and labelled texts to see what a threshold would do to them."""

from synaptoroute_core import Route

ROUTES = (
    Route("refund", ["I want my money back", "refund my order please", "how long does a refund take"]),
    Route("parcel", ["where is my parcel", "track a parcel", "my parcel is late"], threshold=0.4),
    Route("password", ["I forgot my password", "reset my password", "the password link has expired"]),
)
EXAMPLES = [
    ("please refund my order now", "refund"),
    ("my money, I want it back", "refund"),
    ("how late is my parcel", "parcel"),
    ("where is my password", "password"),
    ("reset the password link", "password"),
    ("track my refund", "refund"),
    ("a password is what I need to reset", "password"),
    ("track a parcel refund", "refund"),
    ("I want a long walk", None),
    ("late again", None),
    ("will it rain tomorrow", None),
]
THRESHOLDS = [0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0]
