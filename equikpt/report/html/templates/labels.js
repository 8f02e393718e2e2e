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
