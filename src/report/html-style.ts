/**
 * The look of the HTML report. Colours are the Okabe-Ito palette, which people with the common colour vision
 * deficiencies can tell apart, darkened or lightened to 3:1 against the background; lines also differ by their dashes.
 */
export const STYLE = `
:root { color-scheme: light dark; --page: #ffffff; --panel: #f6f8fa; --ink: #1b1f24; --muted: #57606a; --rule: #d0d7de;
  --c0: #0068a8; --c1: #c2500a; --c2: #00805e; --c3: #a94f85; --bad: #b3261e; --good: #1a7f37; --heat: 0, 104, 168; }
@media (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --panel: #161b22; --ink: #e6edf3; --muted: #9da7b1; --rule: #30363d;
    --c0: #56b4e9; --c1: #f58a4b; --c2: #2fc79a; --c3: #e6a3c8; --bad: #ff7b72; --good: #4ac26b; --heat: 86, 180, 233; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1360px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0 0 8px; }
p { margin: 4px 0; }
.muted { color: var(--muted); overflow-wrap: anywhere; }
.verdict { display: inline-block; padding: 2px 10px; border: 1px solid; border-radius: 999px; font-weight: 600; margin: 6px 8px 6px 0; }
.good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 8px; margin: 12px 0; padding: 0; list-style: none; }
.tiles li { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; padding: 8px 12px; }
.tiles b { display: block; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.grid { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; margin-bottom: 16px; }
@media (min-width: 1100px) { .grid { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
section { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; padding: 12px; min-width: 0; margin: 0 0 16px; }
.grid section { margin: 0; }
@media (min-width: 1100px) { .grid section:last-child:nth-child(odd) { grid-column: 1 / -1; } .grid section:last-child:nth-child(odd) figure { max-width: 660px; } }
figure { margin: 0; } figcaption { color: var(--muted); font-size: 0.85rem; }
svg { display: block; width: 100%; height: auto; }
svg.wide { display: none; }
@media (min-width: 620px) { svg.wide { display: block; } svg.narrow { display: none; } }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; }
svg .tick { fill: var(--muted); }
svg .axis { stroke: var(--rule); stroke-width: 1; }
svg .line { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
svg .s0 { stroke: var(--c0); } svg .s1 { stroke: var(--c1); } svg .s2 { stroke: var(--c2); } svg .s3 { stroke: var(--c3); }
svg .f0 { fill: var(--c0); } svg .f1 { fill: var(--c1); } svg .f2 { fill: var(--c2); } svg .f3 { fill: var(--c3); }
svg .dashed { stroke-dasharray: 5 3; } svg .dotted { stroke-dasharray: 1.5 2.5; }
svg .limit { stroke: var(--bad); stroke-width: 1; stroke-dasharray: 6 4; } svg .mark { fill: var(--bad); }
svg .heat { fill: rgb(var(--heat)); }
ul.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; list-style: none; margin: 0 0 4px; padding: 0; font-size: 0.85rem; }
ul.legend svg { display: inline-block; width: 24px; height: 8px; margin-right: 5px; vertical-align: middle; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.87rem; }
caption { text-align: left; color: var(--muted); padding: 2px 0; }
th, td { text-align: right; padding: 2px 8px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child { text-align: left; font-weight: 500; white-space: normal; overflow-wrap: break-word; min-width: 6em; }
td.text, th.text { text-align: left; white-space: normal; min-width: 6em; }
details { margin-top: 6px; } summary { cursor: pointer; color: var(--muted); font-size: 0.85rem; }
pre { overflow-x: auto; font-size: 0.8rem; margin: 4px 0; }
@media print { body { font-size: 11px; } section { break-inside: avoid; } .grid { display: block; } }
`;
