// Three small things: diagrams drawn only where there are any, a language switch that stays on the
// page, and a filter. No request leaves the site.

// Diagrams. The theme asks for `mermaid` as soon as a page is open, and would fetch it from elsewhere
// if it were missing. This stands in for it and loads the real one (3.5 MB) at the first diagram.
(() => {
  const address = new URL("mermaid.min.js", document.currentScript.src);
  // A solid line goes to the server, a dashed one to the client.
  const colours = `
    .messageLine0 { stroke: var(--to-server) !important; }
    .messageLine1 { stroke: var(--to-client) !important; stroke-dasharray: none !important; }
    .messageLine0, .messageLine1 { stroke-width: 1.6px !important; }
    .actor-line { stroke: var(--rule) !important; stroke-width: 2px !important; }
    marker path { fill: var(--ink-soft) !important; stroke: none !important; }
    .noteText > tspan, .messageText { fill: var(--ink) !important; }
    rect.note { rx: 3px; }
  `;
  let settings = {};
  let loading;

  const load = () =>
    (loading ??= new Promise((resolve, reject) => {
      const standIn = window.mermaid;
      const script = Object.assign(document.createElement("script"), { src: address });
      script.onload = () => {
        const real = window.mermaid;
        window.mermaid = standIn;
        const themeCSS = (settings.themeCSS ?? "") + colours;
        const size = { actorFontSize: 14, messageFontSize: 14, noteFontSize: 14 };
        const room = { width: 90, height: 36, diagramMarginX: 0, boxMargin: 8, noteMargin: 6 };
        const sequence = { ...size, ...room, mirrorActors: false };
        real.initialize({ ...settings, startOnLoad: false, themeCSS, sequence });
        resolve(real);
      };
      script.onerror = () => reject(new Error(`cannot load ${address}`));
      document.head.append(script);
    }));

  window.mermaid = {
    initialize(given) {
      settings = given;
    },
    async render(...given) {
      return (await load()).render(...given);
    },
  };
})();

document.addEventListener("DOMContentLoaded", () => {
  stayOnPage();
  document.querySelectorAll(".defects").forEach(addFilter);
});

// Both languages have the same pages with the same headings, so the other one is one prefix away.
function stayOnPage() {
  const { base } = JSON.parse(document.getElementById("__config").textContent);
  const root = new URL(`${base}/`, location);
  for (const link of document.querySelectorAll("a.md-select__link[hreflang]")) {
    const other = new URL(link.getAttribute("href"), location);
    const here = () => {
      const page = location.pathname.slice(root.pathname.length);
      link.href = new URL(page, other) + location.hash;
    };
    here();
    link.addEventListener("click", here); // the heading may have changed since
  }
}

// One button a chapter; without this script all of the page is shown.
function addFilter(list) {
  const chinese = document.documentElement.lang.startsWith("zh");
  const name = (chapter) =>
    chapter === "" ? (chinese ? "全部" : "all") : chinese ? `第 ${chapter} 章` : `chapter ${chapter}`;
  const entries = [...list.querySelectorAll(".defect")];
  const named = entries.flatMap((entry) => entry.dataset.chapters.split(" ").filter(Boolean));
  const sorted = [...new Set(named)].sort((a, b) => a - b);
  const bar = document.createElement("div");
  bar.className = "filter";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", chinese ? "按章筛选" : "Filter by chapter");
  const count = document.createElement("output");

  const show = (chapter) => {
    let shown = 0;
    for (const entry of entries) {
      entry.hidden = chapter !== "" && !entry.dataset.chapters.split(" ").includes(chapter);
      shown += entry.hidden ? 0 : 1;
    }
    for (const button of bar.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === chapter));
    }
    count.textContent = chinese ? `共 ${shown} 条` : `${shown} shown`;
  };
  for (const chapter of ["", ...sorted]) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", value: chapter, textContent: name(chapter) });
    button.className = "chip";
    button.addEventListener("click", () => show(chapter));
    bar.append(button);
  }
  bar.append(count);
  list.prepend(bar);
  show("");
  addEventListener("hashchange", () => {
    if (document.getElementById(location.hash.slice(1))?.closest(".defect")?.hidden) show("");
  });
}
