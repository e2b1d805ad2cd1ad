/* Everything works without this file except: theme "as the system", copy buttons, dialogs in place of pages, and rows
   that refresh by themselves. Loaded before the body, so that a dark page never flashes white. */
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  /* Theme ------------------------------------------------------------------------------------------------ */
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function applyTheme() {
    var wanted = root.dataset.theme;
    root.dataset.bsTheme = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
  }
  applyTheme();
  dark.addEventListener("change", applyTheme);
  document.addEventListener("theme", function (event) { root.dataset.theme = event.detail.value; applyTheme(); });

  /* The browser's zone: the server writes times in it unless the person chose another one. */
  function cookie(name) {
    var found = document.cookie.split("; ").filter(function (part) { return part.indexOf(name + "=") === 0; })[0];
    return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
  }
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && cookie("zone") !== zone) {
    var secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = "zone=" + encodeURIComponent(zone) + "; Path=/; Max-Age=31536000; SameSite=Lax" + secure;
  }
})();
