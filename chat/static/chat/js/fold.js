/** Words without case and accents, to compare by: the same here and on the server, in whatever language the page is. */
export const fold = (words) => words.normalize("NFKD").replace(/\p{Mn}/gu, "").toLowerCase()
