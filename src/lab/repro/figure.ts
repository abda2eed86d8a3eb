/** `12345.678` -> `12,346`; `digits` after the point. No locale: the same text everywhere. */
export function figure(value: number, digits = 0): string {
  const [whole, fraction] = value.toFixed(digits).split('.') as [string, string?];
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
