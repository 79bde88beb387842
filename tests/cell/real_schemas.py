"""Schemas of models people run on Replicate, by hand, in the spellings that cog has had.

Descriptions and titles are left out, long enums are shortened; names, types, bounds, defaults and
the way they are written are what such models publish.
"""

from __future__ import annotations

from cog_schemas import CHUNKS, FILE, FILES, openapi, ref

URI = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}


def enum(*values, kind="string"):
    return {"enum": list(values), "type": kind, "description": "An enumeration."}


def maybe(spec):
    """An optional input, as cog writes it since it has pydantic 2."""
    return {"anyOf": [spec, {"type": "null"}]}


# -- text -------------------------------------------------------------------------------------

LLAMA_3 = openapi(  # meta/meta-llama-3-70b-instruct
    {
        "prompt": {"type": "string", "default": "", "x-order": 0},
        "system_prompt": {"type": "string", "default": "You are helpful", "x-order": 1},
        "max_tokens": {"type": "integer", "default": 512, "minimum": 1, "x-order": 2},
        "min_tokens": {"type": "integer", "minimum": -1, "x-order": 3},
        "temperature": {"type": "number", "default": 0.7, "minimum": 0, "maximum": 5, "x-order": 4},
        "top_p": {"type": "number", "default": 0.95, "minimum": 0, "maximum": 1, "x-order": 5},
        "top_k": {"type": "integer", "default": 0, "minimum": -1, "x-order": 6},
        "stop_sequences": {"type": "string", "x-order": 7},
        "presence_penalty": {"type": "number", "default": 0, "x-order": 8},
        "prompt_template": {"type": "string", "default": "{system_prompt}{prompt}", "x-order": 9},
        "log_performance_metrics": {"type": "boolean", "default": False, "x-order": 10},
    },
    output=CHUNKS,
)

GPT_4O = openapi(  # openai/gpt-4o, with `messages`
    {
        "prompt": {"type": "string", "nullable": True, "x-order": 0},
        "messages": {
            "type": "array", "items": {"type": "object"}, "default": [], "x-order": 1,
        },
        "system_prompt": {"type": "string", "nullable": True, "x-order": 2},
        "image_input": {"type": "array", "items": URI, "default": [], "x-order": 3},
        "temperature": {"type": "number", "default": 1, "minimum": 0, "maximum": 2, "x-order": 4},
        "max_completion_tokens": {
            "type": "integer", "default": 4096, "nullable": True, "x-order": 5,
        },
        "frequency_penalty": {
            "type": "number", "default": 0, "minimum": -2, "maximum": 2, "x-order": 6,
        },
    },
    output=CHUNKS,
)  # fmt: skip

GPT_5 = openapi(  # openai/gpt-5
    {
        "prompt": {**maybe(TEXT), "x-order": 0},
        "messages": {"type": "array", "items": {"type": "object"}, "default": [], "x-order": 1},
        "image_input": {"type": "array", "items": URI, "default": [], "x-order": 2},
        "reasoning_effort": {
            "allOf": [ref("reasoning_effort")], "default": "minimal", "x-order": 3,
        },
        "verbosity": {"allOf": [ref("verbosity")], "default": "medium", "x-order": 4},
        "max_completion_tokens": {**maybe({"type": "integer", "minimum": 1}), "x-order": 5},
    },
    output=CHUNKS,
    reasoning_effort=enum("minimal", "low", "medium", "high"),
    verbosity=enum("low", "medium", "high"),
)  # fmt: skip

CLAUDE = openapi(  # anthropic/claude-4-sonnet
    {
        "prompt": {"type": "string", "x-order": 0},
        "image": {"type": "string", "format": "uri", "nullable": True, "x-order": 1},
        "max_tokens": {
            "type": "integer", "default": 8192, "minimum": 1024, "maximum": 64000, "x-order": 2,
        },
        "system_prompt": {"type": "string", "default": "", "x-order": 3},
        "extended_thinking": {"type": "boolean", "default": False, "x-order": 4},
        "thinking_budget_tokens": {
            "type": "integer", "default": 1024, "minimum": 1024, "maximum": 64000, "x-order": 5,
        },
        "max_image_resolution": {
            "type": "number", "default": 0.5, "minimum": 0.001, "maximum": 2, "x-order": 6,
        },
    },
    required=["prompt"],
    output=CHUNKS,
)  # fmt: skip

