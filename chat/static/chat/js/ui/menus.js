// Menus that open without scripts, as <details data-menu>; here they learn to close like any other menu.

const OPEN = ".chat details[data-menu][open]"

/** Escape closes them, and so does whatever happens elsewhere: a press, or the focus going there. */
export function closeMenus() {
  document.addEventListener("keydown", (event) => {
    const menu = document.querySelector(OPEN)
    if (!menu || event.key !== "Escape" || event.isComposing || event.defaultPrevented) return
    // Some browsers leave the focus nowhere when one clicks on a menu.
    if (event.target !== document.body && !menu.contains(/** @type {Node} */ (event.target))) return
    event.preventDefault()
    menu.open = false
    menu.querySelector("summary").focus()
  })
  // Not "click": a finger on what can't be clicked makes none in Safari.
  document.addEventListener("pointerdown", ({ target }) => closeUnless(target), true)
  document.addEventListener("focusin", ({ target }) => closeUnless(target))
}

function closeUnless(target) {
  for (const menu of document.querySelectorAll(OPEN)) if (!menu.contains(target)) menu.open = false
}
