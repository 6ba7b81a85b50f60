"""What charts of the tests are made of."""

import numpy as np

HOSTILE = '<b>bold</b> &amp; $x^2$ and \\frac{$ <img src=x onerror=alert(1)> %{x} "quoted" __import__'
"""What a user may write, and some program take for a command."""

PLACES = np.array([0.1, 0.5, 0.9])
