"""How every view looks: one card, in the colours of the page that it is shown on."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT = {
    "card": "#fff",
    "ink": "#1c2024",
    "quiet": "#5b636b",
    "line": "#dcdedb",
    "track": "#e9ebe8",
    "fill": "#a9b1b7",
    "accent": "#0f766e",
    "wash": "#e3f1ef",
    "warn": "#8a5a00",
    "warned": "#fdf3dc",
}
DARK = {
    "card": "#1c2024",
    "ink": "#e8eaea",
    "quiet": "#a3abb2",
    "line": "#3a4148",
    "track": "#2f363c",
    "fill": "#77818b",
    "accent": "#5cc8bb",
    "wash": "#1a3330",
    "warn": "#f0c674",
    "warned": "#3a2f17",
}
"""Text is at least 4.5 times as bright as what lies behind it, or the other way round (WCAG 2.2, level AA)."""

ON_LIGHT = ('[data-jp-theme-light="true"]', ".vscode-light", '[data-md-color-scheme="default"]')
ON_DARK = (
    '[data-jp-theme-light="false"]',
    ".vscode-dark",
    ".vscode-high-contrast:not(.vscode-high-contrast-light)",
    '[theme="dark"]',
    '[data-md-color-scheme="slate"]',
)
"""What JupyterLab, VS Code, Colab and the documentation say of their page; it outweighs the system's preference."""

# The class is named twice in the rules that must win against JupyterLab's own.
RULES = """
.synaptoroute.synaptoroute{box-sizing:border-box;max-width:58rem;margin:.25rem 0;padding:.8rem 1rem;
border:1px solid var(--sr-line);border-radius:8px;background:var(--jp-layout-color0,var(--sr-card));
color:var(--jp-content-font-color1,var(--sr-ink));font:var(--jp-ui-font-size1,13px)/1.5 var(--jp-ui-font-family,
system-ui,-apple-system,"Segoe UI",sans-serif);text-align:start;overflow-x:auto;overflow-wrap:anywhere}
.synaptoroute :is(p,ul,table,h3,details,pre){margin:.5rem 0 0;padding:0}
.synaptoroute.synaptoroute ul{margin:.5rem 0 0;padding:0;list-style:none}
.synaptoroute.synaptoroute td>:is(ul,table){margin:0}
.synaptoroute li{margin:0;padding:.1rem 0}
.synaptoroute .sr-kind{color:var(--sr-quiet);font-size:.85em}
.synaptoroute .sr-head{margin:0;font-size:1.25em;line-height:1.35}
.synaptoroute .sr-head strong{font-weight:650}
.synaptoroute .sr-chosen{color:var(--sr-accent)}
.synaptoroute .sr-quiet{color:var(--sr-quiet)}
.synaptoroute .sr-facts{margin-top:.15rem;color:var(--sr-quiet)}
.synaptoroute .sr-facts b{color:var(--jp-content-font-color1,var(--sr-ink));font-weight:600;
font-variant-numeric:tabular-nums}
.synaptoroute .sr-mark{padding:.1em .5em;border-radius:99px;background:var(--sr-warned);color:var(--sr-warn);
font-size:.85em;white-space:nowrap}
.synaptoroute .sr-advice{padding:.4rem .7rem;border-radius:6px;background:var(--sr-wash);color:var(--sr-ink)}
.synaptoroute h3{margin-top:1rem;font-size:1em;font-weight:650;line-height:1.4}
.synaptoroute.synaptoroute table{width:100%;border:0;border-collapse:collapse;table-layout:auto;font-size:1em;
color:inherit}
.synaptoroute.synaptoroute tbody tr:nth-child(n){background:none}
.synaptoroute.synaptoroute :is(th,td){max-width:none;padding:.3rem .8rem .3rem 0;border:0;
border-bottom:1px solid var(--sr-line);color:inherit;font-weight:400;line-height:1.4;text-align:start;
vertical-align:top;white-space:normal}
.synaptoroute.synaptoroute tr:last-child>:is(th,td){border-bottom:0}
.synaptoroute.synaptoroute tr>:last-child{padding-right:0}
.synaptoroute.synaptoroute thead th{border-bottom:1px solid var(--sr-line);color:var(--sr-quiet);font-size:.9em;
overflow-wrap:normal}
.synaptoroute.synaptoroute tbody th{font-weight:550}
.synaptoroute.synaptoroute .sr-number,.synaptoroute.synaptoroute [style*="right"]{text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}
.synaptoroute.synaptoroute .sr-fields>tbody>tr>th{width:1%;color:var(--sr-quiet);font-weight:400;white-space:nowrap}
.synaptoroute.synaptoroute .sr-fixed{table-layout:fixed}
.synaptoroute.synaptoroute :is(.sr-fields,.sr-report table){width:auto}
.synaptoroute .sr-report :is(th,td){overflow-wrap:break-word}
.synaptoroute .sr-bar{display:block;position:relative;min-width:5rem;height:.5em;margin:.45em 0;border-radius:99px;
background:var(--sr-track);direction:ltr;forced-color-adjust:none;print-color-adjust:exact}
.synaptoroute .sr-bar>*{position:absolute;top:0;bottom:0}
.synaptoroute .sr-fill{border-radius:99px;background:var(--sr-fill)}
.synaptoroute .sr-strong{background:var(--sr-accent)}
.synaptoroute .sr-zero{width:1px;background:var(--sr-quiet)}
.synaptoroute .sr-tick{top:-.25em!important;bottom:-.25em!important;width:2px;margin-left:-1px;border-radius:1px;
background:var(--jp-content-font-color1,var(--sr-ink))}
.synaptoroute summary{color:var(--sr-quiet);cursor:pointer}
.synaptoroute.synaptoroute :is(code,pre){border:0;background:none;color:inherit;
font:.92em/1.5 var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace);white-space:pre-wrap}
"""


def _colours(selectors: str, colours: Mapping[str, str]) -> str:
    return f"{selectors}{{{';'.join(f'--sr-{name}:{colour}' for name, colour in colours.items())}}}"


def _under(contexts: tuple[str, ...]) -> str:
    return ",".join(f"{context} .synaptoroute" for context in contexts)


STYLE = (
    "<style>"
    + _colours(".synaptoroute", LIGHT)
    + f"@media(prefers-color-scheme:dark){{{_colours('.synaptoroute', DARK)}}}"
    + _colours(_under(ON_LIGHT), LIGHT)
    + _colours(_under(ON_DARK), DARK)
    + "".join(line.rstrip() for line in RULES.splitlines())
    + "</style>"
)


def card(kind: str, *parts: str) -> str:
    """A view: its style, what kind of value it shows, and the parts of its content.

    Args:
        kind: The name of the value's class.
        *parts: HTML.
    """
    return (
        f'<div class="synaptoroute" role="group" aria-label="{kind}">{STYLE}'
        f'<div class="sr-kind">{kind}</div>{"".join(parts)}</div>'
    )
