"""What cells become for models people run, and what is told of the usual slips."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
import real_schemas as real

from replicate_magic.cell.grammar import parse_line
from replicate_magic.cell.plan import plan, read_cell, read_target
from replicate_magic.cell.schema import read_schema
from replicate_magic.errors import InputError

URL = "https://x.example/cat.png"
PNG = b"\x89PNG\r\n\x1a\n"
VOICES = real.KOKORO["components"]["schemas"]["voice"]["enum"]
DATA = "data:image/png;base64,iVBORw0KGgo="


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model's schema, a good cell for it, and bad ones with what is told."""

    openapi: dict
    body_goes_to: str | None
    shape: str | None
    line: str = ""
    body: str | None = None
    becomes: dict
    refused: dict = field(default_factory=dict)


CASES = {
    "llama-3": Case(
        openapi=real.LLAMA_3,
        body_goes_to="prompt",
        shape="chunks",
        line='temperature=.2 max_tokens=64 system_prompt="Be brief." presence_penalty=1.15',
        body="Why is the sky blue?\n",
        becomes={
            "temperature": 0.2,
            "max_tokens": 64,
            "system_prompt": "Be brief.",
            "presence_penalty": 1.15,
            "prompt": "Why is the sky blue?",
        },
        refused={
            "temprature=1": "a/b has no input temprature. Did you mean temperature? Its inputs: "
            "prompt, system_prompt, max_tokens, min_tokens, temperature, top_p, top_k, "
            "stop_sequences, presence_penalty, prompt_template, log_performance_metrics.",
            "temperature=7": "temperature=7: the least is 0, the most is 5.",
            "max_tokens=many": "max_tokens=many: expected integer.",
        },
    ),
    "gpt-4o": Case(
        openapi=real.GPT_4O,
        body_goes_to="prompt",
        shape="chunks",
        line='messages:=[{"role":"user","content":"Hi"}] max_completion_tokens=null '
        f"image_input={URL}",
        becomes={
            "messages": [{"role": "user", "content": "Hi"}],
            "max_completion_tokens": None,
            "image_input": [URL],
        },
        refused={
            "messages=Hi": "messages=Hi: expected array of object.",
            'messages:=["Hi"]': "messages[0]=Hi: expected object.",
            "frequency_penalty=-3": "frequency_penalty=-3: the least is -2, the most is 2.",
        },
    ),
    "gpt-5": Case(
        openapi=real.GPT_5,
        body_goes_to="prompt",
        shape="chunks",
        line="reasoning_effort=high max_completion_tokens=1e3 image_input=@cat.png",
        body="What is this?",
        becomes={
            "reasoning_effort": "high",
            "max_completion_tokens": 1000,
            "image_input": [DATA],
            "prompt": "What is this?",
        },
        refused={
            "reasoning_effort=hihg": "reasoning_effort=hihg: it is one of minimal, low, medium, "
            "high. Did you mean high?",
            "max_completion_tokens=0": "max_completion_tokens=0: the least is 1.",
            "image_input=cat.png": "image_input[0]=cat.png: expected a URL or a file. A file is "
            'image_input=@cat.png in a cell, Path("…") in Python.',
        },
    ),
    "claude": Case(
        openapi=real.CLAUDE,
        body_goes_to="prompt",
        shape="chunks",
        line=f"max_tokens=2048 extended_thinking=on image={URL}",
        body="Hi",
        becomes={"max_tokens": 2048, "extended_thinking": True, "image": URL, "prompt": "Hi"},
        refused={
            "prompt=Hi max_tokens=100": "max_tokens=100: the least is 1024, the most is 64000.",
            "max_tokens=4096": "a/b requires prompt.",
            "prompt=Hi image=cat.png": "image=cat.png: expected a URL or a file. A file is "
            'image=@cat.png in a cell, Path("…") in Python.',
        },
    ),
    "gemini": Case(
        openapi=real.GEMINI,
        body_goes_to="prompt",
        shape="chunks",
        line="dynamic_thinking=no thinking_budget=none",
        body="---\nimages:\n  - https://x.example/a.png\n  - https://x.example/b,c.png\n---\nHi",
        becomes={
            "dynamic_thinking": False,
            "thinking_budget": None,
            "images": ["https://x.example/a.png", "https://x.example/b,c.png"],
            "prompt": "Hi",
        },
        refused={
            "prompt=x thinking_budget=30000": "thinking_budget=30000: the least is 0, the most is "
            "24576.",
            'prompt=x images:=["a.png"]': "images[0]=a.png: expected a URL or a file. A file is "
            'images=@a.png in a cell, Path("…") in Python.',
            f"prompt=x images:={json.dumps([URL] * 11)}": "images=['https://x.example/cat.png', "
            "'https://x.example/cat.png', …: the most is 10 items.",
        },
    ),
    "mpnet": Case(
        openapi=real.MPNET,
        body_goes_to=None,
        shape="json",
        line="""text_batch='["a", "b"]'""",
        becomes={"text_batch": '["a", "b"]'},
        refused={
            'text_batch:=["a"]': "text_batch=['a']: expected string.",
            "texts=a": "a/b has no input texts. Did you mean text? Its inputs: text, text_batch.",
        },
    ),
    "bge": Case(
        openapi=real.BGE,
        body_goes_to=None,
        shape="json",
        line="--prompt-key texts batch_size=8 normalize=off",
        body="One text, with a comma",
        becomes={"batch_size": 8, "normalize": False, "texts": ["One text, with a comma"]},
        refused={
            "texts=a,b": 'texts=a,b: expected array of string. A list is written texts:=["a", '
            '"b"].',
            "texts:=[]": "texts=[]: the least is 1 item.",
            'texts:=["a",5]': "texts[1]=5: expected string.",
            "texts=a batch_size=0": "batch_size=0: it is above 0.",
        },
    ),
    "sdxl": Case(
        openapi=real.SDXL,
        body_goes_to="prompt",
        shape="files",
        line="refine=expert_ensemble_refiner scheduler=K_EULER seed=null lora_scale=0.8 "
        "apply_watermark=false width=768.0",
        body="An owl",
        becomes={
            "refine": "expert_ensemble_refiner",
            "scheduler": "K_EULER",
            "seed": None,
            "lora_scale": 0.8,
            "apply_watermark": False,
            "width": 768,
            "prompt": "An owl",
        },
        refused={
            "scheduler=k_euler": "scheduler=k_euler: it is one of DDIM, DPMSolverMultistep, "
            "HeunDiscrete, K_EULER, K_EULER_ANCESTRAL. Did you mean K_EULER?",
            "num_outputs=5": "num_outputs=5: the least is 1, the most is 4.",
            "seed=random": "seed=random: expected integer or null.",
            "width:=null": "width=None: expected integer. Left out, the model takes its own.",
        },
    ),
    "flux-schnell": Case(
        openapi=real.FLUX_SCHNELL,
        body_goes_to="prompt",
        shape="files",
        line="aspect_ratio=16:9 num_outputs=2 megapixels:=0.25 go_fast=yes output_format=png",
        body="An owl",
        becomes={
            "aspect_ratio": "16:9",
            "num_outputs": 2,
            "megapixels": "0.25",
            "go_fast": True,
            "output_format": "png",
            "prompt": "An owl",
        },
        refused={
            "prompt=x aspect_ratio=16x9": "aspect_ratio=16x9: it is one of 1:1, 16:9, 21:9, 3:2, "
            "2:3, 4:5, 5:4, 9:16, 9:21. Did you mean 16:9?",
            "prompt=x megapixels=2": "megapixels=2: it is one of 1, 0.25.",
            "prompt=x go_fast=maybe": "go_fast=maybe: expected boolean.",
        },
    ),
    "flux-dev-lora": Case(
        openapi=real.FLUX_DEV_LORA,
        body_goes_to="prompt",
        shape="files",
        line="image=@cat.png lora_scale=-0.5 hf_api_token=hf_0123456789",
        body="An owl",
        becomes={
            "image": DATA,
            "lora_scale": -0.5,
            "hf_api_token": "hf_0123456789",
            "prompt": "An owl",
        },
        refused={
            "prompt=x hf_api_token=hf_1": "hf_api_token=(secret): the least is 10 characters.",
            "prompt=x hf_api_token:=123456789": "hf_api_token=(secret): expected string.",
            "prompt=x hf_api_token:=hf_0123": "hf_api_token:=(secret) is not JSON: Expecting "
            "value: line 1 column 1 (char 0).",
            "prompt=x prompt_strength=1.5": "prompt_strength=1.5: the least is 0, the most is 1.",
        },
    ),
    "flux-pro": Case(
        openapi=real.FLUX_PRO,
        body_goes_to="prompt",
        shape="file",
        line="image_prompt=null width=512 safety_tolerance=6",
        body="An owl",
        becomes={
            "image_prompt": None,
            "width": 512,
            "safety_tolerance": 6,
            "prompt": "An owl",
        },
        refused={
            "prompt=x width=100": "width=100: the least is 256, the most is 1440.",
            "prompt=x safety_tolerance=high": "safety_tolerance=high: expected integer.",
        },
    ),
    "ideogram": Case(
        openapi=real.IDEOGRAM,
        body_goes_to="prompt",
        shape="file",
        line=f"resolution=1024x1024 style_type=None style_reference_images={URL},{URL}",
        body="A poster",
        becomes={
            "resolution": "1024x1024",
            "style_type": "None",
            "style_reference_images": [URL, URL],
            "prompt": "A poster",
        },
        refused={
            "prompt=x seed=2147483648": "seed=2147483648: the most is 2147483647.",
            "prompt=x magic_prompt_option=on": "magic_prompt_option=on: it is one of Auto, On, "
            "Off. Did you mean On?",
            "prompt=x resolution=1024": "resolution=1024: it is one of None, 512x1536, 576x1408, "
            "1024x1024, 1536x512. Did you mean 1024x1024?",
        },
    ),
    "recraft": Case(
        openapi=real.RECRAFT,
        body_goes_to="prompt",
        shape="file",
        line="size=1365x1024",
        body="A logo",
        becomes={"size": "1365x1024", "prompt": "A logo"},
        refused={
            f"prompt={'x' * 1001}": f"prompt={'x' * 59}…: the most is 1,000 characters.",
            "prompt=x size:=1024": "size=1024: it is one of 1024x1024, 1365x1024, 1024x1365. "
            "Did you mean 1365x1024?",
        },
    ),
    "nano-banana": Case(
        openapi=real.NANO_BANANA,
        body_goes_to="prompt",
        shape="file",
        line=f'image_input:=["{URL}"] aspect_ratio=null',
        body="Add a hat",
        becomes={"image_input": [URL], "aspect_ratio": None, "prompt": "Add a hat"},
        refused={
            "prompt=x output_format=jpeg": "output_format=jpeg: it is one of jpg, png. Did you "
            "mean jpg?",
            "prompt=x image=@cat.png": "a/b has no input image. Did you mean image_input? Its "
            "inputs: prompt, image_input, aspect_ratio, output_format.",
        },
    ),
    "controlnet": Case(
        openapi=real.CONTROLNET,
        body_goes_to="prompt",
        shape="files",
        line=f"image={URL} num_samples:=4 low_threshold=255 scale=0.1",
        body="A bird",
        becomes={
            "image": URL,
            "num_samples": "4",
            "low_threshold": 255,
            "scale": 0.1,
            "prompt": "A bird",
        },
        refused={
            f"prompt=x image={URL} num_samples=2": "num_samples=2: it is one of 1, 4.",
            f"prompt=x image={URL} low_threshold=256": "low_threshold=256: the least is 1, the "
            "most is 255.",
            f"prompt=x image={URL} scale=0": "scale=0: it is above 0, the most is 30.",
            "scale=9": "a/b requires image, prompt.",
        },
    ),
    "real-esrgan": Case(
        openapi=real.ESRGAN,
        body_goes_to=None,
        shape="file",
        line="image=@cat.png scale=2 face_enhance=1",
        becomes={"image": DATA, "scale": 2, "face_enhance": True},
        refused={
            f"image={URL} scale=x4": "scale=x4: expected number.",
            f"image={URL} face_enhance=2": "face_enhance=2: expected boolean.",
        },
    ),
    "clarity": Case(
        openapi=real.CLARITY,
        body_goes_to="prompt",
        shape="files",
        line=f'image={URL} tiling_width=64 scheduler="Euler a" dynamic=6.5',
        becomes={"image": URL, "tiling_width": 64, "scheduler": "Euler a", "dynamic": 6.5},
        refused={
            f"image={URL} tiling_width=100": "tiling_width=100: it is one of 16, 32, 64, 112, 144, "
            "256.",
            f"image={URL} num_inference_steps=18.5": "num_inference_steps=18.5: expected integer.",
        },
    ),
    "rembg": Case(
        openapi=real.REMBG,
        body_goes_to=None,
        shape="file",
        line="image=@cat.png",
        becomes={"image": DATA},
        refused={
            "": "a/b requires image.",
            "img=@cat.png": "a/b has no input img. Did you mean image? Its inputs: image.\n"
            "a/b requires image.\n",
        },
    ),
    "blip": Case(
        openapi=real.BLIP,
        body_goes_to=None,
        shape="text",
        line=f"image={URL} task=visual_question_answering --prompt-key question",
        body="What colour is it?",
        becomes={
            "image": URL,
            "task": "visual_question_answering",
            "question": "What colour is it?",
        },
        refused={
            f"image={URL} task=captioning": "task=captioning: it is one of image_captioning, "
            "visual_question_answering, image_text_matching. Did you mean image_captioning?",
            "image=": 'image=: expected a URL or a file. A file is image=@PATH in a cell, Path("…")'
            " in Python.",
        },
    ),
    "whisper": Case(
        openapi=real.WHISPER,
        body_goes_to=None,
        shape="json",
        line=f"audio={URL} language=no translate=true suppress_tokens=-1",
        becomes={"audio": URL, "language": "no", "translate": True, "suppress_tokens": "-1"},
        refused={
            f"audio={URL} language=english": "language=english: it is one of auto, de, en, fr, no, "
            "English, German. Did you mean English?",
            f"audio={URL} temperature=hot patience=x": "temperature=hot: expected number.\n"
            "patience=x: expected number.\n",
        },
    ),
    "incredibly-fast-whisper": Case(
        openapi=real.FAST_WHISPER,
        body_goes_to=None,
        shape=None,
        line=f"audio={URL} task=translate batch_size=64 timestamp=word diarise_audio=Y",
        becomes={
            "audio": URL,
            "task": "translate",
            "batch_size": 64,
            "timestamp": "word",
            "diarise_audio": True,
        },
        refused={
            f"audio={URL} timestamp=words": "timestamp=words: it is one of chunk, word. Did you "
            "mean word?",
            f"audio={URL} batch-size=4": "a/b has no input batch-size. Did you mean batch_size? "
            "Its inputs: audio, task, language, batch_size, timestamp, diarise_audio, hf_token.",
        },
    ),
    "kokoro": Case(
        openapi=real.KOKORO,
        body_goes_to="text",
        shape="file",
        line="voice=bf_emma speed=1",
        body="Good evening.",
        becomes={"voice": "bf_emma", "speed": 1, "text": "Good evening."},
        refused={
            "text=x speed=0": "speed=0: the least is 0.1, the most is 5.",
            "text=x voice=bf_ema": f"voice=bf_ema: it is one of {', '.join(VOICES[:50])}, and "
            f"{len(VOICES) - 50} more. Did you mean bf_emma?",
            "voice=bf_emma": "a/b requires text.",
        },
    ),
    "musicgen": Case(
        openapi=real.MUSICGEN,
        body_goes_to="prompt",
        shape="file",
        line="model_version=large duration=12 output_format=mp3 continuation=no",
        body="A waltz",
        becomes={
            "model_version": "large",
            "duration": 12,
            "output_format": "mp3",
            "continuation": False,
            "prompt": "A waltz",
        },
        refused={
            "duration=8s": "duration=8s: expected integer.",
            "continuation_start=-1": "continuation_start=-1: the least is 0.",
            "seed:=null": "seed=None: expected integer. Left out, the model takes its own.",
        },
    ),
    "minimax": Case(
        openapi=real.MINIMAX,
        body_goes_to="prompt",
        shape="file",
        line="first_frame_image=@cat.png prompt_optimizer=false",
        body="It walks",
        becomes={"first_frame_image": DATA, "prompt_optimizer": False, "prompt": "It walks"},
        refused={
            "prompt=x first_frame_image=C:\\cat.png": "first_frame_image=C:\\cat.png: expected a "
            'URL or a file. A file is first_frame_image=@C:\\cat.png in a cell, Path("…") in '
            "Python.",
            "prompt=x prompt_optimizer=": "prompt_optimizer=: expected boolean.",
        },
    ),
    "kling": Case(
        openapi=real.KLING,
        body_goes_to="prompt",
        shape="file",
        line=f"start_image={URL} duration=10 mode=pro",
        body="It runs",
        becomes={"start_image": URL, "duration": 10, "mode": "pro", "prompt": "It runs"},
        refused={
            f"prompt=x start_image={URL} duration=7": "duration=7: it is one of 5, 10.",
            "prompt=x": "a/b requires start_image.",
        },
    ),
    "wan": Case(
        openapi=real.WAN,
        body_goes_to="prompt",
        shape="file",
        line=f"image={URL} last_image=null num_frames=121 resolution=720p seed=42",
        body="It flies",
        becomes={
            "image": URL,
            "last_image": None,
            "num_frames": 121,
            "resolution": "720p",
            "seed": 42,
            "prompt": "It flies",
        },
        refused={
            f"prompt=x image={URL} num_frames=60": "num_frames=60: the least is 81, the most is "
            "121.",
            f"prompt=x image={URL} resolution=720": "resolution=720: it is one of 480p, 720p. Did "
            "you mean 720p?",
        },
    ),
    "clock": Case(
        openapi=real.CLOCK,
        body_goes_to=None,
        shape="text",
        becomes={},
        refused={
            "x=1": "a/b has no input x. Its inputs: none.",
            "x=1 y=2": "a/b has no input x.\na/b has no input y. Its inputs: none.\n",
        },
    ),
    "pixray": Case(
        openapi=real.PIXRAY,
        body_goes_to=None,
        shape="files",
        line='drawer=pixel iterations=100 palette=1,2,3 settings:={"a":1} learning_rate=.5 '
        "prompts=cats,dogs",
        becomes={
            "drawer": "pixel",
            "iterations": 100,
            "palette": [1, 2, 3],
            "settings": {"a": 1},
            "learning_rate": 0.5,
            "prompts": "cats,dogs",
        },
        refused={
            "iterations=0": "iterations=0: it is above 0.",
            "learning_rate=1": "learning_rate=1: it is above 0, it is below 1.",
            "palette=red": "palette=red: expected array of integer.",
            "palette=1,2,3,4,5": "palette=[1, 2, 3, 4, 5]: the most is 4 items.",
            'settings={"a":1}': "settings={a:1}: expected object. An object is written "
            'settings:={"a": 1}.',
        },
    ),
}
by_name = pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))
SLIPS = [(case, line, told) for case in CASES.values() for line, told in case.refused.items()]


