/** Lines as ftrace writes them, made up for tests. */

/** A line as ftrace writes it. */
export function line(us: number, payload: string, cpu = 0): string {
  const fraction = String(us % 1e6).padStart(6, '0');
  return `            task-7254    [00${cpu}] ..... ${Math.floor(us / 1e6)}.${fraction}: ${payload}\n`;
}

export const DEV = '0000:3b:00.0';
export const map = (
  us: number,
  iova: string,
  size: number,
  physical: string,
  cpu = 0,
  dir = 'FROM_DEVICE',
  dev = DEV,
) => line(us, `dma_map_phys: ${dev} dir=${dir} dma_addr=${iova} size=${size} phys_addr=${physical} attrs=`, cpu);
export const unmap = (us: number, iova: string, size: number, cpu = 0, dir = 'FROM_DEVICE', dev = DEV) =>
  line(us, `dma_unmap_phys: ${dev} dir=${dir} dma_addr=${iova} size=${size} attrs=`, cpu);

/** Some traffic: pairs on two CPUs, several of them open at a time. */
export function traffic(pairs: number): string {
  const lines: { us: number; text: string }[] = [];
  for (let i = 0; i < pairs; i++) {
    const page = (0xf0000 + i).toString(16);
    const begin = 100 + i * 13;
    lines.push({ us: begin, text: map(begin, `${page}000`, 4096, `${(0x40000 + (i % 50)).toString(16)}000`, i % 2) });
    lines.push({ us: begin + 90, text: unmap(begin + 90, `${page}000`, 4096, i % 2) });
  }
  return lines
    .sort((a, b) => a.us - b.us)
    .map(({ text }) => text)
    .join('');
}
