// Menus are <details data-menu>, and so open without scripts. This module closes them like any other menu.

const OPEN = ".chat details[data-menu][open]"

/** Closes open menus on Escape, on a press elsewhere, and when the focus goes elsewhere. */
export function closeMenus() {
  document.addEventListener("keydown", (event) => {
    const menu = document.querySelector(OPEN)
    if (!menu || event.key !== "Escape" || event.isComposing || event.defaultPrevented) return
    // Some browsers give the focus to nothing after a click on a menu.
    if (event.target !== document.body && !menu.contains(/** @type {Node} */ (event.target))) return
    event.preventDefault()
    menu.open = false
    menu.querySelector("summary").focus()
  })
  // Not "click": in Safari, a tap on an element that can't be clicked causes none.
  document.addEventListener("pointerdown", ({ target }) => closeUnless(target), true)
  document.addEventListener("focusin", ({ target }) => closeUnless(target))
}

function closeUnless(target) {
  for (const menu of document.querySelectorAll(OPEN)) if (!menu.contains(target)) menu.open = false
}
