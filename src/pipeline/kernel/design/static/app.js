// Comforts on top of pages that work without script.
"use strict";

// "/" puts the cursor into the search box.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.getElementById("find") || document.getElementById("search");
  if (search) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// A chosen stage is sent at once; the button is only needed without script.
for (const select of document.querySelectorAll("select[data-submit]")) {
  const button = select.form.querySelector("[data-fallback]");
  if (button) button.hidden = true;
  select.addEventListener("change", () => select.form.requestSubmit());
}

// Tiles can be dragged to another column.
let dragged = null;
for (const tile of document.querySelectorAll("[data-tile]")) {
  tile.addEventListener("dragstart", (event) => {
    dragged = tile;
    event.dataTransfer.effectAllowed = "move";
    tile.classList.add("dragged");
  });
  tile.addEventListener("dragend", () => {
    dragged = null;
    tile.classList.remove("dragged");
  });
}
for (const column of document.querySelectorAll("[data-column]")) {
  column.addEventListener("dragover", (event) => {
    if (!dragged) return;
    event.preventDefault();
    column.classList.add("over");
  });
  column.addEventListener("dragleave", () => column.classList.remove("over"));
  column.addEventListener("drop", (event) => {
    event.preventDefault();
    column.classList.remove("over");
    const select = dragged && dragged.querySelector("select[data-submit]");
    if (!select || select.value === column.dataset.column) return;
    select.value = column.dataset.column;
    select.form.requestSubmit();
  });
}

// The cursor goes to the first value that needs another look, else to the first empty one.
const wrong = document.querySelector("form.form .wrong input, form.form .wrong select, form.form .wrong textarea");
const first = document.querySelector("form.form input:not([type=hidden]), form.form select, form.form textarea");
if (wrong) wrong.focus();
else if (first && !first.value) first.focus();

// A chosen file is put into the text field, where it can be looked over before it is sent.
for (const field of document.querySelectorAll("[data-file]")) {
  field.hidden = false;
  const input = field.querySelector("input");
  input.addEventListener("change", async () => {
    const text = field.form?.querySelector("textarea") || document.getElementById("csv");
    if (input.files[0] && text) text.value = await input.files[0].text();
  });
}
