"""How long reading a schema takes, and typing and checking a call by it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cell"))

import cog_schemas as cog
import real_schemas as real
from figure import Figure

from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.plan import plan, read_cell, read_target
from replicate_magic.cell.schema import read_schema
from replicate_magic.errors import InputError

VOICES = [f"voice_{n}" for n in range(5_000)]
LARGE = cog.openapi(  # about a megabyte
    {
        f"input_{n}": {
            "allOf": [cog.ref("voice")],
            "default": "voice_1",
            "description": "x" * 80,
            "x-order": n,
        }
        for n in range(5_000)
    },
    voice={"type": "string", "enum": VOICES},
)
CALLS = {
    "llama-3": (real.LLAMA_3, "temperature=0.2 max_tokens=64 top_p=0.9", "Why?"),
    "sdxl": (real.SDXL, "refine=base_image_refiner scheduler=DDIM seed=5 width=768", "An owl"),
    "gemini": (real.GEMINI, "images=https://x.example/a.png temperature=1", "What is it?"),
    "5,000 enums of 5,000": (LARGE, "input_7=voice_4999 input_8=voice_4998", None),
    "refused": (real.SDXL, "refin=x scheduler=k_euler num_outputs=9 seed=random", "An owl"),
    "refused, of 5,000": (LARGE, "inptu_7=x input_8=voice input_9=voice_0x", None),
}


def milliseconds(call, times):
    """The best of five means: what is above it was the machine's."""
    means = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            call()
        means.append((time.perf_counter() - began) / times * 1_000)
    return min(means)


def refused(call):
    def tried():
        try:
            call()
        except InputError:
            return

    return tried


def measure():
    found, size = [], len(json.dumps(LARGE)) / 1e6
    print(
        f"read  sdxl                  {milliseconds(lambda: read_schema(real.SDXL), 100):9.3f} ms"
    )
    print(
        f"read  {size:.1f} MB                {milliseconds(lambda: read_schema(LARGE), 1):9.3f} ms"
    )
    for name, (openapi, line, body) in CALLS.items():
        schema = read_schema(openapi)
        draft = read_cell(parse_line(line), body, eval)
        target = read_target("a/b")
        call = refused(lambda d=draft, s=schema, t=target: plan(t, d, s, lambda path, most: b""))
        times = 5 if name.endswith("of 5,000") else 200
        took_ms = milliseconds(call, times)
        print(f"plan  {name:22}{took_ms:9.3f} ms")
        found.append(Figure(name=f"typing and checking a call: {name}", ours=took_ms, unit="ms"))
    return found


if __name__ == "__main__":
    measure()