def planned(case, line, body=None):
    draft = read_cell(parse_line(line), body, eval)
    return plan(read_target("a/b"), draft, read_schema(case.openapi), lambda path, most: PNG).input


def types_of(inputs):
    return {name: type(value) for name, value in inputs.items()}


def test_there_are_models_of_every_kind():
    assert len(CASES) >= 20
    assert sum(len(case.refused) for case in CASES.values()) >= 2 * len(CASES)
    assert {case.shape for case in CASES.values()} == {
        "text", "chunks", "file", "files", "json", None,
    }  # fmt: skip


@by_name
def test_a_usual_cell_becomes_what_the_model_takes(case):
    inputs = planned(case, case.line, case.body)

    assert inputs == case.becomes
    assert types_of(inputs) == types_of(case.becomes)


@pytest.mark.parametrize(("case", "line", "told"), SLIPS)
def test_a_usual_slip_is_told(case, line, told):
    with pytest.raises(InputError) as raised:
        planned(case, line)

    end = "" if told.endswith("\n") else " "  # several problems are told a line each
    assert str(raised.value) == f"{told}{end}Nothing was sent."


@pytest.mark.parametrize(
    ("case", "line"), [(case, line) for case, line, told in SLIPS if "not JSON" not in told]
)
def test_force_sends_what_the_schema_refuses(case, line):
    assert set(planned(case, f"{line} --force")) == set(parse_line(line).inputs)


@by_name
def test_the_body_has_its_place(case):
    schema = read_schema(case.openapi)

    assert schema.prompt_key() == case.body_goes_to
    if case.body_goes_to is None:
        with pytest.raises(InputError, match="no input that the body could go to"):
            planned(case, "", "body")


@by_name
def test_the_output_has_its_shape(case):
    assert read_schema(case.openapi).shape == case.shape
