/* Several tasks at once: the count of what is ticked, "all on this page", and the questions as dialogs. Without this file
   ticks and buttons work all the same, each leading to its page. */
(function () {
  "use strict";
  function all(selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); }
  function boxes() { return all("input[name='task']"); }
  function count() {
    var found = document.querySelector("[data-select-found]"), whole = Boolean(found && found.checked), shown = boxes();
    if (!document.getElementById("bulk")) return;
    shown.forEach(function (box) { if (whole) box.checked = true; box.disabled = whole; });
    var ticked = shown.filter(function (box) { return box.checked; }).length;
    all("[data-select-page]").forEach(function (box) {
      box.checked = ticked > 0 && ticked === shown.length;
      box.indeterminate = ticked > 0 && ticked < shown.length;
      box.disabled = whole;
    });
    document.getElementById("bulk-count").textContent = (whole ? found.dataset.number : ticked) + " selected";
  }
  document.addEventListener("change", function (event) {
    var box = event.target, tick = box.checked;
    if (!box.form || box.form.id !== "bulk") return;
    /* The bar that comes or goes must not move what is under the pointer. */
    var top = box.getBoundingClientRect().top;
    if (box.matches("[data-select-page]") || (box.matches("[data-select-found]") && !tick)) boxes().forEach(function (other) { other.checked = tick; });
    count();
    if (box.offsetParent) window.scrollBy(0, box.getBoundingClientRect().top - top);
  });
  document.addEventListener("reset", function (event) { if (event.target.id === "bulk") setTimeout(count); });
  window.addEventListener("pageshow", count);
  /* Rows that refresh by themselves may also go. */
  document.addEventListener("htmx:afterRequest", function () { setTimeout(count, 100); });
  document.addEventListener("submit", function (event) {
    var button = event.submitter;
    if (event.target.id !== "bulk" || !button || !window.htmx) return;
    event.preventDefault();
    var url = button.formAction.split("?")[0] + "?" + new URLSearchParams(new FormData(event.target));
    button.dispatchEvent(new CustomEvent("open-dialog", { bubbles: true, detail: url }));
  });

  /* What has to be typed before the button that does it can be pressed. */
  function match(input) { input.form.querySelector(".btn-danger").disabled = input.value.trim().toLowerCase() !== input.dataset.word; }
  function matchAll() { all("[data-word]").forEach(match); }
  document.addEventListener("input", function (event) { if (event.target.matches("[data-word]")) match(event.target); });
  document.addEventListener("dialog-opened", matchAll);
  document.addEventListener("DOMContentLoaded", matchAll);
})();
