"use strict";
(() => {
  const root = document.documentElement;
  const by = (id) => document.getElementById(id);
  const list = by("list");

  // Theme: follow the system until the reader chooses.
  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.className = "theme";
  toggle.textContent = "Light / dark";
  toggle.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });
  document.querySelector(".mast nav").append(toggle);

  // A long page spells each instant once; the tooltip is made when it is asked for.
  list.addEventListener("pointerover", (event) => {
    const time = event.target;
    if (time.tagName === "TIME" && !time.title) time.title = time.dateTime.replace("T", " ").replace("Z", " UTC");
  });

  // Findings: the page is the data; it is read once, when a reader first filters.
  const tools = by("finding-tools");
  const selects = {
    severity: by("by-severity"), status: by("by-status"), policy: by("by-policy"),
    provider: by("by-provider"), organization: by("by-organization"), owner: by("by-owner"),
  };
  const statuses = { open: "open", suppressed: "accepted", resolved: "ended" };
  const words = { open: "open", accepted: "accepted", ended: "ended in this run" };
  let rows = null;

  const ownerOf = (facts) => facts.slice(facts.lastIndexOf("Owner: ") + 7).trim();

  const rowOf = (element, index) => {
    const [, severity, , who, where] = element.firstElementChild.children;
    const provider = where.lastElementChild.textContent;
    return {
      element, index,
      severity: severity.textContent,
      status: statuses[element.classList[2]],
      policy: by("g-" + element.dataset.g).dataset.policy, provider,
      organization: where.textContent.slice(0, -provider.length - 1) + " (" + provider + ")",
      owner: ownerOf(element.querySelector(".c").textContent),
      name: who.textContent,
      text: null,
    };
  };

  const textOf = (row) => {
    if (row.text === null) row.text = (row.element.textContent + " " + row.policy).toLowerCase();
    return row.text;
  };

  const fill = (select, values, order) => {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
    const keys = order ? order.filter((key) => counts.has(key)) : [...counts.keys()].sort();
    for (const key of keys) {
      const option = document.createElement("option");
      option.value = key;
      option.textContent = (select === selects.status ? words[key] : key) + " (" + counts.get(key).toLocaleString("en") + ")";
      select.append(option);
    }
  };

  const begun = [];
  const ready = () => {
    if (rows) return;
    const elements = list.children;
    while (begun.length < elements.length) begun.push(rowOf(elements[begun.length], begun.length));
    rows = begun;
    for (const [key, select] of Object.entries(selects)) {
      const order = key === "severity" ? ["Critical", "High", "Medium", "Low", "Informational"]
        : key === "status" ? ["open", "accepted", "ended"] : null;
      fill(select, rows.map((row) => row[key]), order);
    }
    apply();
  };

  // Read ahead while the browser has nothing better to do, a little at a time.
  const idle = window.requestIdleCallback || ((work) => setTimeout(() => work({ timeRemaining: () => 8 }), 50));
  const ahead = (deadline) => {
    if (rows) return;
    const elements = list.children;
    let element = elements[begun.length];
    while (element && deadline.timeRemaining() > 2) {
      begun.push(rowOf(element, begun.length));
      element = element.nextElementSibling;
    }
    if (element) idle(ahead);
    else ready();
  };

  const apply = () => {
    ready();
    const needles = by("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = Object.entries(selects).filter(([, select]) => select.value);
    let count = 0;
    for (const row of rows) {
      const keep = wanted.every(([key, select]) => row[key] === select.value)
        && needles.every((needle) => textOf(row).includes(needle));
      if (row.element.hidden === keep) row.element.hidden = !keep;
      count += keep;
    }
    by("found").textContent = count === rows.length
      ? rows.length.toLocaleString("en") + " findings"
      : count.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " findings match";
  };

  const seen = (row) => {
    const times = row.element.querySelector(".c time");
    return times ? times.dateTime : "";
  };

  const arrange = () => {
    ready();
    const compare = {
      risk: (a, b) => a.index - b.index,
      new: (a, b) => seen(b).localeCompare(seen(a)) || a.index - b.index,
      old: (a, b) => seen(a).localeCompare(seen(b)) || a.index - b.index,
      name: (a, b) => a.name.localeCompare(b.name) || a.index - b.index,
    }[by("order").value];
    list.append(...[...rows].sort(compare).map((row) => row.element));
  };

  if (list.firstElementChild) {
    tools.hidden = false;
    let timer = 0;
    by("q").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(apply, 120); });
    for (const select of Object.values(selects)) select.addEventListener("change", apply);
    by("order").addEventListener("change", arrange);
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.addEventListener("reset", () => setTimeout(() => { apply(); arrange(); }));
    tools.addEventListener("focusin", ready, { once: true });
    tools.addEventListener("pointerenter", ready, { once: true });
    idle(ahead);
    document.querySelectorAll(".bars[data-facet] a").forEach((link) => link.addEventListener("click", () => {
      ready();
      tools.reset();
      setTimeout(() => {
        selects[link.closest("table").dataset.facet].value = link.textContent;
        apply();
      });
    }));
  }

  const valuesOf = (finding) => {
    const [, , , who, where] = finding.firstElementChild.children;
    const values = {
      Name: who.firstChild.textContent.trim(), Principal: who.lastElementChild.textContent,
      Organization: where.firstChild.textContent.trim(),
    };
    for (const line of finding.querySelector(".c").textContent.split("\n")) {
      const at = line.indexOf(": ");
      if (at > 0) values[line.slice(0, at)] = line.slice(at + 2);
    }
    return values;
  };
  const quoted = (word) => /^[\w@%+=:,./-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\"'\"'") + "'";
  const filled = (pattern, finding) => {
    const values = valuesOf(finding);
    return pattern.replace(/\u2039([A-Z][a-z ]+)\u203a/g, (slot, name) => name in values ? quoted(values[name]) : slot);
  };

  // A finding shows the reason and the remedy of its policy in place once it is opened.
  list.addEventListener("toggle", (event) => {
    const finding = event.target;
    if (!finding.open || !finding.dataset.g || finding.querySelector(".guide")) return;
    const guide = by("g-" + finding.dataset.g);
    if (!guide) return;
    const copy = document.createElement("div");
    copy.className = "guide";
    copy.append(...guide.lastElementChild.cloneNode(true).children);
    const links = finding.lastElementChild.lastElementChild;
    // On a long page the commands stand once, in the guide; here they get their values.
    const commands = copy.querySelector(".commands");
    if (commands && finding.querySelector("pre")) commands.remove();
    else if (commands) commands.textContent = filled(commands.textContent, finding);
    links.before(copy);
    links.firstElementChild.remove();  // what it led to stands here now
    const self = document.createElement("a");
    self.href = "#" + finding.id;
    self.textContent = "Link to this finding";
    links.append(" ", self);
  }, true);

  // Deep links open what they point at.
  const follow = () => {
    const target = location.hash.length > 1 && by(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    target.hidden = false;
    for (let outer = target; outer; outer = outer.parentElement) if (outer.tagName === "DETAILS") outer.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();

  // Inventory: search, and sorting by any column.
  const table = by("credentials");
  const body = table.tBodies[0];
  const itools = by("inventory-tools");
  if (body.rows.length) {
    itools.hidden = false;
    itools.addEventListener("submit", (event) => event.preventDefault());
    let lines = null;
    const load = () => lines || (lines = Array.from(body.rows, (row) => ({ row, text: row.textContent.toLowerCase() })));
    let timer = 0;
    const search = () => {
      const needles = by("iq").value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const line of load()) {
        const keep = needles.every((needle) => line.text.includes(needle));
        if (line.row.hidden === keep) line.row.hidden = !keep;
        count += keep;
      }
      by("ifound").textContent = needles.length
        ? count.toLocaleString("en") + " of " + lines.length.toLocaleString("en") + " credentials match" : "";
    };
    by("iq").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 120); });
    const keyOf = (cell) => {
      const time = cell.querySelector("time");
      return time ? time.dateTime : "~" + cell.textContent;
    };
    Array.from(table.tHead.rows[0].cells, (head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = load().map((line) => [keyOf(line.row.cells[column]), line.row]);
        keyed.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0) * (down ? -1 : 1));
        body.append(...keyed.map(([, row]) => row));
      });
    });
  }
})();
