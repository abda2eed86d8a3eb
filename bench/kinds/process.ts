/**
 * A process that simulates packets when told. Its argument is a list of combinations that it meets before anything is measured, in the
 * order in which it meets them; it answers each message with the time of a packet.
 */
import { tuneCompiler } from '../../src/host/compiler.ts';
import { type Arm, simulate } from '../packets.ts';

const WARM_PACKETS = 3_000;

process.on('disconnect', () => process.exit());
process.on('message', ({ arm, packets }: { arm: Arm; packets: number }) => {
  const { threadSeconds, packets: done, digest } = simulate(arm, packets);
  process.send!({ ns: (threadSeconds * 1e9) / done, digest });
});

tuneCompiler();
const arms = JSON.parse(process.argv[2]!) as Arm[];
// Each takes its turn again, so that code that was compiled for the first ones alone is thrown away here.
for (let turn = 0; turn < 3; turn++) for (const arm of arms) simulate(arm, WARM_PACKETS);
process.send!('ready');
