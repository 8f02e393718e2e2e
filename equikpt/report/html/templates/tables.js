function sortRows(table) {
  const head = table.querySelector("th[aria-sort]:not([aria-sort=none])");
  if (!head) return;
  const column = head.cellIndex;
  const sign = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
  const body = table.querySelector("tbody.rows");
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const numbers = [Number(x), Number(y)];
    const order = numbers.some(Number.isNaN) ? x.localeCompare(y) : numbers[0] - numbers[1];
    return sign * order;
  };
  body.append(...[...body.rows].sort(compare));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells].filter((head) => head.querySelector("button"));
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", rising ? "descending" : "ascending");
      sortRows(table);
    });
  }
}

addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
