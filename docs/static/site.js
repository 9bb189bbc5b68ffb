"use strict";
// What folds show is in files beside the page, which are loaded when the first of them is opened: from a folder, too.

const lossdemo = { waiting: [], held: null };

lossdemo.hold = data => {
  lossdemo.held = data;
  lossdemo.waiting.splice(0).forEach(show => show(data));
};

function held(page, show) {
  if (lossdemo.held) return show(lossdemo.held);
  if (lossdemo.waiting.push(show) > 1) return;
  const script = document.createElement("script");
  script.src = `${document.documentElement.dataset.content_root}claims/${page}.js`;
  document.head.append(script);
}

function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function fill(fold, data) {
  const { claim } = fold.dataset;
  if (fold.classList.contains("notices")) {
    const root = document.documentElement.dataset.content_root;
    const items = data.notices[claim].map(name =>
      element("li", {}, element("a", { href: `${root}mutants.html#${name}` }, element("code", {}, name)), " ", element("span", { innerHTML: data.docs[name] })));
    fold.append(element("ul", {}, ...items));
  } else if (fold.classList.contains("script")) {
    const pre = element("pre", { id: `script-${claim}`, textContent: data.scripts[claim] });
    fold.append(element("div", { className: "highlight" }, pre, copyButton(pre.id)));
    scrollable(fold);
  } else {
    const items = (data.noticing[fold.id] || []).map(id => {
      const [href, title] = data.claims[id];
      return element("li", {}, element("a", { href, innerHTML: title }));
    });
    fold.append(element("ul", {}, ...items));
  }
}

// sphinx-copybutton answers to each button of this class, also to one that comes later.
function copyButton(id) {
  const button = element("button", { className: "copybtn o-tooltip--left", ariaLabel: "Copy" });
  button.dataset.tooltip = "Copy";
  button.dataset.clipboardTarget = `#${CSS.escape(id)}`;
  const known = document.querySelector(".copybtn svg");
  button.append(known ? known.cloneNode(true) : "Copy");
  return button;
}

document.addEventListener("toggle", event => {
  const fold = event.target;
  if (!fold.open || fold.dataset.filled || !fold.matches(".notices, .script, .wrong")) return;
  fold.dataset.filled = "yes";
  const page = fold.classList.contains("wrong") ? "mutants" : fold.closest("[data-page]").dataset.page;
  held(page, data => fill(fold, data));
}, true);

// A link into a fold opens it.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  let closed = false;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
    closed ||= !fold.open;
    fold.open = true;
  }
  if (closed) target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

// What scrolls sideways can be reached by keyboard.
function scrollable(within) {
  for (const box of within.querySelectorAll("pre, .table-wrapper, .math")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
scrollable(document);
addEventListener("resize", () => scrollable(document));

// On narrow screens Furo has labels of boxes where buttons are meant.
for (const label of document.querySelectorAll("label[for=__navigation].nav-overlay-icon, label[for=__toc]:not(.overlay)")) {
  label.tabIndex = 0;
  label.setAttribute("role", "button");
  label.ariaLabel = label.htmlFor === "__toc" ? "Contents of this page" : "Pages";
  label.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    label.click();
  });
}

// Rows of the matrix, and wrong PyTorches, by what is chosen.
for (const form of document.querySelectorAll("form.filter")) {
  const rows = [...document.querySelectorAll(form.dataset.rows)];
  const choose = () => {
    const wanted = [...new FormData(form)].filter(([, value]) => value);
    let count = 0;
    for (const row of rows) {
      row.hidden = !wanted.every(([name, value]) => name === "text"
        ? row.textContent.toLowerCase().includes(value.toLowerCase())
        : row.dataset[name].split(" ").includes(value));
      count += !row.hidden;
    }
    for (const group of document.querySelectorAll("table.matrix tbody, section:has(> .wrong, > .watch)"))
      group.hidden = !rows.some(row => !row.hidden && group.contains(row));
    form.querySelector("[role=status]").textContent = `${count} of ${rows.length}`;
  };
  form.addEventListener("input", choose);
  form.addEventListener("submit", event => event.preventDefault());
  choose();
}
