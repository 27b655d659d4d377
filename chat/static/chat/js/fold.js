/** Removes case and accents, for comparisons. The result is the same on the server, whatever the page's language. */
export const fold = (words) => words.normalize("NFKD").replace(/\p{Mn}/gu, "").toLowerCase()
