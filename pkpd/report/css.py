"""The look of the report: one inline style sheet, no fonts or files from elsewhere."""

CSS = """
:root { --ink: #2b3540; --soft: #5b6670; --line: #e3e7ea; --good: #2f7d6d; --bad: #b3283f; --warn: #8a6414; --blue: #4477aa; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #f6f7f8; font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 0 24px 64px; background: white; }
.banner { margin: 0 -24px; padding: 20px 24px; color: white; }
.banner.good { background: var(--good); }
.banner.bad { background: var(--bad); }
.banner.warn { background: var(--warn); }
.unseen { margin: 14px 0 0; }
.banner strong { font-size: 1.35em; display: block; }
.banner ul { margin: 6px 0 0; padding-left: 20px; }
h1 { font-size: 1.7em; margin: 26px 0 2px; }
h2 { font-size: 1.25em; margin: 40px 0 10px; padding-bottom: 4px; border-bottom: 2px solid var(--line); }
h3 { font-size: 1.02em; margin: 22px 0 6px; }
p { margin: 6px 0 12px; max-width: 80ch; }
.note, figcaption, caption { color: var(--soft); font-size: 0.92em; }
.tag { display: inline-block; border: 1.5px solid #882255; color: #882255; border-radius: 5px; padding: 0 8px;
  font-weight: 600; font-size: 0.9em; }
.good-word { color: var(--good); } .bad-word { color: var(--bad); font-weight: 600; } .warn-word { color: var(--warn); font-weight: 600; }
nav { margin: 14px 0 0; font-size: 0.93em; } nav a { color: var(--blue); margin-right: 16px; text-decoration: none; white-space: nowrap; }
.scroll { overflow-x: auto; margin: 8px 0 14px; }
table { border-collapse: collapse; font-size: 0.9em; min-width: 50%; }
caption { text-align: left; caption-side: bottom; padding-top: 6px; max-width: 90ch; }
th { text-align: left; border-bottom: 2px solid var(--line); padding: 5px 16px 5px 0; white-space: nowrap; vertical-align: bottom; }
td { border-bottom: 1px solid var(--line); padding: 4px 16px 4px 0; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
tbody tr:hover { background: #f6f8fa; }
figure { margin: 18px 0 30px; } figure img, .diagram img { max-width: 100%; height: auto; }
figcaption { max-width: 95ch; margin-top: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 6px 0; font-size: 0.93em; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
dd ul { margin: 0; padding-left: 18px; }
pre { background: #f6f7f8; padding: 10px 14px; overflow-x: auto; font-size: 0.88em; }
.withheld { border-left: 4px solid var(--bad); padding: 8px 14px; background: #fbf1f2; }
@media print { body { background: white; } nav { display: none; } figure { break-inside: avoid; } }
"""
