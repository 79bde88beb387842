"""Runs that nobody made: a source for the explorer, as large as wanted, and made as it is read."""

import json
from datetime import UTC, datetime, timedelta

HOSTILE = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>'
SAID = "otters drift holding hands so that none is carried away while all of them sleep"
WORDS = SAID.split()


class SyntheticRuns:
    """Every tenth has failed, every fourth is of another model; the newest is at 0."""

    columns = ("status", "model", "prompt", "output", "time", "tokens", "when")
    trusted = True

    def __init__(self, number, *, hostile=()):
        self._number = number
        self._hostile = set(hostile)
        self.reads = []

    def __len__(self):
        return self._number

    def documents(self, start, stop):
        self.reads.append((start, stop))
        for position in range(start, min(stop, self._number)):
            yield json.dumps(self.raw(position))

    def raw(self, position):
        failed = position % 10 == 3
        said = " ".join(WORDS[(position + n) % len(WORDS)] for n in range(40))
        at = datetime(2026, 11, 25, tzinfo=UTC) - timedelta(minutes=7 * position)
        prompt = HOSTILE if position in self._hostile else f"Tell me what {said}"
        return {
            "id": self.name(position),
            "model": "acme/poet" if position % 4 else "acme/painter-with-a-long-name",
            "version": "hidden",
            "status": "failed" if failed else "succeeded",
            "input": {"prompt": prompt, "temperature": 0.7, "max_tokens": 256},
            "output": None if failed else [f"{word} " for word in said.split()],
            "error": f"E{position}: out of memory" if failed else None,
            "logs": "",
            "metrics": {
                "predict_time": position % 50 / 10,
                "token_output_count": 40 + position % 9,
            },
            "created_at": at.isoformat(),
        }

    def cells(self, positions):
        return [self._cells(self.raw(position)) for position in positions]

    def _cells(self, raw):
        metrics = raw["metrics"]
        return (
            raw["status"],
            raw["model"],
            raw["input"]["prompt"],
            "".join(raw["output"] or [raw["error"]]),
            f"{metrics['predict_time']:.1f} s",
            str(metrics["token_output_count"]),
            raw["created_at"][5:16].replace("T", " "),
        )

    def name(self, position):
        return f"run{position:06d}"

    def frame(self, positions):
        import pandas as pd

        rows = [self.raw(position) for position in positions]
        return pd.DataFrame([{"id": raw["id"], "status": raw["status"]} for raw in rows])

    def values_frame(self, values):
        import pandas as pd

        return pd.DataFrame(
            [value if isinstance(value, dict) else {"value": value} for value in values]
        )
