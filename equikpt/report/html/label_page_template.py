"""What the HTML report adds to the house style: its filter and its cards."""

from __future__ import annotations

from string import Template

STYLE = """
#filter {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem 1rem;
  align-items: center; padding: .6rem 0; background: var(--ground);
  border-bottom: 1px solid var(--line);
}
#filter label { display: inline-flex; align-items: center; gap: .35rem; min-height: 2rem; }
#filter input { width: 1.1rem; height: 1.1rem; }
#shown { color: var(--quiet); }
#faults {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr));
  gap: .8rem; margin-top: .8rem;
}
article {
  background: var(--card); border: 1px solid var(--line); border-radius: .4rem; overflow: hidden;
  font-size: .9rem;
}
article[hidden] { display: none; }
article img { display: block; width: 100%; height: auto; background: #383838; }
article div { padding: .5rem .7rem .7rem; }
.kind { font-weight: 600; }
.do { color: var(--quiet); }
"""

BODY = Template("""$head
<form id="filter">
$severities
<label>Check <select name="check"><option value="">all</option>$checks</select></label>
<output id="shown"></output>
</form>
<section id="faults">
$cards
</section>""")

SCRIPT = """const form = document.getElementById("filter");
const cards = document.querySelectorAll("#faults article");
function apply() {
  const wanted = new FormData(form);
  const severities = wanted.getAll("severity");
  const check = wanted.get("check");
  let shown = 0;
  for (const card of cards) {
    const fits = severities.includes(card.dataset.severity)
      && (check === "" || check === card.dataset.check);
    card.hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = shown + " of " + cards.length + " shown";
}
form.addEventListener("change", apply);
form.addEventListener("submit", (event) => event.preventDefault());
apply();"""