GEMINI = openapi(  # google/gemini-2.5-flash
    {
        "prompt": {"type": "string", "x-order": 0},
        "images": {"type": "array", "items": URI, "maxItems": 10, "default": [], "x-order": 1},
        "videos": {"type": "array", "items": URI, "maxItems": 10, "default": [], "x-order": 2},
        "system_instruction": {**maybe(TEXT), "x-order": 3},
        "temperature": {"type": "number", "default": 1, "minimum": 0, "maximum": 2, "x-order": 4},
        "max_output_tokens": {
            "type": "integer", "default": 65535, "minimum": 1, "maximum": 65535, "x-order": 5,
        },
        "thinking_budget": {
            **maybe({"type": "integer", "minimum": 0, "maximum": 24576}), "x-order": 6,
        },
        "dynamic_thinking": {"type": "boolean", "default": False, "x-order": 7},
    },
    required=["prompt"],
    output=CHUNKS,
)  # fmt: skip

MPNET = openapi(  # replicate/all-mpnet-base-v2: many texts are the JSON of a list, as text
    {
        "text": {"type": "string", "x-order": 0},
        "text_batch": {"type": "string", "x-order": 1},
    },
    output={"type": "array", "items": {"type": "object"}},
)

BGE = openapi(  # an embedder whose texts are a list
    {
        "texts": {"type": "array", "items": {"type": "string"}, "minItems": 1, "x-order": 0},
        "normalize": {"type": "boolean", "default": True, "x-order": 1},
        "batch_size": {"type": "integer", "default": 32, "exclusiveMinimum": 0, "x-order": 2},
    },
    required=["texts"],
    output={"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
)

# -- images -----------------------------------------------------------------------------------

SDXL = openapi(  # stability-ai/sdxl
    {
        "prompt": {"type": "string", "default": "An astronaut riding a unicorn", "x-order": 0},
        "negative_prompt": {"type": "string", "default": "", "x-order": 1},
        "image": {"type": "string", "format": "uri", "x-order": 2},
        "mask": {"type": "string", "format": "uri", "x-order": 3},
        "width": {"type": "integer", "default": 1024, "x-order": 4},
        "height": {"type": "integer", "default": 1024, "x-order": 5},
        "num_outputs": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4, "x-order": 6},
        "scheduler": {"allOf": [ref("scheduler")], "default": "K_EULER", "x-order": 7},
        "num_inference_steps": {
            "type": "integer", "default": 50, "minimum": 1, "maximum": 500, "x-order": 8,
        },
        "guidance_scale": {
            "type": "number", "default": 7.5, "minimum": 1, "maximum": 50, "x-order": 9,
        },
        "seed": {"type": "integer", "nullable": True, "x-order": 11},
        "refine": {"allOf": [ref("refine")], "default": "no_refiner", "x-order": 12},
        "refine_steps": {"type": "integer", "x-order": 14},
        "apply_watermark": {"type": "boolean", "default": True, "x-order": 15},
        "lora_scale": {
            "type": "number", "default": 0.6, "minimum": 0, "maximum": 1, "x-order": 16,
        },
    },
    output=FILES,
    scheduler=enum("DDIM", "DPMSolverMultistep", "HeunDiscrete", "K_EULER", "K_EULER_ANCESTRAL"),
    refine=enum("no_refiner", "expert_ensemble_refiner", "base_image_refiner"),
)  # fmt: skip

RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "9:16", "9:21")

FLUX_SCHNELL = openapi(  # black-forest-labs/flux-schnell
    {
        "prompt": {"type": "string", "x-order": 0},
        "aspect_ratio": {"allOf": [ref("aspect_ratio")], "default": "1:1", "x-order": 1},
        "num_outputs": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4, "x-order": 2},
        "num_inference_steps": {
            "type": "integer", "default": 4, "minimum": 1, "maximum": 4, "x-order": 3,
        },
        "seed": {"type": "integer", "x-order": 4},
        "output_format": {"allOf": [ref("output_format")], "default": "webp", "x-order": 5},
        "output_quality": {
            "type": "integer", "default": 80, "minimum": 0, "maximum": 100, "x-order": 6,
        },
        "disable_safety_checker": {"type": "boolean", "default": False, "x-order": 7},
        "go_fast": {"type": "boolean", "default": True, "x-order": 8},
        "megapixels": {"allOf": [ref("megapixels")], "default": "1", "x-order": 9},
    },
    required=["prompt"],
    output=FILES,
    aspect_ratio=enum(*RATIOS),
    output_format=enum("webp", "jpg", "png"),
    megapixels=enum("1", "0.25"),
)  # fmt: skip

