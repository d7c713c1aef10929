// What the report can do beyond being read: values under the pointer, agents shown or hidden,
// games opened and found. Everything it needs is in the page; without it nothing is missing but this.
"use strict";
(() => {
  const held = JSON.parse(document.getElementById("numbers").textContent);
  const root = document.documentElement;
  root.classList.add("scripted");
  const hidden = new Set();

  function undone(deltas) {
    let sum = 0;
    return deltas.map((each) => (each === null ? NaN : (sum += each)));
  }

  function lines(chart) {
    if (!chart.ready) {
      chart.ready = chart.lines.map(([agent, runs, first, step, ...parts]) => {
        const [mean, low, high, ...seeds] = parts.map(undone);
        return { agent, runs, first, step, mean, low, high, seeds };
      });
    }
    return chart.ready;
  }

  function said(value, power, like) {
    const real = value * 10 ** power;
    const size = Math.abs((like === undefined ? value : like) * 10 ** power);
    const digits = Math.min(Math.max(0, -power), size >= 1000 ? 0 : size >= 10 ? 1 : 2);
    return real
      .toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })
      .replace("-", "−");
  }

  function made(name, cls, text) {
    const node = document.createElement(name);
    if (cls) node.className = cls;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  // ---- values under the pointer -----------------------------------------------------------------
  const [LEFT, RIGHT, TOP, BOTTOM, WIDTH] = held.box;
  const tip = made("div", "tip");
  tip.setAttribute("role", "status");
  document.body.append(tip);
  let shown = null;

  function hide() {
    tip.style.display = "none";
    if (shown) shown.remove();
    shown = null;
  }

  function found(chart, x) {
    const rows = [];
    for (const line of lines(chart)) {
      const at = Math.round((x - line.first) / line.step);
      const value = line.mean[at];
      if (hidden.has(line.agent) || value === undefined || Number.isNaN(value)) continue;
      const seeds = line.seeds.map((seed) => seed[at]).filter((v) => v !== undefined && !Number.isNaN(v));
      rows.push({ line, at, value, seeds, low: line.low[at], high: line.high[at] });
    }
    return rows.sort((a, b) => b.value - a.value);
  }

  function show(svg, fraction, place) {
    const chart = held.charts[svg.dataset.chart];
    const [from, to] = chart.end;
    const rows = found(chart, from + Math.min(1, Math.max(0, fraction)) * (to - from));
    if (!rows.length) return hide();
    const { line, at } = rows[0];
    const x = line.first + at * line.step;
    const px = LEFT + ((x - from) / (to - from)) * (RIGHT - LEFT);
    if (!shown || shown.parentNode !== svg) {
      if (shown) shown.remove();
      shown = document.createElementNS("http://www.w3.org/2000/svg", "path");
      shown.setAttribute("class", "cross");
      svg.append(shown);
    }
    shown.setAttribute("d", `M${px.toFixed(0)} ${TOP}V${BOTTOM}`);
    const profile = svg.dataset.chart === "profile";
    const head = profile ? `score above ${x.toFixed(2)}` : `frame ${Math.round(x).toLocaleString("en-US")}`;
    tip.replaceChildren(made("p", "", head), ...rows.map((row) => told(row, chart.power)));
    tip.style.display = "block";
    const box = tip.getBoundingClientRect();
    const left = place.x + 14 + box.width > innerWidth ? place.x - box.width - 14 : place.x + 14;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - box.width - 4))}px`;
    const over = place.y - box.height - 14;
    tip.style.top = `${over > 4 ? over : Math.min(place.y + 18, innerHeight - box.height - 4)}px`;
  }

  function told(row, power) {
    const node = made("p", `a${row.line.agent}`);
    node.append(made("i", "swatch"), made("b", "", said(row.value, power)));
    if (row.low !== undefined && !Number.isNaN(row.low)) {
      node.append(` [${said(row.low, power, row.value)}, ${said(row.high, power, row.value)}]`);
    }
    node.append(` ${held.agents[row.line.agent]}`);
    if (row.seeds.length) {
      const each = row.seeds.map((seed) => said(seed, power, row.value)).join("  ");
      const of = row.line.runs === row.seeds.length ? "" : ` (${row.seeds.length} of ${row.line.runs})`;
      node.append(made("small", "", `seeds ${each}${of}`));
    }
    return node;
  }

  function follow(event) {
    const svg = event.target.closest && event.target.closest("svg[data-chart]");
    if (!svg) return hide();
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    show(svg, (x - LEFT) / (RIGHT - LEFT), { x: event.clientX, y: event.clientY });
  }

  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerdown", follow);
  document.addEventListener("scroll", hide, { passive: true });

  // ---- agents shown or hidden -------------------------------------------------------------------
  function toggle(agent, button) {
    const off = !hidden.has(agent);
    if (off) hidden.add(agent);
    else hidden.delete(agent);
    root.classList.toggle(`no${agent}`, off);
    button.setAttribute("aria-pressed", String(!off));
    hide();
  }

  const bar = document.getElementById("agents");
  bar.querySelectorAll("li").forEach((item, agent) => {
    const button = made("button", "agent");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(...item.childNodes);
    button.addEventListener("click", () => toggle(agent, button));
    item.append(button);
  });

  // ---- games opened and found -------------------------------------------------------------------
  const games = [...document.querySelectorAll("details.game")];

  function opened() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const around = target && target.closest("details");
    if (!around) return;
    around.open = true;
    around.scrollIntoView();
  }

  addEventListener("hashchange", opened);
  opened();

  const tools = document.getElementById("tools");
  if (tools && games.length > 1) {
    const all = made("button", "", "Open all");
    all.type = "button";
    all.addEventListener("click", () => {
      const open = games.some((game) => !game.open);
      games.forEach((game) => (game.open = open));
      all.textContent = open ? "Close all" : "Open all";
    });
    const search = made("input");
    search.type = "search";
    search.placeholder = "Find a game";
    search.setAttribute("aria-label", "Find a game");
    search.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      games.forEach((game) => (game.hidden = !game.dataset.game.includes(wanted)));
    });
    tools.append(all, " ", search);
  }
})();
