/** The look of the page: quiet surfaces, one colour for each family of ops, in light and in dark. */

const light = `
  --page: #f6f7f9; --surface: #ffffff; --raised: #fbfbfc; --line: #dfe2e8; --strong: #b9bfca;
  --ink: #1b2130; --soft: #596273; --accent: #0b5fd0; --accent-soft: #dbe8fb; --mark: #b3261e;
  --contraction: #2f66c9; --reduction: #b5611a; --elementwise: #2a8058; --indexing: #a8377d;
  --movement: #717988; --call: #147e88; --other: #7a55c0;
  --code-name: #7a3e00; --code-type: #0b6b61; --code-word: #6b2fb3; --code-number: #0b5fd0; --code-text: #6a7383;`;

const dark = `
  --page: #12151b; --surface: #191d25; --raised: #1f242e; --line: #303744; --strong: #4d5768;
  --ink: #e6e9ef; --soft: #9aa4b5; --accent: #7db2ff; --accent-soft: #22344f; --mark: #ff8a80;
  --contraction: #6fa3ff; --reduction: #f0a35e; --elementwise: #5ec28f; --indexing: #ea83c1;
  --movement: #98a1b1; --call: #4fc6d0; --other: #b497f2;
  --code-name: #e8b47a; --code-type: #6fd0c4; --code-word: #c9a2f7; --code-number: #8fbcff; --code-text: #8891a1;`;

const familyNames = ['contraction', 'reduction', 'elementwise', 'indexing', 'movement', 'call', 'other'];

