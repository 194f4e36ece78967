"""The look of the page: the colours of the figures, type that carries to the back of a room, and nothing from elsewhere."""

from pkpd.plots import style

CSS = f"""
:root {{ --ink: {style.INK}; --soft: #5b6670; --line: {style.FAINT}; --a: {style.BLUE}; --b: {style.ROSE};
  --good: #2f7d6d; --bad: #b3283f; --warn: #8a6414; }}
html, body {{ height: 100%; }}
body {{ margin: 0; padding: 0; color: var(--ink); background: #f6f7f8; font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }}
body > .container-fluid {{ padding: 0; }}
.banner {{ color: white; padding: 9px 24px; display: flex; gap: 6px 18px; align-items: baseline; flex-wrap: wrap; }}
.banner.good {{ background: var(--good); }} .banner.warn {{ background: var(--warn); }} .banner.bad {{ background: var(--bad); }}
.banner strong {{ font-size: 1.08em; font-weight: 600; }} .banner.bad strong {{ font-size: 1.35em; }}
.banner details {{ flex-basis: 100%; font-size: .92em; }} .banner ul {{ margin: 2px 0 0; padding-left: 20px; }}
.top {{ padding: 12px 24px 0; display: flex; gap: 4px 16px; align-items: baseline; flex-wrap: wrap; }}
.top h1 {{ font-size: 1.3em; font-weight: 600; margin: 0; }}
.tag {{ border: 1.5px solid #882255; color: #882255; border-radius: 5px; padding: 0 8px; font-weight: 600; font-size: .85em; white-space: nowrap; }}
.whole {{ display: grid; grid-template-columns: 330px minmax(0, 1fr); gap: 16px; padding: 12px 24px 28px; align-items: start; }}
.panel {{ background: white; border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; margin-bottom: 14px; }}
.panel h2 {{ font-size: .82em; letter-spacing: .05em; text-transform: uppercase; color: var(--soft); font-weight: 600; margin: 0 0 8px; }}
.arms {{ display: grid; grid-template-columns: auto 1fr 1fr; gap: 7px 10px; align-items: center; }}
.arms > .name {{ font-weight: 700; font-size: 1.05em; padding-bottom: 1px; border-bottom: 3px solid var(--a); }}
.arms > .name.b {{ border-color: var(--b); }}
.arms label.row-name, .field label {{ color: var(--soft); font-size: .9em; line-height: 1.2; margin: 0; }}
.row-name small, .field small {{ display: block; font-size: .86em; opacity: .9; }}
.shiny-input-container {{ width: 100% !important; margin: 0 !important; }}
.form-control, .form-select {{ padding: 4px 8px; border: 1px solid #cfd5da; border-radius: 6px; font-size: 1em; color: var(--ink); width: 100%;
  font-variant-numeric: tabular-nums; min-height: 34px; }}
.form-control:focus, .form-select:focus {{ border-color: var(--a); box-shadow: 0 0 0 3px #4477aa2e; }}
input[type=range] {{ width: 100%; margin: 0; display: block; height: 14px; accent-color: var(--a); }} input[type=range].b {{ accent-color: var(--b); }}
.field {{ display: grid; grid-template-columns: 1fr 46%; gap: 6px 10px; align-items: center; margin-bottom: 7px; }}
.flag {{ grid-column: 1 / -1; color: #882255; font-size: .88em; font-weight: 600; }}
.trouble {{ border-left: 4px solid var(--bad); background: #fbf1f2; padding: 9px 14px; border-radius: 0 8px 8px 0; margin-bottom: 12px;
  white-space: pre-line; }}
.trouble small {{ display: block; color: var(--soft); }}
.picture img {{ width: 100%; height: auto; display: block; }}
.lower {{ display: grid; grid-template-columns: minmax(0, 1fr) 250px; gap: 14px; align-items: start; }}
table {{ border-collapse: collapse; width: 100%; }}
th {{ text-align: right; font-weight: 600; border-bottom: 2px solid var(--line); padding: 3px 0 4px 14px; vertical-align: bottom; }}
th:first-child, td:first-child {{ text-align: left; padding-left: 0; }}
th.a {{ border-bottom-color: var(--a); }} th.b {{ border-bottom-color: var(--b); }}
td {{ text-align: right; border-bottom: 1px solid var(--line); padding: 4px 0 4px 14px; font-variant-numeric: tabular-nums; }}
.together {{ white-space: nowrap; }} .lower > div {{ min-width: 0; overflow-x: auto; }}
td small {{ color: var(--soft); font-size: .86em; display: block; }} tbody tr:last-child td {{ border-bottom: 0; }}
.chance {{ margin: 0 0 12px; }} .chance .big {{ font-size: 1.75em; font-weight: 650; line-height: 1.1; font-variant-numeric: tabular-nums; }}
.chance.a .big {{ color: var(--a); }} .chance.b .big {{ color: var(--b); }}
.chance .rail {{ height: 7px; background: var(--line); border-radius: 4px; position: relative; margin: 5px 0 2px; }}
.chance .rail i {{ position: absolute; top: 0; bottom: 0; border-radius: 4px; opacity: .45; }}
.chance .rail b {{ position: absolute; top: -3px; width: 3px; height: 13px; }}
.chance.a i, .chance.a b {{ background: var(--a); }} .chance.b i, .chance.b b {{ background: var(--b); }}
.note {{ color: var(--soft); font-size: .88em; margin: 6px 0 0; }}
.panel ul {{ margin: 4px 0 0; padding-left: 18px; }} .extrapolation li {{ color: #882255; }}
.files {{ display: flex; gap: 8px; flex-wrap: wrap; }}
.files a.btn {{ padding: 4px 11px; font-size: .92em; border: 1px solid #cfd5da; border-radius: 6px; background: white;
  color: var(--ink); text-decoration: none; }}
.files a.btn:hover {{ border-color: var(--a); color: var(--a); }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 4px 0 0; font-size: .92em; }}
dt {{ color: var(--soft); font-weight: 400; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
@media (max-width: 1000px) {{
  .whole {{ grid-template-columns: minmax(0, 1fr); padding: 10px 16px 24px; gap: 0; }} .banner, .top {{ padding-left: 16px; padding-right: 16px; }}
  .controls {{ display: grid; grid-template-columns: 1fr 1fr; gap: 0 12px; align-items: start; }} .lower {{ grid-template-columns: minmax(0, 1fr); gap: 0; }}
  .chances {{ display: grid; grid-template-columns: 1fr 1fr; gap: 0 28px; }} .lower > :last-child {{ order: -1; }}
}}
@media (max-width: 640px) {{ .controls {{ grid-template-columns: minmax(0, 1fr); }} }}
"""

SLIDERS = """
document.addEventListener('input', e => { const s = e.target; if (s.type !== 'range' || !s.dataset.moves) return;
  const field = document.getElementById(s.dataset.moves), had = field.value.split(',').map(Number), k = Number(s.value) / had[0];
  field.value = had.length > 1 && k > 0 && isFinite(k) ? had.map(x => Number((x * k).toPrecision(4))).join(', ') : s.value; });
document.addEventListener('change', e => { const s = e.target;
  if (s.type === 'range' && s.dataset.moves) $(document.getElementById(s.dataset.moves)).trigger('change');
  const slider = document.querySelector('input[type=range][data-moves="' + s.id + '"]');
  if (slider && s.type !== 'range') slider.value = s.value.split(',')[0]; });
"""
"""A range beside a field moves it: a list of amounts keeps its proportions; what is typed moves the range."""