FLUX_DEV_LORA = openapi(  # black-forest-labs/flux-dev-lora, with tokens of other services
    {
        "prompt": {"type": "string", "x-order": 0},
        "image": {"type": "string", "format": "uri", "x-order": 1},
        "prompt_strength": {
            "type": "number", "default": 0.8, "minimum": 0, "maximum": 1, "x-order": 2,
        },
        "guidance": {"type": "number", "default": 3, "minimum": 0, "maximum": 10, "x-order": 3},
        "lora_weights": {"type": "string", "x-order": 4},
        "lora_scale": {
            "type": "number", "default": 1, "minimum": -1, "maximum": 3, "x-order": 5,
        },
        "hf_api_token": {
            "type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True,
            "minLength": 10, "x-order": 6,
        },
        "megapixels": {"allOf": [ref("megapixels")], "default": "1", "x-order": 7},
    },
    required=["prompt"],
    output=FILES,
    megapixels=enum("1", "0.25"),
)  # fmt: skip

FLUX_PRO = openapi(  # black-forest-labs/flux-1.1-pro
    {
        "prompt": {"type": "string", "x-order": 0},
        "image_prompt": {"type": "string", "format": "uri", "nullable": True, "x-order": 1},
        "aspect_ratio": {"allOf": [ref("aspect_ratio")], "default": "1:1", "x-order": 2},
        "width": {
            "type": "integer", "minimum": 256, "maximum": 1440, "nullable": True, "x-order": 3,
        },
        "safety_tolerance": {
            "type": "integer", "default": 2, "minimum": 1, "maximum": 6, "x-order": 5,
        },
        "seed": {"type": "integer", "nullable": True, "x-order": 6},
        "prompt_upsampling": {"type": "boolean", "default": False, "x-order": 7},
    },
    required=["prompt"],
    output=FILE,
    aspect_ratio=enum("custom", *RATIOS),
)  # fmt: skip

IDEOGRAM = openapi(  # ideogram-ai/ideogram-v3-turbo
    {
        "prompt": {"type": "string", "x-order": 0},
        "resolution": {"allOf": [ref("resolution")], "default": "None", "x-order": 1},
        "style_type": {"allOf": [ref("style_type")], "default": "None", "x-order": 2},
        "magic_prompt_option": {"allOf": [ref("magic")], "default": "Auto", "x-order": 3},
        "style_reference_images": {
            "type": "array", "items": URI, "nullable": True, "x-order": 4,
        },
        "seed": {"type": "integer", "maximum": 2147483647, "nullable": True, "x-order": 5},
    },
    required=["prompt"],
    output=FILE,
    resolution=enum("None", "512x1536", "576x1408", "1024x1024", "1536x512"),
    style_type=enum("None", "Auto", "General", "Realistic", "Design"),
    magic=enum("Auto", "On", "Off"),
)  # fmt: skip

RECRAFT = openapi(  # recraft-ai/recraft-v3, its enums in the place itself
    {
        "prompt": {"type": "string", "maxLength": 1000, "x-order": 0},
        "size": {**enum("1024x1024", "1365x1024", "1024x1365"), "default": "1024x1024"},
        "style": {**enum("any", "realistic_image", "digital_illustration"), "default": "any"},
    },
    required=["prompt"],
    output=FILE,
)

NANO_BANANA = openapi(  # google/nano-banana
    {
        "prompt": {"type": "string", "x-order": 0},
        "image_input": {"type": "array", "items": URI, "default": [], "x-order": 1},
        "aspect_ratio": {**maybe(ref("aspect_ratio")), "default": "match_input_image"},
        "output_format": {**ref("output_format"), "default": "jpg"},
    },
    required=["prompt"],
    output=maybe(URI),
    aspect_ratio=enum("match_input_image", *RATIOS),
    output_format=enum("jpg", "png"),
)

CONTROLNET = openapi(  # jagilley/controlnet-canny, of the first cogs: numbers as texts, ge and le
    {
        "image": {"type": "string", "format": "uri", "x-order": 0},
        "prompt": {"type": "string", "x-order": 1},
        "num_samples": {"allOf": [ref("num_samples")], "default": "1", "x-order": 2},
        "image_resolution": {"allOf": [ref("image_resolution")], "default": "512", "x-order": 3},
        "low_threshold": {"type": "integer", "default": 100, "ge": 1, "le": 255, "x-order": 4},
        "ddim_steps": {"type": "integer", "default": 20, "x-order": 6},
        "scale": {"type": "number", "default": 9, "gt": 0, "le": 30, "x-order": 7},
        "eta": {"type": "number", "default": 0, "x-order": 9},
        "a_prompt": {"type": "string", "default": "best quality", "x-order": 10},
    },
    required=["image", "prompt"],
    output=FILES,
    num_samples=enum("1", "4"),
    image_resolution=enum("256", "512", "768"),
)

