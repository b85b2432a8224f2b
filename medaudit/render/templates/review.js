"use strict";
// A reviewer's page: one pair at a time, every answer kept in the browser, verdicts saved as a file. Nothing is sent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const el = (id) => document.getElementById(id);
  const place = "medaudit-review-" + data.page;
  const items = data.items;
  const known = new Set(items.map((one) => one.item));
  const codes = new Set(data.reasons.map((one) => one[0]));
  const words = { "copy": "copy", "same-person": "same person", "not-a-copy": "not a copy", "unsure": "unsure" };
  const zooms = [1, 2, 4], contrasts = [1, 2, 4];
  const view = { zoom: 0, contrast: 0, invert: false, swap: false, laid: true, x: 0.5, y: 0.5 };
  let asking = false;  // whether the reason of `not a copy` is being asked
  let keeps = true;  // whether the browser keeps what is answered

  const fresh = () => ({ at: 0, reviewer: "", named_as: "", answers: {}, undo: [] });
  let state = fresh();
  try {
    const kept = window.localStorage.getItem(place);
    if (kept) state = Object.assign(fresh(), JSON.parse(kept));
  } catch (problem) { keeps = false; }
  state.at = Math.min(Math.max(0, state.at | 0), items.length - 1);

  function keep() {
    try { window.localStorage.setItem(place, JSON.stringify(state)); keeps = true; } catch (problem) { keeps = false; }
    if (!keeps) say("This browser does not keep your answers. Save them as a file before you close the page.", true);
  }

  function say(text, alert) {
    el("status").textContent = text;
    el("status").classList.toggle("alert", Boolean(alert));
  }

  const current = () => items[state.at];
  const of = (item) => state.answers[item] || { answer: null, reason: null, note: "", withhold: false };
  function done(item) {
    const one = of(item);
    if (one.answer !== "not-a-copy") return one.answer !== null;
    return one.reason !== null && (one.reason !== "other" || one.note.trim() !== "");
  }
  const answered = () => items.filter((one) => done(one.item)).length;

  // Every change goes through here, so that undo knows what was before.
  function change(parts) {
    const item = current().item;
    state.undo.push({ at: state.at, item: item, before: state.answers[item] || null });
    if (state.undo.length > 500) state.undo.shift();
    state.answers[item] = Object.assign({}, of(item), parts);
    keep();
  }

  function answer(said) {
    leaveNote();
    if (said === "not-a-copy") {
      asking = true;
      draw();
      el("why").scrollIntoView({ block: "nearest" });
      say("Not a copy: why? Press 1 to " + data.reasons.length + ".");
      return;
    }
    asking = false;
    change({ answer: said, reason: null });
    forwardAfter(words[said]);
  }

  function reason(code) {
    asking = false;
    change({ answer: "not-a-copy", reason: code });
    if (!done(current().item)) {
      draw();
      say("Write the reason into the note.", true);
      el("note").focus();
      return;
    }
    forwardAfter("not a copy");
  }

  function forwardAfter(said) {
    const from = state.at + 1;
    const open = nextOpen();
    if (open === null) { draw(); say("Pair " + from + ": " + said + ". All pairs are answered; save the file."); return; }
    go(open, "Pair " + from + ": " + said + ". ");
  }

  function nextOpen() {
    for (let step = 1; step <= items.length; step += 1) {
      const at = (state.at + step) % items.length;
      if (!done(items[at].item)) return at;
    }
    return null;
  }

  function go(at, before) {
    if (at < 0 || at >= items.length) { say("There is no pair " + (at < 0 ? "before" : "after") + " this one."); return; }
    leaveNote();
    asking = false;
    state.at = at;
    view.swap = false;
    keep();
    draw();
    el("where").scrollIntoView({ block: "nearest" });
    if (keeps) say((before || "") + "Pair " + (at + 1) + " of " + items.length + ", " + describe(items[at].item) + ".");
  }

  function describe(item) {
    const one = of(item);
    return one.answer === null ? "open" : done(item) ? "answered: " + words[one.answer] : "reason missing";
  }

  // What a printed page says in place of the buttons.
  function onPaper(one) {
    if (one.answer === null) return "Not answered.";
    const why = data.reasons.find((reason) => reason[0] === one.reason);
    return "Answer: " + words[one.answer] + (why ? ": " + why[1] : "") + "." + (one.withhold ? " To be left out." : "")
      + (one.note.trim() ? "\nNote: " + one.note.trim() : "");
  }

  function undo() {
    leaveNote();
    const last = state.undo.pop();
    if (!last) { say("There is nothing to undo."); return; }
    if (last.before === null) delete state.answers[last.item]; else state.answers[last.item] = last.before;
    go(last.at, "Undone. ");
  }

  function leaveNote() {
    const text = el("note").value;
    if (text !== of(current().item).note) change({ note: text });
  }

  function draw() {
    const pair = current(), one = of(pair.item), number = state.at + 1;
    el("where").textContent = "Pair " + number + " of " + items.length;
    el("bar").value = answered();
    el("count").textContent = answered() + " of " + items.length + " answered";
    const film = view.laid || !pair.untouched ? pair.film : pair.untouched;
    const laid = film === pair.film && pair.done;
    const show = (id, source, alt) => { if (el(id).src !== source) el(id).src = source; el(id).alt = alt; };
    const image = "Synthetic image of pair " + number, other = "Training film of pair " + number;
    show("image", view.swap ? film : pair.image, view.swap ? other + ", swapped in" : image);
    show("film", view.swap ? pair.image : film, view.swap ? image + ", swapped in" : other + (laid ? ", shown " + pair.done : ""));
    show("over", pair.image, "Difference of the synthetic image and the training film of pair " + number);
    show("under", film, "");
    el("film-words").textContent = "Training film" + (pair.untouched ? (laid ? ", shown " + pair.done : ", as it is") : "");
    document.querySelectorAll(".answer").forEach((button) => {
      const pressed = asking ? button.dataset.answer === "not-a-copy" : button.dataset.answer === one.answer;
      button.setAttribute("aria-pressed", String(pressed));
    });
    el("said").textContent = onPaper(one);
    el("why").hidden = !asking && one.answer !== "not-a-copy";
    el("why").querySelectorAll("button").forEach((button) => {
      button.setAttribute("aria-pressed", String(one.answer === "not-a-copy" && one.reason === button.dataset.reason));
    });
    if (document.activeElement !== el("note")) el("note").value = one.note;
    el("withhold").checked = one.withhold;
    el("align").disabled = !pair.untouched;
    el("align").setAttribute("aria-pressed", String(view.laid));
    el("invert").setAttribute("aria-pressed", String(view.invert));
    el("blink").setAttribute("aria-pressed", String(view.swap));
    el("zoomed").textContent = zooms[view.zoom] + "x";
    el("contrasted").textContent = contrasts[view.contrast] + "x";
    el("back").disabled = state.at === 0;
    el("forward").disabled = state.at === items.length - 1;
    look();
  }

  function look() {
    const scale = zooms[view.zoom], by = contrasts[view.contrast];
    const tone = (view.invert ? "invert(1) " : "") + "contrast(" + by + ")";
    document.querySelectorAll(".pane > *").forEach((part) => {
      part.style.transformOrigin = 100 * view.x + "% " + 100 * view.y + "%";
      part.style.transform = "scale(" + scale + ")";
      part.style.filter = tone;
    });
  }

  const move = (x, y) => {
    view.x = Math.min(1, Math.max(0, view.x + x));
    view.y = Math.min(1, Math.max(0, view.y + y));
    look();
  };
  const toggle = (name, spoken) => { view[name] = !view[name]; draw(); say(spoken + (view[name] ? " on." : " off.")); };
  const zoom = () => { view.zoom = (view.zoom + 1) % zooms.length; draw(); say("Zoom " + zooms[view.zoom] + "x."); };
  const contrast = () => {
    view.contrast = (view.contrast + 1) % contrasts.length; draw(); say("Contrast " + contrasts[view.contrast] + "x.");
  };
  function withhold(on) {
    change({ withhold: on });
    draw();
    say(on ? "This image is to be left out." : "This image is not to be left out.");
  }

  function save() {
    leaveNote();
    if (!state.reviewer.trim()) { say("Write your name first.", true); el("reviewer").focus(); return; }
    const answers = items.filter((one) => done(one.item)).map((one) => Object.assign({ item: one.item }, of(one.item)));
    const now = new Date();
    const day = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
    const body = {
      schema: data.schema, page: data.page, reviewer: state.reviewer.trim(), named_as: state.named_as.trim(), date: day,
      answers: answers,
    };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(body, null, 1) + "\n"], { type: "application/json" }));
    const slug = state.reviewer.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 30);
    link.download = "verdicts-" + data.page.slice(0, 8) + "-" + (slug || "reviewer") + ".json";
    document.body.appendChild(link);
    link.click();
    link.remove();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    const left = items.length - answers.length;
    say("Saved as " + link.download + (left ? ": " + left + " pairs are still open, so it cannot be applied yet." : "."), left > 0);
  }

  // A file comes from a stranger: only what this page could have written is taken over.
  function takeOver(text) {
    let body = null;
    try { body = JSON.parse(text); } catch (problem) { body = null; }
    if (!body || body.page !== data.page || !Array.isArray(body.answers)) {
      say("That file does not hold verdicts of this page; nothing was changed.", true);
      return;
    }
    let taken = 0;
    body.answers.forEach((one) => {
      if (!one || !known.has(one.item) || !Object.hasOwn(words, one.answer)) return;
      state.answers[one.item] = {
        answer: one.answer, reason: codes.has(one.reason) ? one.reason : null,
        note: typeof one.note === "string" ? one.note.slice(0, 2000) : "", withhold: one.withhold === true,
      };
      taken += 1;
    });
    if (typeof body.reviewer === "string") state.reviewer = body.reviewer.slice(0, 80);
    if (typeof body.named_as === "string") state.named_as = body.named_as.slice(0, 80);
    state.undo = [];
    el("reviewer").value = state.reviewer;
    el("named-as").value = state.named_as;
    keep();
    draw();
    say(taken + " answers were taken over.");
  }

  data.reasons.forEach(([code, text], at) => {
    const button = document.createElement("button"), key = document.createElement("kbd");
    key.textContent = String(at + 1);
    button.type = "button";
    button.dataset.reason = code;
    button.append(key, " " + text);
    button.addEventListener("click", () => reason(code));
    el("why").append(button);
  });
  document.querySelectorAll(".answer").forEach((button) => {
    button.addEventListener("click", () => answer(button.dataset.answer));
  });
  const press = {
    zoom: zoom, contrast: contrast, invert: () => toggle("invert", "Invert"), blink: () => toggle("swap", "Swap"),
    align: () => toggle("laid", "Laid over"), back: () => go(state.at - 1), forward: () => go(state.at + 1),
    next: () => { const open = nextOpen(); if (open === null) say("All pairs are answered."); else go(open); },
    undo: undo, export: save,
  };
  Object.keys(press).forEach((id) => el(id).addEventListener("click", press[id]));
  el("withhold").addEventListener("change", () => withhold(el("withhold").checked));
  el("note").addEventListener("change", () => { leaveNote(); draw(); });
  [["reviewer", "reviewer"], ["named-as", "named_as"]].forEach(([id, name]) => {
    el(id).value = state[name];
    el(id).addEventListener("input", () => { state[name] = el(id).value; keep(); });
  });
  el("load").addEventListener("change", () => {
    const file = el("load").files[0];
    if (file) file.text().then(takeOver);
    el("load").value = "";
  });
  document.querySelectorAll(".pane").forEach((pane) => pane.addEventListener("click", (event) => {
    const box = pane.getBoundingClientRect();
    if (zooms[view.zoom] === 1) {
      view.x = (event.clientX - box.left) / box.width;
      view.y = (event.clientY - box.top) / box.height;
    }
    zoom();
  }));
  window.addEventListener("pagehide", leaveNote);

  const keys = {
    z: "zoom", c: "contrast", i: "invert", s: "blink", l: "align", g: "next", u: "undo", e: "export",
    arrowleft: "back", arrowright: "forward", j: "forward", k: "back",
  };
  const shifts = { arrowleft: [-0.1, 0], arrowright: [0.1, 0], arrowup: [0, -0.1], arrowdown: [0, 0.1] };
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase(), typing = event.target.closest("textarea, input:not([type=checkbox])");
    if (key === "escape") {
      if (typing) { typing.blur(); el("where").focus(); } else if (asking) { asking = false; draw(); say("Answer anew."); }
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && shifts[key]) { event.preventDefault(); move(...shifts[key]); return; }
    if (/^[1-9]$/.test(key)) {
      event.preventDefault();  // the focus may go to the note, which would get the digit
      const at = Number(key) - 1, said = Object.keys(words);
      if (asking) { if (data.reasons[at]) reason(data.reasons[at][0]); } else if (said[at]) answer(said[at]);
      return;
    }
    if (key === "n") { event.preventDefault(); el("note").focus(); return; }
    if (key === "w") { withhold(!of(current().item).withhold); return; }
    if (key === "?") { document.querySelector("details").toggleAttribute("open"); return; }
    if (keys[key]) { event.preventDefault(); press[keys[key]](); }
  });

  draw();
  if (keeps) say(answered() ? "Your answers are still here: " + answered() + " of " + items.length + "." : "Press 1, 2, 3 or 4 to answer.");
  else keep();
})();
