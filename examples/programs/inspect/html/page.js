"use strict";
{
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });

  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const groups = [...document.querySelectorAll("details.layer")].map((details) => ({
    details,
    wasOpen: details.open,
    rows: [...details.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
  }));
  const filter = () => {
    const words = search.value.toLowerCase().split(" ").filter((word) => word !== "");
    let total = 0;
    for (const { details, rows, wasOpen } of groups) {
      let shown = 0;
      for (const { row, text } of rows) {
        const matches = words.every((word) => text.includes(word));
        row.hidden = !matches;
        if (matches) shown += 1;
      }
      total += shown;
      details.hidden = words.length > 0 && shown === 0;
      details.open = words.length > 0 ? shown > 0 : wasOpen;
    }
    found.textContent = words.length > 0 ? `${total} found` : "";
  };
  let waiting;
  search.hidden = false;
  // `#search=WORDS` at the end of the address searches at once.
  const wanted = new URLSearchParams(location.hash.slice(1)).get("search");
  if (wanted !== null) {
    search.value = wanted;
    filter();
  }
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
}
