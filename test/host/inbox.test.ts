/** What a worker says is heard when it is on the disk, in order, and not at all when it will never be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Inbox } from '../../src/host/inbox.ts';

test('a batch waits for its seal, and what comes after it waits behind it', () => {
  const heard: string[] = [];
  const inbox = new Inbox<string>((message) => heard.push(message));
  inbox.receive({ seal: 0, messages: ['a'] });
  assert.deepEqual(heard, ['a']);
  inbox.receive({ seal: 1, messages: ['b', 'c'] });
  inbox.receive({ seal: 1, messages: ['d'] });
  inbox.receive({ seal: 2, messages: ['e'] });
  assert.deepEqual(heard, ['a']);
  inbox.settled(1);
  assert.deepEqual(heard, ['a', 'b', 'c', 'd']);
  // The disk may be faster than the message.
  inbox.settled(3);
  inbox.receive({ seal: 3, messages: ['f'] });
  assert.deepEqual(heard, ['a', 'b', 'c', 'd', 'e', 'f']);
});

test('what is held when it is closed is never heard, nor is the rest of a batch in which it was', () => {
  const heard: string[] = [];
  const inbox: Inbox<string> = new Inbox((message) => {
    heard.push(message);
    if (message === 'end') inbox.close();
  });
  inbox.receive({ seal: 1, messages: ['held'] });
  inbox.close();
  inbox.settled(1);
  assert.equal(heard.length, 0);
  const other: Inbox<string> = new Inbox((message) => {
    heard.push(message);
    if (message === 'end') other.close();
  });
  other.receive({ seal: 0, messages: ['end', 'more'] });
  assert.equal(heard.join(), 'end');
});
