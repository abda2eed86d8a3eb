/**
 * What every map and unmap asks of an allocator, as functions of this one: in fields of one shape, found at once. As a method of an object
 * of one of sixteen shapes each is looked up by name at each call, which was 3 % of a packet in a process that had met them all.
 */
import type { IovaAllocator } from './allocator.ts';

export class AllocatorFunctions {
  declare readonly allocate: IovaAllocator['allocate'];
  declare readonly free: IovaAllocator['free'];

  constructor(allocator: IovaAllocator) {
    this.allocate = allocator.allocate.bind(allocator);
    this.free = allocator.free.bind(allocator);
  }
}
