/** Kinds of events. A timer of the kernel fires on the CPU that armed it, which the kind says: `timerOnCpu` + cpu. */
export const EVENT = { hardware: 0, timerOnCpu: 1000, allocatorOnCpu: 2000, workload: 100_000 } as const;
