/* Everything works without this file except: theme "as the system", copy buttons, dialogs in place of pages, logs that
   unfold, and rows that refresh by themselves. Loaded before the body, so that a dark page never flashes white. */
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  /* Pages that are not the console's own cannot write the theme at the root: Django's admin names it at the script. */
  if (!root.dataset.theme) root.dataset.theme = document.currentScript.dataset.theme || "auto";

  function byId(id) { return document.getElementById(id); }
  function all(selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); }
  function cookie(name) {
    var found = document.cookie.split("; ").filter(function (part) { return part.indexOf(name + "=") === 0; })[0];
    return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
  }

  /* Theme ------------------------------------------------------------------------------------------------ */
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function applyTheme() {
    var wanted = root.dataset.theme;
    root.dataset.bsTheme = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
  }
  applyTheme();
  dark.addEventListener("change", applyTheme);
  /* Paper is white: a dark page would print pale text on it. */
  window.addEventListener("beforeprint", function () { root.dataset.bsTheme = "light"; });
  window.addEventListener("afterprint", applyTheme);
  document.addEventListener("theme", function (event) { root.dataset.theme = event.detail.value; applyTheme(); });

  /* The browser's zone: the server writes times in it unless the person chose another one. ---------------- */
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && /^[\w/+-]+$/.test(zone) && cookie("zone") !== zone) {
    var secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = "zone=" + zone + "; Path=/; Max-Age=31536000; SameSite=Lax" + secure;
  }

  /* What is said to screen readers: several changes of one refresh in one breath. ------------------------- */
  var sayings = [];
  function say(text) {
    if (!sayings.length) setTimeout(function () { var live = byId("live"); if (live) live.textContent = sayings.join(". "); sayings = []; }, 50);
    sayings.push(text);
  }

  /* Menus ------------------------------------------------------------------------------------------------ */
  function closeMenu(menu, focus) {
    menu.removeAttribute("open");
    if (focus) menu.querySelector("summary").focus();
  }
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    all("details.menu[open], details.nav-mobile[open]").forEach(function (menu) { closeMenu(menu, true); });
  });
  /* Whoever tabs on out of a menu is done with it; left open it would cover what has the focus then. */
  document.addEventListener("focusout", function (event) {
    var menu = event.target.closest && event.target.closest("details.menu[open]");
    if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) closeMenu(menu, false);
  });
  document.addEventListener("click", function (event) {
    all("details.menu[open]").forEach(function (menu) { if (!menu.contains(event.target)) closeMenu(menu, false); });
  });

  /* Clicks ----------------------------------------------------------------------------------------------- */
  document.addEventListener("click", function (event) {
    var off = event.target.closest("[aria-disabled='true']");
    if (off) { event.preventDefault(); event.stopImmediatePropagation(); }
  }, true);
  document.addEventListener("click", function (event) {
    var verb = event.target.closest("[data-verb]");
    if (verb) closeMenu(verb.closest("details.menu"), true);
    var close = event.target.closest("[data-close]");
    if (close) close.closest("dialog").close();
    var dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) dismiss.closest(".toast-note, .notice").remove();
    var copy = event.target.closest("[data-copy]");
    if (copy) copyText(copy);
    var show = event.target.closest("[data-show-password]");
    if (show) showPassword(show);
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || !window.htmx) return;
    var dialog = event.target.closest("a[data-dialog]");
    if (dialog) { event.preventDefault(); openDialog(dialog); }
    var unfold = event.target.closest("[data-unfold]");
    if (unfold) { event.preventDefault(); toggleLog(unfold); }
  });

  function copyText(button) {
    var source = byId(button.dataset.copy), word = button.querySelector("span"), before = word.dataset.before || word.textContent;
    word.dataset.before = before;
    function done() {
      word.textContent = "Copied";
      say("Copied");
      setTimeout(function () { word.textContent = before; }, 2500);
    }
    if (navigator.clipboard && window.isSecureContext) { navigator.clipboard.writeText(source.textContent).then(done); return; }
    /* The clipboard's own interface is there under HTTPS only; a selection can be copied everywhere. */
    var range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (document.execCommand("copy")) done();
  }

  function showPassword(button) {
    var field = byId(button.getAttribute("aria-controls")), shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    button.lastChild.textContent = shown ? "Show" : "Hide";
  }

  /* Dialogs: a link to a page that is shown as a dialog here. -------------------------------------------- */
  function openDialog(link, url) {
    var menu = link.closest("details.menu");
    if (menu) closeMenu(menu, true);
    htmx.ajax("GET", url || link.getAttribute("href"), { target: "#dialogs", swap: "innerHTML" }).then(function () {
      var dialog = byId("dialogs").querySelector("dialog");
      if (!dialog) return;
      dialog.addEventListener("close", function () { dialog.remove(); (document.contains(link) && !menu ? link : menu ? menu.querySelector("summary") : document.body).focus(); });
      dialog.showModal();
      dialog.dispatchEvent(new CustomEvent("dialog-opened", { bubbles: true }));
    });
  }

  document.addEventListener("open-dialog", function (event) { openDialog(event.target, event.detail); });

  /* Logs that unfold below their run. --------------------------------------------------------------------- */
  function toggleLog(link) {
    var row = byId(link.dataset.unfold), cell = row.firstElementChild, menu = link.closest("details.menu");
    if (menu) closeMenu(menu, true);
    row.hidden = !row.hidden;
    syncUnfolds();
    if (row.hidden || cell.childElementCount) return;
    htmx.ajax("GET", link.getAttribute("href"), { target: cell, swap: "innerHTML" }).then(function () { scrollDown(cell.querySelector("ol")); });
  }
  function syncUnfolds() {
    all("[data-unfold]").forEach(function (link) {
      var row = byId(link.dataset.unfold);
      if (!row) return;
      link.closest("tr").classList.toggle("is-open", !row.hidden);
      link.setAttribute("aria-expanded", String(!row.hidden));
      link.setAttribute("aria-controls", row.id);
      if (!link.classList.contains("unfold")) link.lastChild.textContent = row.hidden ? "Show log" : "Hide log";
      link.setAttribute("aria-label", link.getAttribute("aria-label").replace(/^(Show|Hide)/, row.hidden ? "Show" : "Hide"));
    });
  }
  function scrollDown(list) { if (list) list.scrollTop = list.scrollHeight; }

  /* Toasts: eight seconds, longer while somebody points at one or has the focus in it. --------------------- */
  function startToasts() {
    all(".toast-note:not([data-timed])").forEach(function (toast) {
      toast.dataset.timed = "yes";
      (function later() {
        setTimeout(function () { if (toast.matches(":hover, :focus-within")) later(); else toast.remove(); }, 8000);
      })();
    });
  }

  /* Verify: the form as it stands is sent, and each line is put into its place as it comes. ---------------- */
  document.addEventListener("submit", function (event) {
    var button = event.submitter;
    if (!button || !button.matches("[data-verify]") || !window.ReadableStream || !byId("verify")) return;
    event.preventDefault();
    verify(event.target, button);
  });
  function verify(form, button) {
    var data = new FormData(form), panel = byId("verify");
    if (button.name) { data.set(button.name, button.value); trust(button.value); }
    all("#verify-lines, #verify-foot").forEach(function (part) { part.replaceChildren(); });
    if (byId("verify-retype")) byId("verify-retype").remove();
    byId("verify-note").textContent = "";
    byId("verify-state").textContent = "Trying …";
    panel.hidden = false;
    panel.setAttribute("aria-busy", "true");
    busy(true);
    if (panel.contains(button) || panel.getBoundingClientRect().top > window.innerHeight) { panel.focus({ preventScroll: true }); panel.scrollIntoView({ block: "nearest" }); }
    fetch(button.formAction.split("#")[0], { method: "POST", body: data, headers: { "X-Verify-Lines": "1" }, redirect: "error", credentials: "same-origin" })
      .then(function (response) {
        if (!response.ok) throw new Error(response.status);
        return readLines(response.body.getReader(), place);
      })
      .catch(function () { alertNotice("The console did not finish Verify. Load the page again and verify once more."); })
      .then(function () { busy(false); panel.removeAttribute("aria-busy"); byId("verify-state").textContent = ""; });
  }
  function readLines(reader, take) {
    var decoder = new TextDecoder(), rest = "";
    return reader.read().then(function next(part) {
      rest += decoder.decode(part.value || new Uint8Array(), { stream: !part.done });
      var lines = rest.split("\n");
      rest = lines.pop();
      lines.forEach(function (line) { if (line.trim()) take(line); });
      return part.done ? undefined : reader.read().then(next);
    });
  }
  function place(line) {
    var template = document.createElement("template");
    template.innerHTML = line;
    var element = template.content.firstElementChild;
    byId(element.dataset.into).appendChild(element);
    if (element.dataset.note !== undefined) byId("verify-note").textContent = element.dataset.note;
  }
  function busy(on) {
    all("[data-verify]").forEach(function (button) { if (on) button.setAttribute("aria-disabled", "true"); else button.removeAttribute("aria-disabled"); });
  }
  /* The confirmed key goes into the form with the server that it was confirmed for. */
  function trust(value) {
    var shown = document.querySelector(".host-key");
    if (!shown) return;
    shown.classList.add("is-known");
    shown.querySelector("input").value = value;
    shown.querySelector("code").textContent = value.split(" ").slice(0, 2).join(" ");
  }
  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[data-field], .notice a[href^='#id_']"), field = link && link.hash && byId(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    goTo(field);
  });
  function goTo(field) {
    var fold = field.closest("details");
    if (fold) fold.open = true;
    field.focus();
  }
  /* What was found holds for the values that were tried. */
  document.addEventListener("input", function (event) {
    var note = byId("verify-note");
    if (note && event.target.closest("#destination-place") && byId("verify-foot").childElementCount) note.textContent = "The destination was changed since it was verified.";
  });

  /* Rows that refresh by themselves ----------------------------------------------------------------------- */
  var timer, asking = false, again = false, silentSince = 0;
  function pace() { return byId("pace"); }
  function plan(seconds) {
    clearTimeout(timer);
    var element = pace();
    if (element && element.dataset.poll) timer = setTimeout(look, 1000 * (seconds === undefined ? Number(element.dataset.every) || 30 : seconds));
  }
  /* The answer that is under way may be older than what calls for a new one, so another look follows it. */
  function soon(seconds) { if (asking) again = true; else plan(seconds); }
  function look() {
    var element = pace();
    if (!element || asking || !window.htmx) return;
    if (document.hidden) return;
    asking = true;
    var failed = true;
    var url = element.dataset.poll, open = element.dataset.watch && byId("log-" + element.dataset.watch + "-lines");
    if (open && !byId("log-" + element.dataset.watch).hidden) url += "&after=" + (open.lastElementChild ? open.lastElementChild.dataset.line : 0);
    function ok(event) { if (event.detail.requestConfig.path === url) failed = !event.detail.successful; }
    document.addEventListener("htmx:afterRequest", ok);
    htmx.ajax("GET", url, { source: "#pace", target: "#pace", swap: "none" }).catch(function () {}).then(function () {
      document.removeEventListener("htmx:afterRequest", ok);
      asking = false;
      offline(failed);
      plan(failed ? 10 : again ? 0.15 : undefined);
      again = false;
    });
  }
  function offline(failed) {
    var note = byId("offline");
    if (!failed) { silentSince = 0; if (note) note.remove(); return; }
    silentSince = silentSince || Date.now();
    if (note || !byId("notices")) return;
    note = document.createElement("div");
    note.id = "offline";
    note.className = "notice notice-warn";
    note.setAttribute("role", "alert");
    var body = document.createElement("div");
    body.className = "body";
    body.textContent = "The console does not answer. What you see is from " + new Date().toTimeString().slice(0, 5) + " and may have changed. It is tried again every 10 seconds.";
    note.appendChild(body);
    byId("notices").appendChild(note);
  }
  document.addEventListener("visibilitychange", function () { if (!document.hidden) soon(0); });
  document.addEventListener("refresh-now", function () { soon(0.15); });
  /* What was passed over because its menu was open is made good when the menu closes. */
  document.addEventListener("toggle", function (event) {
    var menu = event.target;
    if (!menu.matches || !menu.matches("details.menu")) return;
    if (menu.open) { var list = menu.querySelector(".menu-list"); if (list) list.scrollIntoView({ block: "nearest" }); return; }
    if (menu.dataset.stale) { delete menu.dataset.stale; soon(0.2); }
  }, true);

  /* Never touch a cell that somebody is in, nor one that stays the same: the turning icon would jump. */
  document.addEventListener("htmx:oobBeforeSwap", function (event) {
    var target = event.detail.target, fresh = event.detail.fragment.firstElementChild;
    if (!fresh || fresh.id !== target.id) return;
    if (fresh.id === "pace" && fresh.dataset.day !== target.dataset.day) turnDay(target, fresh);
    /* What somebody unfolded stays so. */
    all("details[open][id]").forEach(function (open) { var twin = target.contains(open) && fresh.querySelector("#" + open.id); if (twin) twin.setAttribute("open", ""); });
    if (same(fresh, target)) { event.detail.shouldSwap = false; return; }
    if (fresh.dataset.force === undefined) {
      var menu = target.closest("details.menu");
      if ((menu && menu.open) || target.contains(document.activeElement)) {
        if (menu) menu.dataset.stale = "yes";
        event.detail.shouldSwap = false;
        return;
      }
    }
    keepPlace(target);
    [[target, fresh]].concat(all("[data-say]", fresh).map(function (part) { return [byId(part.id), part]; })).forEach(function (pair) {
      if (pair[0] && pair[1].dataset.say && pair[0].dataset.state !== pair[1].dataset.state) say(pair[1].dataset.say);
    });
  });
  /* Past midnight "Today" is no longer true in rows that were not sent anew: the page is loaded again, as soon as nobody
     is in the middle of something. */
  function turnDay(target, fresh) {
    if (document.querySelector("dialog[open], details.menu[open], input:focus, select:focus, textarea:focus")) fresh.dataset.day = target.dataset.day;
    else location.reload();
  }
  /* What is being read stays where it is when something above it grows. Most browsers see to that by themselves. */
  var anchor = null;
  function keepPlace(target) {
    if (CSS.supports("overflow-anchor", "auto") || target.getBoundingClientRect().top > 0) return;
    var reading = document.elementFromPoint(window.innerWidth / 2, window.innerHeight / 3);
    if (reading && !target.contains(reading)) anchor = { element: reading, top: reading.getBoundingClientRect().top };
  }
  function backToPlace() {
    if (anchor && document.contains(anchor.element)) window.scrollBy(0, anchor.element.getBoundingClientRect().top - anchor.top);
    anchor = null;
  }
  function same(fresh, target) {
    if (fresh.innerHTML.trim() !== plainHtml(target)) return false;
    return Array.prototype.every.call(fresh.attributes, function (attribute) { return target.getAttribute(attribute.name) === attribute.value; });
  }
  function plainHtml(element) { return element.innerHTML.trim(); }
  document.addEventListener("htmx:oobAfterSwap", function (event) {
    var target = event.detail.target;
    backToPlace();
    if (target && target.tagName === "OL") scrollDown(target);
    if (target && target.id === "notices-new") reveal(target.querySelector(".notice"));
    syncUnfolds();
    startToasts();
  });

  /* htmx: the token of the cookie, which stays right when somebody logs in anew in another tab. ------------ */
  document.addEventListener("htmx:configRequest", function (event) { event.detail.headers["X-CSRFToken"] = cookie("csrftoken"); });
  var REFUSALS = {
    403: "You may not do this, or the page is too old. Load it again.",
    404: "It is gone: somebody deleted it meanwhile. Load the page again.",
    503: "The database cannot be used, so it was not done, or not all of it. Load the page again in a minute.",
  };
  document.addEventListener("htmx:responseError", function (event) {
    if (event.detail.elt && event.detail.elt.id === "pace") return;
    alertNotice(REFUSALS[event.detail.xhr.status] || "The console failed and nothing was changed. Try it again.");
  });
  document.addEventListener("htmx:sendError", function (event) {
    if (event.detail.elt && event.detail.elt.id === "pace") return;
    alertNotice("The console does not answer. Nothing was changed. Try it again.");
  });
  function alertNotice(words) {
    var place = byId("notices-new") || byId("main"), note = document.createElement("div");
    note.className = "notice notice-fail";
    note.setAttribute("role", "alert");
    var body = document.createElement("div");
    body.className = "body";
    body.textContent = words;
    note.appendChild(body);
    all(".notice-client", place).forEach(function (old) { old.remove(); });
    note.classList.add("notice-client");
    place.prepend(note);
    reveal(note);
  }
  /* A notice stands at the top of the page; whoever is far below it would not see it come. */
  function reveal(note) { if (note) note.scrollIntoView({ block: "nearest" }); }

  document.addEventListener("DOMContentLoaded", function () {
    var first = document.querySelector("[data-focus-first]"), named = /^#id_/.test(location.hash) && byId(location.hash.slice(1));
    if (first) first.focus();
    /* A cure leads to the very field that has to change. */
    else if (named) goTo(named);
    syncUnfolds();
    startToasts();
    plan();
  });
})();
