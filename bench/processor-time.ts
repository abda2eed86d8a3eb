/** Time of the processor: what others on the machine do shows less in it than on a clock on the wall. */

/** Of this process, exact to the microsecond; V8's compiler and collector, which have threads of their own, are in it. */
export function processNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** Of this thread alone; some kernels bring it up to date only every few milliseconds, so a measured stretch takes many of them. */
export function threadNs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) * 1000;
}