ESRGAN = openapi(  # nightmareai/real-esrgan
    {
        "image": {"type": "string", "format": "uri", "x-order": 0},
        "scale": {"type": "number", "default": 4, "minimum": 0, "maximum": 10, "x-order": 1},
        "face_enhance": {"type": "boolean", "default": False, "x-order": 2},
    },
    required=["image"],
    output=FILE,
)

CLARITY = openapi(  # philz1337x/clarity-upscaler
    {
        "image": {"type": "string", "format": "uri", "x-order": 0},
        "prompt": {"type": "string", "default": "masterpiece, best quality", "x-order": 1},
        "scale_factor": {"type": "number", "default": 2, "x-order": 3},
        "dynamic": {"type": "number", "default": 6, "minimum": 1, "maximum": 50, "x-order": 4},
        "creativity": {"type": "number", "default": 0.35, "x-order": 5},
        "tiling_width": {"allOf": [ref("tiling_width")], "default": 112, "x-order": 7},
        "scheduler": {"allOf": [ref("scheduler")], "default": "DPM++ 3M SDE Karras"},
        "num_inference_steps": {
            "type": "integer", "default": 18, "minimum": 1, "maximum": 100, "x-order": 10,
        },
    },
    required=["image"],
    output=FILES,
    tiling_width=enum(16, 32, 64, 112, 144, 256, kind="integer"),
    scheduler=enum("DPM++ 2M Karras", "DPM++ 3M SDE Karras", "Euler a", "DDIM"),
)  # fmt: skip

REMBG = openapi(  # cjwbw/rembg
    {"image": {"type": "string", "format": "uri", "x-order": 0}},
    required=["image"],
    output=FILE,
)

BLIP = openapi(  # salesforce/blip, a captioner
    {
        "image": {"type": "string", "format": "uri", "x-order": 0},
        "task": {"allOf": [ref("task")], "default": "image_captioning", "x-order": 1},
        "question": {"type": "string", "x-order": 2},
        "caption": {"type": "string", "x-order": 3},
    },
    required=["image"],
    output={"type": "string"},
    task=enum("image_captioning", "visual_question_answering", "image_text_matching"),
)

# -- sound and video --------------------------------------------------------------------------

WHISPER = openapi(  # openai/whisper
    {
        "audio": {"type": "string", "format": "uri", "x-order": 0},
        "transcription": {"allOf": [ref("transcription")], "default": "plain text", "x-order": 1},
        "translate": {"type": "boolean", "default": False, "x-order": 2},
        "language": {"allOf": [ref("language")], "default": "auto", "x-order": 3},
        "temperature": {"type": "number", "default": 0, "x-order": 4},
        "patience": {"type": "number", "x-order": 5},
        "suppress_tokens": {"type": "string", "default": "-1", "x-order": 6},
        "initial_prompt": {"type": "string", "x-order": 7},
    },
    required=["audio"],
    output=ref("ModelOutput"),
    transcription=enum("plain text", "srt", "vtt"),
    language=enum("auto", "de", "en", "fr", "no", "English", "German"),
    ModelOutput={
        "type": "object",
        "required": ["detected_language", "transcription"],
        "properties": {"detected_language": TEXT, "transcription": TEXT, "segments": {}},
    },
)

FAST_WHISPER = openapi(  # vaibhavs10/incredibly-fast-whisper; its Output says nothing
    {
        "audio": {"type": "string", "format": "uri", "x-order": 0},
        "task": {"allOf": [ref("task")], "default": "transcribe", "x-order": 1},
        "language": {"allOf": [ref("language")], "default": "None", "x-order": 2},
        "batch_size": {"type": "integer", "default": 24, "x-order": 3},
        "timestamp": {"allOf": [ref("timestamp")], "default": "chunk", "x-order": 4},
        "diarise_audio": {"type": "boolean", "default": False, "x-order": 5},
        "hf_token": {"type": "string", "x-order": 6},
    },
    required=["audio"],
    output={},
    task=enum("transcribe", "translate"),
    language=enum("None", "english", "german", "norwegian"),
    timestamp=enum("chunk", "word"),
)

