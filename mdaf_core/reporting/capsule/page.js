"use strict";
// Tabs, sorting, and drawing of specifications: nothing is computed here.
(() => {
  const all = (what, from = document) => [...from.querySelectorAll(what)];
  const panels = all("main>section"), tabs = all("nav button");
  document.documentElement.classList.add("js");

  function show(index, focus) {
    panels.forEach((panel, i) => { panel.hidden = i !== index; });
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", i === index);
      tab.tabIndex = i === index ? 0 : -1;
    });
    if (focus) tabs[index].focus();
    draw(panels[index]);
  }
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => {
      history.replaceState(null, "", "#" + panels[i].id);
      show(i);
    });
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show((to + tabs.length) % tabs.length, true);
    });
  });

  const numeric = (text) => parseFloat(text.replace(/[\u2212]/g, "-").replace(/[,+<\s]/g, ""));
  all("th button").forEach((button) => button.addEventListener("click", () => {
    const head = button.parentElement, row = head.parentElement, column = [...row.children].indexOf(head);
    const body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    all("th", row).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (line) => {
      const cell = line.children[column], value = numeric(cell.title || cell.textContent);
      return cell.textContent === "\u2013" ? null : Number.isNaN(value) ? cell.textContent.toLowerCase() : value;
    };
    [...body.rows].map((line) => [key(line), line]).sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return down ? -order : order;
    }).forEach(([, line]) => body.append(line));
  }));

  const inks = JSON.parse(document.getElementById("inks").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const width = () => Math.min(860, document.querySelector("main").clientWidth - 40);
  let paper = false;
  async function one(figure) {
    const place = figure.querySelector(".chart"), spec = JSON.parse(figure.querySelector(".spec").textContent);
    const room = width();
    if (spec.vconcat) spec.vconcat.forEach((part) => { part.width = room - 90; });
    else spec.width = room;
    try {
      await vegaEmbed(place, spec, {
        actions: false, renderer: "svg", ast: true, logLevel: 1, config: inks[dark.matches && !paper ? "dark" : "light"],
      });
    } catch (error) {
      place.textContent = "This chart could not be drawn: " + error.message;
    }
    figure.dataset.drawn = "";
  }
  const draw = (panel) => all("figure:not([data-drawn])", panel).reduce((before, f) => before.then(() => one(f)), Promise.resolve());
  const again = () => {
    all("figure").forEach((figure) => figure.removeAttribute("data-drawn"));
    return panels.filter((panel) => !panel.hidden).reduce((before, panel) => before.then(() => draw(panel)), Promise.resolve()).then(rest);
  };
  const rest = () => panels.reduce((before, panel) => before.then(() => draw(panel)), Promise.resolve());
  let waiting, drawnAt = width();
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (width() !== drawnAt) { drawnAt = width(); again(); } }, 200);
  });
  dark.addEventListener("change", again);
  const asked = panels.findIndex((panel) => "#" + panel.id === location.hash);
  show(Math.max(asked, 0));
  setTimeout(rest, 300); // those of other tabs too, so that printing has them
})();
