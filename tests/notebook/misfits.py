"""What a caller may hand in, and some code choke on."""

import numpy as np
import pandas as pd


def misfits():
    """Values of every kind by name, made anew since some can be gone through once only."""
    return {
        "None": None,
        "true": True,
        "numpy_true": np.bool_(True),
        "whole": 2,
        "numpy_whole": np.int64(2),
        "negative": -1,
        "fraction": 2.5,
        "nan": float("nan"),
        "infinite": float("inf"),
        "text": "hello",
        "numpy_text": np.str_("a"),
        "empty_text": "",
        "bytes": b"ab",
        "empty_list": [],
        "list_of_None": [None],
        "list_of_numbers": [1, 2],
        "list_in_a_list": [["a"]],
        "dictionary": {"a": 1},
        "iterator": iter(["a", "b"]),
        "empty_iterator": iter([]),
        "array_of_texts": np.array(["a", "b"]),
        "array_of_numbers": np.array([1, 2]),
        "array_without_dimension": np.array(3.0),
        "column": pd.Series(["a", "b"]),
        "frame": pd.DataFrame({"text": ["where is it"], "label": ["a"]}),
        "object": object(),
    }
