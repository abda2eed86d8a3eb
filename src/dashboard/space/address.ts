/** Addresses as page numbers: 57 bits do not fit a number whole, the 45 of a page do. Pure. */

/** `0xfffff000` -> page 0xfffff; null for what is no address. */
export function pageOf(address: string): number | null {
  const text = /^0x([0-9a-fA-F]{1,16})$/.exec(address)?.[1];
  if (text === undefined) return null;
  return text.length <= 3 ? 0 : Number.parseInt(text.slice(0, -3), 16);
}

/** Page 0xfffff -> `0xfffff000`; @param offset within the page, 4095 for its last byte */
export function hexOf(page: number, offset = 0): string {
  if (page === 0) return `0x${offset.toString(16)}`;
  return `0x${page.toString(16)}${offset.toString(16).padStart(3, '0')}`;
}
