"use strict";
(async () => {
  const content = (id) => document.getElementById(id).textContent;
  const figures = JSON.parse(content("figures"));
  const plots = [...document.querySelectorAll(".plot")];
  const say = (text) => plots.forEach((plot) => { plot.textContent = text; });

  // The library is packed: a page of a third of the size.
  if (!("DecompressionStream" in window)) {
    say("This browser is too old to draw the plots. All tables are complete without them.");
    return;
  }
  const packed = Uint8Array.from(atob(content("library")), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(stream).text();
  document.head.append(library);

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 640px)");
  const still = window.matchMedia("(hover: none)");

  // Names of colours, such as @blue, become the colours of the page.
  const named = new Set(["color", "fgcolor", "fillcolor"]);
  function colored(value, colors, key) {
    if (typeof value === "string") {
      return named.has(key) && value[0] === "@" ? colors(value.slice(1)) : value;
    }
    if (Array.isArray(value)) return value;
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, colored(inner, colors, name)]));
  }

  function axis(given, colors) {
    const fixed = still.matches || narrow.matches;
    return {
      gridcolor: colors("grid"), linecolor: colors("rule"), zerolinecolor: colors("rule"),
      tickfont: { color: colors("quiet") }, automargin: true,
      exponentformat: "none", separatethousands: true, ...given,
      fixedrange: given.fixedrange || fixed,
      title: { ...given.title, font: { color: colors("quiet"), size: 12 }, standoff: 8 },
    };
  }

  function draw(plot) {
    const style = getComputedStyle(document.documentElement);
    const colors = (name) => style.getPropertyValue("--" + name).trim();
    const name = plot.dataset.pick ? plot.dataset.figure + ":" + pick.value : plot.dataset.figure;
    const figure = figures[name];
    plot.classList.remove("waiting");
    const layout = {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: colors("ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 12, r: narrow.matches ? 8 : 16, t: 34, b: 12 },
      hoverlabel: { bgcolor: colors("paper"), bordercolor: colors("rule"), font: { color: colors("ink") } },
      dragmode: still.matches || narrow.matches ? false : "zoom",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colors("quiet"), activecolor: colors("blue") },
      ...figure.layout,
      legend: {
        orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 }, ...figure.layout.legend,
      },
    };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis/.test(key)) layout[key] = axis(layout[key], colors);
    }
    const data = figure.data.map((trace) => {
      const made = colored(trace, colors, "");
      if (made.fill && made.line) made.fillcolor = made.line.color + "2e";
      return made;
    });
    Plotly.react(plot, data, layout, {
      responsive: true, displaylogo: false,
      displayModeBar: figure.layout.xaxis.type === "date" && !narrow.matches ? "hover" : false,
      // By default the library has a button that sends the data to its makers.
      plotlyServerURL: "",
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
    });
  }

  const pick = document.getElementById("pick");
  if (pick) {
    pick.addEventListener("change", () => plots.filter((plot) => plot.dataset.pick).forEach((plot) => {
      plot.setAttribute("aria-label", pick.selectedOptions[0].dataset.summary);
      draw(plot);
    }));
  }
  const again = () => plots.filter((plot) => !plot.classList.contains("waiting")).forEach(draw);
  dark.addEventListener("change", again);
  narrow.addEventListener("change", again);
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    seen.unobserve(entry.target);
    draw(entry.target);
  }), { rootMargin: "600px" });
  plots.forEach((plot) => seen.observe(plot));
  window.addEventListener("beforeprint", () => plots.forEach(draw));
})();
