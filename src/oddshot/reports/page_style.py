"""How a page looks, and the little it does: style sheet and script, both inside the page."""

from base64 import b64encode
from hashlib import sha256

STYLE = """
:root { --page: #fff; --card: #f6f7f9; --ink: #1b222c; --soft: #55606f; --line: #d6dbe2;
  --odd: #b3430a; --odd-soft: #fbe9df; --usual: #6b7f99; --known: #14607a; color-scheme: light; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1b212a;
  --ink: #e7ebf0; --soft: #a5b0be; --line: #343d4a; --odd: #ff9d62; --odd-soft: #3a2417;
  --usual: #7f93ad; --known: #6cc7e6; color-scheme: dark; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; margin: 0 auto;
  max-width: 72rem; padding: 1.5rem 1.25rem 4rem; color: var(--ink); background: var(--page); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 .6rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-top: .9rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 0 0 .5rem; }
p, li { max-width: 46rem; } p { margin: .5rem 0; } ul { padding-left: 1.2rem; }
.source, .soft, figcaption { color: var(--soft); }
.source { margin: 0; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.2rem 0; padding: 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .55rem 1rem; min-width: 8.5rem; display: flex; flex-direction: column-reverse; }
.tiles dt { color: var(--soft); font-size: .88rem; } .tiles dd { margin: 0; font-size: 1.55rem;
  font-weight: 650; line-height: 1.25; } .tiles .main dd { color: var(--odd); }
.wide { position: relative; overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem; }
.hint { color: var(--known); font-size: .88rem; text-align: right; max-width: none; }
.whole { white-space: nowrap; } code { background: var(--card); padding: .1em .3em;
  border-radius: .25rem; font-size: .92em; overflow-wrap: anywhere; }
.wide:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid var(--known);
  outline-offset: 1px; }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
.wide table { min-width: 100%; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: .38rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: middle; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { background: var(--card); font-weight: 600; }
thead th.n { text-align: right; }
.plain td { white-space: normal; }
.n { text-align: right; } .gap { color: var(--soft); font-style: italic; }
th button { all: unset; cursor: pointer; } th button::after { content: " \\2195"; opacity: .45; }
[aria-sort=ascending] button::after { content: " \\2191"; opacity: 1; }
[aria-sort=descending] button::after { content: " \\2193"; opacity: 1; }
.wide tr > :first-child { border-left: 4px solid transparent; }
.wide tr.flagged > :first-child { border-left-color: var(--odd); }
.why { white-space: normal; min-width: 13rem; }
.cards { display: grid; gap: .9rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(27rem, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .9rem 1rem; overflow-wrap: break-word; overflow-x: auto; break-inside: avoid; }
.card table { width: 100%; font-size: .86rem; margin-bottom: .4rem; }
.card th, .card td { padding: .25rem .4rem .25rem 0; white-space: normal; background: none; }
.card thead th { color: var(--soft); font-weight: 400; }
.card td:last-child { white-space: nowrap; }
.card p { font-size: .9rem; }
.card svg { width: 4.5rem; height: .7rem; margin-right: .4rem; }
.mark { display: inline-block; padding: 0 .5rem; border-radius: 1rem; font-size: .82rem;
  border: 1px solid currentColor; color: var(--soft); }
.mark.clear, .mark.likely, .mark.known { color: var(--odd); background: var(--odd-soft); }
figure { margin: .8rem 0; } figure svg { width: 100%; max-width: 52rem; height: auto;
  display: block; } svg text { font-size: 13px; fill: var(--soft); }
.odd { fill: var(--odd); } .usual { fill: var(--usual); } .axis { stroke: var(--line); }
.limit { stroke: var(--ink); stroke-dasharray: 5 4; } svg text.strong { fill: var(--ink); }
.cloud { stroke: var(--usual); stroke-width: 5; stroke-linecap: round; opacity: .65; fill: none; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0;
  margin: .5rem 0; font-size: .88rem; color: var(--soft); }
.legend svg { display: inline-block; width: 20px; vertical-align: -5px; margin-right: .35rem; }
.point { fill: var(--odd); stroke: var(--page); } .told { fill: none; stroke: var(--known);
  stroke-width: 2; }
img { display: block; height: 3.5rem; image-rendering: pixelated; border-radius: .2rem; }
.strip { display: flex; flex-wrap: wrap; gap: .6rem; margin: .6rem 0; padding: 0;
  list-style: none; }
.strip li { width: 5rem; font-size: .76rem; color: var(--soft); overflow-wrap: anywhere; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
@media (max-width: 40rem) { body { padding: 1rem .75rem 3rem; } .why { min-width: 8.5rem; }
  .wide th, .wide td { padding: .3rem .25rem; } .wide table { font-size: .78rem; }
  .sortable th:not([aria-sort=ascending], [aria-sort=descending]) button::after { content: none; }
  .cards { gap: .6rem; } .card { padding: .7rem .75rem; }
  .card svg { width: 1.6rem; }
  .card table, .card thead, .card tbody { display: block; }
  .card tr { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) 6rem; }
  .card tr > :first-child { grid-column: 1 / -1; border-bottom: 0; padding-bottom: 0; } }
@media print { @page { margin: 14mm 12mm; }
  body { font-size: 9.5pt; line-height: 1.4; max-width: none; padding: 0; }
  h1 { font-size: 18pt; } h2 { font-size: 13pt; margin-top: 1.4rem; break-after: avoid; }
  p, li { max-width: none; } .hint { display: none; } .tiles div { min-width: 0; }
  .wide { overflow: visible; border: 0; } .wide table { font-size: 8pt; }
  th, td, .card th, .card td { white-space: normal; padding: .15rem .3rem; }
  .wide tr > :nth-child(n+10) { display: none; } .why { min-width: 0; }
  .mark { white-space: nowrap; font-size: inherit; }
  th button { display: contents; } thead th[aria-sort] button::after { content: none; }
  .cards { display: block; columns: 2; column-gap: .7rem; }
  .card { overflow: visible; margin-bottom: .7rem; padding: .5rem .6rem; }
  .card p, .card table { font-size: 8pt; } .card p { margin: .25rem 0; }
  .card h3 { font-size: 9.5pt; margin: 0 0 .2rem; }
  .card svg { width: 1.8rem; margin-right: .2rem; }
  figure svg { max-width: 34rem; } tr, figure { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

SCRIPT = """
const hint = () => {
  for (const wide of document.querySelectorAll(".hint + .wide"))
    wide.previousElementSibling.hidden = wide.scrollWidth <= wide.clientWidth;
};
hint();
addEventListener("resize", hint);
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, at) => head.querySelector("button")?.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) if (other.hasAttribute("aria-sort"))
      other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => {
      const cell = row.cells[at];
      return "k" in cell.dataset ? cell.dataset.k : cell.textContent.trim();
    };
    const compare = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      const [x, y] = [Number(a), Number(b)];
      const order = isNaN(x) || isNaN(y) ? a.localeCompare(b) : x < y ? -1 : x > y ? 1 : 0;
      return up ? order : -order;
    };
    body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
  }));
}
"""


def policy() -> str:
    """Say what a browser may do with the page: its own style, its own script, no network."""
    digest = b64encode(sha256(SCRIPT.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
