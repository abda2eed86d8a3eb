/**
 * Time of the processor for this process: what others on the machine do shows less in it than on a clock on the wall. Of the process and
 * not of the thread, which some kernels bring up to date only every few milliseconds; so compile and collect before.
 */
export function processorNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}
