"""A process of its own that runs predictions by a wall clock that is the test's to set.

Each line of its input is the arguments of a run, or of a batch where it has rows; each line of its
output is how that came out. Both are JSON.
"""

from __future__ import annotations

import json
import sys
import time

import replicate_magic as rm


def outcome_of(arguments):
    model, began_s = arguments.pop("model", "acme/poet"), time.monotonic()
    told = {"error": "", "message": "", "id": None, "text": None}
    try:
        if "rows" in arguments:
            rm.batch(model, prompt="{{row}}", **arguments)
        else:
            prediction = rm.run(model, **arguments)
            told |= {"id": prediction.id, "text": prediction.text}
    except rm.ReplicateMagicError as error:
        told |= {"error": type(error).__name__, "message": str(error)}
    return told | {"took_s": time.monotonic() - began_s, "clock_s": time.time()}


print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(outcome_of(json.loads(line))), flush=True)