export const theme = `
:root { color-scheme: light dark; ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
:root[data-theme="light"] { color-scheme: light; ${light} }
:root[data-theme="dark"] { color-scheme: dark; ${dark} }
${familyNames.map((name) => `.${name} { --family: var(--${name}); }`).join('\n')}

* { box-sizing: border-box; }
html { font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
body { margin: 0; background: var(--page); color: var(--ink); }
code, pre, svg text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: 12px; }
.number, .value, td, th { font-variant-numeric: tabular-nums; }
h1 { font-size: 17px; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
h1 code { font-size: 16px; }
h4 { margin: 12px 0 4px; font-size: 12px; color: var(--soft); font-weight: 600; }
a, .link { color: var(--accent); }
button, select, input { font: inherit; font-size: 13px; color: inherit; background: var(--surface);
  border: 1px solid var(--line); border-radius: 6px; padding: 4px 9px; }
button { cursor: pointer; }
button:hover { border-color: var(--strong); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

header { padding: 14px 20px 12px; display: grid; gap: 12px; background: var(--surface); border-bottom: 1px solid var(--line); }
.head { display: flex; gap: 12px; align-items: baseline; flex-wrap: wrap; }
.head p { margin: 0; color: var(--soft); flex: 1; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(172px, 1fr)); gap: 10px; margin: 0; }
.tile { border-left: 2px solid var(--line); padding-left: 10px; min-width: 0; }
.tile dt { color: var(--soft); font-size: 12px; }
.tile dd { margin: 0; }
.tile .value { font-size: 15.5px; font-weight: 600; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.tile .note { color: var(--soft); font-size: 11.5px; }

.strip { position: sticky; top: 0; z-index: 3; display: flex; gap: 8px 14px; align-items: center; flex-wrap: wrap;
  padding: 8px 20px; background: var(--surface); border-bottom: 1px solid var(--line); }
[role="tablist"] { display: flex; gap: 2px; flex-wrap: wrap; }
[role="tab"] { border-color: transparent; background: none; }
[role="tab"][aria-selected="true"] { background: var(--accent-soft); color: var(--ink); font-weight: 600; }
[role="tab"] .number { color: var(--soft); font-weight: 400; margin-left: 5px; }
.find { margin-left: auto; display: flex; gap: 8px; align-items: center; min-width: 0; }
.find input { width: 220px; min-width: 0; }
#hits { color: var(--soft); font-size: 12px; white-space: nowrap; }

main { padding: 14px 20px 28px; }
section > h2 { font-size: 15px; margin: 18px 0 8px; }
.js section > h2 { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.tools { display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; margin-bottom: 8px; }
.tools select { max-width: min(100%, 420px); }
.tools .spacer { flex: 1; }
aside .legend { margin-top: 14px; color: var(--soft); font-size: 12px; }
.swatch { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 6px; background: var(--family, var(--movement)); }
.note-line { color: var(--soft); font-size: 12px; margin: 6px 0; }

.workspace { display: grid; grid-template-columns: minmax(0, 1fr) 300px; gap: 12px; align-items: stretch; }
figure { margin: 0; position: relative; min-width: 0; }
.pane { overflow: auto; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; max-height: 80vh; }
.js .pane { height: var(--pane, 70vh); min-height: 380px; max-height: none; cursor: grab; }
.js .pane.dragging { cursor: grabbing; user-select: none; }
.pane svg.graph { display: block; margin: 0 auto; }
svg.map { display: none; }
.js svg.map { display: block; position: absolute; right: 16px; top: 10px; width: 96px; height: auto; max-height: 46%;
  background: color-mix(in srgb, var(--surface) 82%, transparent); border: 1px solid var(--line); border-radius: 6px; cursor: pointer; touch-action: none; }
svg.map rect { fill: var(--family); opacity: .55; }
svg.map .window { fill: var(--accent); fill-opacity: .14; stroke: var(--accent); vector-effect: non-scaling-stroke; opacity: 1; }
aside { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 12px; overflow: auto; min-width: 0; }
.js aside { height: var(--pane, 70vh); min-height: 380px; }
aside h3 { font-size: 13px; margin: 0 0 8px; overflow-wrap: anywhere; }
aside p { margin: 6px 0; overflow-wrap: anywhere; }
aside pre { margin: 6px 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 11.5px; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 7px 8px; }
aside ul { list-style: none; padding: 0; margin: 6px 0; }
aside li button { width: 100%; text-align: left; border: 0; background: none; padding: 2px 4px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
aside li button:hover { background: var(--raised); }
aside .at { color: var(--soft); font-size: 12px; }
aside .actions { display: flex; flex-wrap: wrap; gap: 6px; margin: 8px 0; }
aside .actions button { max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }

svg text { fill: var(--ink); }
.graph .box > rect { fill: color-mix(in srgb, var(--family) 5%, var(--raised)); stroke: color-mix(in srgb, var(--family) 45%, var(--line)); }
.graph .title { font-size: 12px; font-weight: 600; }
.graph .note, .graph .copies { font-size: 10px; fill: var(--soft); }
.graph .source { font-size: 10px; fill: var(--code-name); }
.graph .op { cursor: pointer; }
.graph .op > rect { fill: color-mix(in srgb, var(--family) 14%, var(--surface)); stroke: color-mix(in srgb, var(--family) 70%, var(--surface)); }
.graph .op.stored > rect { stroke-width: 2; stroke: var(--family); }
.graph .op .label { font-size: 11px; }
.graph .type { font-size: 10px; fill: var(--soft); }
.graph :is(.read, .shared, .result) > rect { fill: var(--surface); stroke: var(--strong); }
.graph .read > rect { stroke-dasharray: 3 2; }
.graph .result > rect { stroke-width: 1.5; }
.graph :is(.read, .shared, .result) .label { font-size: 10px; fill: var(--soft); }
.graph [data-source] { cursor: pointer; }
.graph .edge path, .graph .link path { fill: none; stroke: var(--strong); }
.graph .link path { stroke-width: 1.4; vector-effect: non-scaling-stroke; }
.graph .reach { stroke: transparent !important; stroke-width: 9 !important; pointer-events: stroke; }
.graph.tiny path { marker-end: none; }
.graph .far { display: none; }
.graph.all-links .far { display: inline; }
.graph .far path { stroke-dasharray: 5 4; }
.graph g:hover > path:not(.reach) { stroke: var(--accent); stroke-width: 2; }
.graph .lit, .graph.all-links .lit { display: inline; }
.graph .lit path { stroke: var(--accent); stroke-width: 2; }
.graph .selected > rect { stroke: var(--accent) !important; stroke-width: 3 !important; }
.graph .same-line > rect { stroke: var(--reduction); stroke-width: 2.5; }
.graph .hit > rect { stroke: var(--mark); stroke-width: 2.5; }
.searching .graph .op:not(.hit) { opacity: .35; }
#arrow path { fill: var(--strong); }

.kernel { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; margin-bottom: 6px; }
.kernel > summary { display: grid; grid-template-columns: minmax(0, 3fr) minmax(90px, 1fr) minmax(190px, 1.5fr) 84px minmax(0, 130px);
  gap: 12px; align-items: center; padding: 7px 12px; cursor: pointer; list-style-position: inside; }
.kernel > summary::-webkit-details-marker { display: none; }
.kernel > summary::marker { content: ''; }
.kernel-name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.kernel-name::before { content: '▸ '; color: var(--soft); }
.kernel[open] .kernel-name::before { content: '▾ '; }
.kernel .launches, .kernel .number { color: var(--soft); font-size: 12px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.kernel summary > .number { text-align: right; }
.bytes, .time { display: grid; grid-template-columns: 70px minmax(0, 1fr); gap: 8px; align-items: center; min-width: 0; }
.bytes svg, .time svg { width: 70px; height: 12px; }
.before { fill: var(--strong); } .after { fill: var(--accent); } .spent { fill: var(--reduction); }
.kernel-body { padding: 0 12px 12px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 12px; }
th, td { padding: 3px 10px 3px 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
td.source { max-width: 420px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
td.type, td.name { white-space: nowrap; max-width: 260px; overflow: hidden; text-overflow: ellipsis; }
td.detail { color: var(--soft); min-width: 180px; }
.at { color: var(--soft); font-size: 12px; }
.op-name { border: 0; background: none; padding: 1px 3px; white-space: nowrap; }
button.op-name:hover code { text-decoration: underline; }
tr.selected td, .op-name.selected { background: var(--accent-soft); }
tr.hit td { box-shadow: inset 0 -2px 0 var(--mark); }
.code { margin-top: 8px; border: 1px solid var(--line); border-radius: 6px; }
.code > summary { cursor: pointer; padding: 4px 10px; }
.code > summary .number { margin-left: 8px; }
.code pre { margin: 0; padding: 8px 10px; overflow: auto; max-height: 460px; background: var(--raised); border-radius: 0 0 6px 6px; font-size: 12px; line-height: 1.4; }
.code .n { color: var(--code-name); } .code .t { color: var(--code-type); } .code .w { color: var(--code-word); }
.code .d { color: var(--code-number); } .code .c { color: var(--code-text); }
.rules { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 6px 18px; margin: 8px 0 14px; }
.rules dd { margin: 0; color: var(--soft); font-size: 12.5px; }
.rules .number { color: var(--soft); }
[hidden] { display: none !important; }

.chart { overflow-x: auto; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 12px; }
svg.memory { display: block; }
.memory text { font-size: 10px; }
.memory .row-title { font-size: 11px; font-family: inherit; fill: var(--ink); }
.memory .row-note { fill: var(--soft); }
.memory .tick { fill: var(--soft); text-anchor: end; }
.memory .grid { stroke: var(--line); fill: none; }
.memory .alive { fill: var(--accent); fill-opacity: .22; stroke: var(--accent); }
.memory .peak { stroke: var(--mark); stroke-dasharray: 4 3; fill: none; }
.memory .peak-label { fill: var(--mark); font-size: 11px; }
.memory .to-left { text-anchor: end; }
.memory .block > rect { fill: color-mix(in srgb, var(--family) 32%, var(--surface)); stroke: var(--family); stroke-width: .8; }
.memory .block { cursor: pointer; }
.memory .block.selected > rect { stroke: var(--accent); stroke-width: 2.5; }
.memory .block.hit > rect { stroke: var(--mark); stroke-width: 2.5; }
.searching .memory .block:not(.hit) { opacity: .35; }
.memory .launch rect { fill: transparent; stroke: var(--line); }
.memory .launch text { text-anchor: middle; fill: var(--soft); }
.memory .launch { cursor: pointer; }
.memory .launch:hover rect { fill: var(--accent-soft); }
.memory .bar .held { fill: var(--line); opacity: .55; }
.memory .bar .used { fill: var(--contraction); opacity: .6; } .memory .used.outputs { fill: var(--elementwise); } .memory .used.constants, .memory .used.prepared { fill: var(--other); }
.memory .bar text { fill: var(--soft); }
.empty { color: var(--soft); }

@media (max-width: 860px) {
  header, main, .strip { padding-left: 12px; padding-right: 12px; }
  .workspace { grid-template-columns: minmax(0, 1fr); }
  .js aside { min-height: 0; height: auto; max-height: 50vh; }
  .js .pane { height: 60vh; }
  .kernel > summary { grid-template-columns: minmax(0, 1fr) auto; }
  .time { grid-column: 1 / -1; }
  .js svg.map { display: none; }
  .find { margin-left: 0; width: 100%; }
  .find input { flex: 1; width: auto; }
  .strip { position: static; }
}
@media print { .strip, .tools, aside, svg.map { display: none !important; } .pane { height: auto !important; overflow: visible; } }
`;
