/** Buttons that copy the text field before them. Without scripts they stay hidden; the field can always be selected. */

const SHOWN_MS = 2000

for (const button of document.querySelectorAll(".copy__button")) {
  button.hidden = false
  button.addEventListener("click", () => copy(button))
}

async function copy(button) {
  const field = button.parentElement.querySelector(".copy__text")
  field.select()
  // Browsers lend the clipboard to pages from https and from this machine only.
  const copied = await navigator.clipboard?.writeText(field.value).then(() => true, () => false)
  say(button, copied ? button.dataset.copied : button.dataset.selected)
}

function say(button, text) {
  button.dataset.text ??= button.textContent
  button.textContent = text
  clearTimeout(button.timer)
  button.timer = setTimeout(() => (button.textContent = button.dataset.text), SHOWN_MS)
}
