/** The bounce pool of a guest that shares no other memory with its devices: how full it gets, and what happens when it is full. */
import { CYCLES, GBPS } from './columns.ts';
import { cpusTo } from './machines.ts';
import type { Column, Question } from './question.ts';

const CPUS = 4;
const MIB = 2 ** 20;
const SIZES = [8, 16, 32, 64, 128];
const label = (mib: number) => `${mib} MiB`;

export const PEAK_MIB: Column = {
  head: 'most of it in use, MiB',
  of: 'gauges.bounceUsedSlotsPeak',
  scale: 2048 / MIB,
  digits: 1,
};
export const FULL: Column = { head: 'maps that found it full', of: 'counts.bounceFailures' };

export const swiotlbSize: Question = {
  kind: 'questions/swiotlb-size',
  title: 'How large must swiotlb be?',
  question:
    'In a confidential guest everything that devices touch is bounced. The log says "swiotlb buffer is full". Which size is enough for a ' +
    'NIC and a disk, and is a full pool a leak or a burst?',
  source: 'GitHub Dstack-TEE/dstack#1192, AMDESE/AMDSEV#281, lwfinger/rtl8192ee#3',
  request: {
    base: {
      machine: { cpus: CPUS },
      policy: { mode: 'bounce', bounce: { poolBytes: 64 * MIB } },
      devices: [
        { name: 'nic0', kind: 'nic' },
        { name: 'disk0', kind: 'block' },
      ],
    },
    arms: SIZES.map((mib) => ({ label: label(mib), set: { 'policy.bounce.poolBytes': mib * MIB } })),
    workloads: [
      {
        name: 'rx',
        kind: 'nic-rx',
        device: 'nic0',
        gbps: 10,
        ringSize: 512,
        queues: CPUS,
        cpus: cpusTo(CPUS),
        mappingsPerPacket: 1,
      },
      {
        name: 'fio',
        kind: 'block',
        device: 'disk0',
        disk: 'nvme',
        lengthBytes: 131_072,
        pattern: 'random',
        access: 'read',
        depth: 64,
        jobs: CPUS,
        cpus: cpusTo(CPUS),
      },
    ],
    until: { ns: 20_000_000 },
    seeds: [1],
    control: false,
  },
  columns: [
    GBPS,
    { head: 'I/Os a second', of: 'iops' },
    CYCLES,
    PEAK_MIB,
    FULL,
    { head: 'slots looked at for an operation', of: { ratio: ['counts.bounceSlotsScanned', 'operations'] }, digits: 1 },
  ],
  answer(arms) {
    const enough = SIZES.find((mib) => arms.of(label(mib), FULL.of) === 0);
    const most = SIZES.at(-1)!;
    const peak = arms.of(label(most), PEAK_MIB.of, PEAK_MIB.scale).toFixed(1);
    return [
      enough === undefined
        ? `None of these sizes is enough: also ${label(most)} was found full.`
        : `${label(enough)} is the smallest of these that was never found full; with room to spare ${peak} MiB are in use at most.`,
      'It is a burst and no leak: what is in use follows rings and queue depth, and does not grow with time.',
    ];
  },
};
