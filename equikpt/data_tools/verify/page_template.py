"""The frame of the HTML report: style and script, without a library and without a server."""

from __future__ import annotations

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
:root {
  --ground: #f6f6f4; --card: #ffffff; --text: #1c1c1a; --quiet: #5f5f5a; --line: #d9d9d4;
  --error: #b3261e; --warning: #8a5a00; --info: #1f5f99;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #161614; --card: #222220; --text: #ecece8; --quiet: #a3a39c; --line: #3a3a36;
    --error: #ff8a80; --warning: #ffc04d; --info: #8cc4ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 0 1rem 3rem; background: var(--ground); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif;
}
main { max-width: 80rem; margin: 0 auto; }
h1 { font-size: 1.4rem; margin: 1.2rem 0 .3rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
details { margin: .6rem 0; }
summary { cursor: pointer; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
#filter {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem 1rem;
  align-items: center; padding: .6rem 0; background: var(--ground);
  border-bottom: 1px solid var(--line);
}
#filter label { display: inline-flex; align-items: center; gap: .35rem; min-height: 2rem; }
#filter input { width: 1.1rem; height: 1.1rem; }
#filter select {
  max-width: 100%; min-height: 2rem; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--line); border-radius: .3rem;
}
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
.error { color: var(--error); } .warning { color: var(--warning); } .info { color: var(--info); }
.where, .do { color: var(--quiet); }
</style>
</head>
<body>
<main>
<h1>$title</h1>
$head
<form id="filter">
$severities
<label>Check <select name="check"><option value="">all</option>$checks</select></label>
<output id="shown"></output>
</form>
<section id="faults">
$cards
</section>
</main>
<script>
"use strict";
const form = document.getElementById("filter");
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
apply();
</script>
</body>
</html>
""")
