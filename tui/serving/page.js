// The keys are for the screen from the first moment on, and again when one comes back to this window:
// the terminal of textual-serve waits for a click.
"use strict";
(() => {
  const focus = () => document.querySelector(".xterm-helper-textarea")?.focus();
  window.addEventListener("load", focus);
  window.addEventListener("focus", focus);
})();