KOKORO = openapi(  # jaaari/kokoro-82m
    {
        "text": {"type": "string", "x-order": 0},
        "speed": {"type": "number", "default": 1, "minimum": 0.1, "maximum": 5, "x-order": 1},
        "voice": {"allOf": [ref("voice")], "default": "af_bella", "x-order": 2},
    },
    required=["text"],
    output=FILE,
    voice=enum(
        *("af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_kore", "af_nicole"),
        *("af_nova", "af_river", "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric"),
        *("am_fenrir", "am_liam", "am_michael", "am_onyx", "am_puck", "bf_alice", "bf_emma"),
        *("bf_isabella", "bf_lily", "bm_daniel", "bm_fable", "bm_george", "bm_lewis", "ff_siwis"),
        *("hf_alpha", "hf_beta", "hm_omega", "hm_psi", "if_sara", "im_nicola", "jf_alpha"),
        *("jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo", "zf_xiaobei", "zf_xiaoni"),
        *("zf_xiaoxiao", "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang"),
        *("pf_dora", "pm_alex", "pm_santa", "ef_dora", "em_alex", "em_santa"),
    ),
)

MUSICGEN = openapi(  # meta/musicgen
    {
        "model_version": {"allOf": [ref("model_version")], "default": "stereo-melody-large"},
        "prompt": {"type": "string", "x-order": 1},
        "input_audio": {"type": "string", "format": "uri", "x-order": 2},
        "duration": {"type": "integer", "default": 8, "x-order": 3},
        "continuation": {"type": "boolean", "default": False, "x-order": 4},
        "continuation_start": {"type": "integer", "default": 0, "minimum": 0, "x-order": 5},
        "multi_band_diffusion": {"type": "boolean", "default": False, "x-order": 7},
        "normalization_strategy": {"allOf": [ref("strategy")], "default": "loudness"},
        "top_k": {"type": "integer", "default": 250, "x-order": 9},
        "output_format": {"allOf": [ref("output_format")], "default": "wav", "x-order": 13},
        "seed": {"type": "integer", "x-order": 14},
    },
    output=FILE,
    model_version=enum("stereo-melody-large", "stereo-large", "melody-large", "large"),
    strategy=enum("loudness", "clip", "peak", "rms"),
    output_format=enum("wav", "mp3"),
)

MINIMAX = openapi(  # minimax/video-01
    {
        "prompt": {"type": "string", "x-order": 0},
        "prompt_optimizer": {"type": "boolean", "default": True, "x-order": 1},
        "first_frame_image": {"type": "string", "format": "uri", "x-order": 2},
        "subject_reference": {"type": "string", "format": "uri", "x-order": 3},
    },
    required=["prompt"],
    output=FILE,
)

KLING = openapi(  # kwaivgi/kling-v2.1
    {
        "prompt": {"type": "string", "x-order": 0},
        "start_image": {"type": "string", "format": "uri", "x-order": 1},
        "mode": {**ref("mode"), "default": "standard", "x-order": 2},
        "duration": {"allOf": [ref("duration")], "default": 5, "x-order": 3},
        "negative_prompt": {"type": "string", "default": "", "x-order": 4},
    },
    required=["prompt", "start_image"],
    output=FILE,
    mode=enum("standard", "pro"),
    duration=enum(5, 10, kind="integer"),
)

WAN = openapi(  # wan-video/wan-2.2-i2v-fast
    {
        "image": {"type": "string", "format": "uri", "x-order": 0},
        "prompt": {"type": "string", "x-order": 1},
        "last_image": {**maybe(URI), "x-order": 2},
        "num_frames": {
            "type": "integer", "default": 81, "minimum": 81, "maximum": 121, "x-order": 3,
        },
        "resolution": {**ref("resolution"), "default": "480p", "x-order": 4},
        "frames_per_second": {
            "type": "integer", "default": 16, "minimum": 5, "maximum": 30, "x-order": 5,
        },
        "sample_shift": {"type": "number", "default": 12, "minimum": 1, "maximum": 20},
        "seed": {**maybe({"type": "integer"}), "x-order": 8},
    },
    required=["image", "prompt"],
    output=FILE,
    resolution=enum("480p", "720p"),
)  # fmt: skip

# -- odd ones ---------------------------------------------------------------------------------

CLOCK = openapi({}, output={"type": "string"})  # takes no input at all

PIXRAY = openapi(  # of cog before 0.1: no `x-order`, bounds that exclude as booleans, a bare list
    {
        "prompts": {"type": "string", "default": "Aliens destroying NYC"},
        "drawer": {"type": "string", "enum": ["vqgan", "pixel", "clipdraw"], "default": "vqgan"},
        "iterations": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "default": 300},
        "learning_rate": {"type": "number", "gt": 0, "lt": 1, "default": 0.2},
        "palette": {"type": "array", "items": {"type": "integer"}, "maxItems": 4},
        "settings": {"type": "object"},
    },
    output={"type": "array", "items": URI, "x-cog-array-type": "iterator"},
)
