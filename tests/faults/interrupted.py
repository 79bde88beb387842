"""A process of its own that runs predictions, is interrupted, and says how each came out.

Each line of its input is a prompt; each line of its output is JSON.
"""

from __future__ import annotations

import json
import signal
import sys

import replicate_magic as rm


def say(**what):
    print(json.dumps(what), flush=True)


def known(error):
    prediction = getattr(error, "prediction", None)
    return {"error": type(error).__name__, "id": prediction and prediction.id}


def outcome_of(prompt):
    try:
        prediction = rm.run("acme/poet", prompt=prompt)
    except (KeyboardInterrupt, rm.ReplicateMagicError) as error:
        return known(error)
    return {"error": "", "id": prediction.id}


def one(prompt):
    """An interrupt may fall anywhere, also beside the run; then it is only said that it did."""
    told = {"error": "beside", "id": None}
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say(began=True)
        told = outcome_of(prompt)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    say(**told)


signal.signal(signal.SIGINT, signal.SIG_IGN)
rm.run("acme/poet", prompt="to begin with")  # loads what a first run loads
say(ready=True)
for line in sys.stdin:
    one(line.strip())
