/** "Did you mean": what is near to a word that nobody knows. */

/** Letters to put in, take out, change or swap until one word is the other. */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}

/** At most three, nearest first; what begins with the word, or ends in it after a slash, counts as near. */
export function near(word: string, known: readonly string[]): string[] {
  const wanted = word.toLowerCase();
  return [...new Set(known)]
    .map((name) => {
      const lower = name.toLowerCase();
      const within =
        wanted.length >= 3 && (lower.startsWith(wanted) || lower.split('/').some((part) => part.startsWith(wanted)));
      return { name, far: within ? 1 : distance(wanted, lower) };
    })
    .filter(({ name, far }) => far <= Math.max(2, Math.floor(name.length / 3)))
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** `; did you mean strict or wrap?`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const names = near(word, known);
  if (names.length === 0) return '';
  const last = names.at(-1)!;
  return ` Did you mean ${names.length === 1 ? last : `${names.slice(0, -1).join(', ')} or ${last}`}?`;
}
