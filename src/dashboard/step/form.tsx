/** The form of one operation. */
import type { Buffer, Device, Domain, Mapping } from '../../api/contract-types.ts';
import { bytes } from '../format.ts';
import type { Operation } from './operations.ts';

export interface Known {
  devices: readonly Device[];
  domains: readonly Domain[];
  buffers: readonly Buffer[];
  mappings: readonly Mapping[];
  /** Addresses that were mapped here, the newest first. */
  addresses: readonly string[];
}

export const OPS: readonly { op: Operation['op']; name: string; key: string }[] = [
  { op: 'map', name: 'Map', key: 'm' },
  { op: 'dma', name: 'DMA', key: 'd' },
  { op: 'unmap', name: 'Unmap', key: 'u' },
  { op: 'invalidate', name: 'Invalidate', key: 'i' },
  { op: 'advance', name: 'Advance', key: 'a' },
  { op: 'buffer', name: 'Buffer', key: 'b' },
  { op: 'free', name: 'Free', key: 'x' },
];

/** As the form begins. */
export function draftOf(op: Operation['op'], { devices, domains, buffers, mappings, addresses }: Known): Operation {
  const device = devices[0]?.name ?? devices[0]?.id ?? '';
  const mapping = mappings[0];
  switch (op) {
    case 'map':
      return { op, device, kind: 'single', direction: 'from-device', buffer: buffers.at(-1)?.id ?? '', cpu: 0 };
    case 'dma':
      return { op, device, iova: addresses[0] ?? mapping?.iova ?? '', lengthBytes: 64, access: 'write' };
    case 'unmap':
      return { op, device: mapping?.device ?? device, mapping: mapping?.id ?? '', cpu: 0 };
    case 'invalidate':
      return { op, domain: domains[0]?.name ?? domains[0]?.id ?? '', scope: 'domain' };
    case 'advance':
      return { op, ns: 10_000_000 };
    case 'free':
      return { op, buffer: buffers.at(-1)?.id ?? '' };
    default:
      return { op: 'buffer', lengthBytes: 4096 };
  }
}

interface FieldsProps {
  draft: Operation;
  known: Known;
  onChange(change: Record<string, unknown>): void;
}

const PASSING = [
  [1_000, '1 µs'],
  [100_000, '100 µs'],
  [1_000_000, '1 ms'],
  [10_100_000, '10.1 ms'],
  [1_000_000_000, '1 s'],
] as const;

export function Fields({ draft, known, onChange }: FieldsProps) {
  const choice = (name: string, label: string, options: readonly (readonly [value: string, text: string])[]) => {
    const value = String(draft[name] ?? '');
    const all =
      options.some(([each]) => each === value) || value === '' ? options : [[value, value] as const, ...options];
    return (
      <div class="field">
        <label for={`step-${name}`}>{label}</label>
        <select id={`step-${name}`} value={value} onChange={(event) => onChange({ [name]: event.currentTarget.value })}>
          {all.length === 0 && <option value="">none yet</option>}
          {all.map(([each, text]) => (
            <option key={each} value={each}>
              {text}
            </option>
          ))}
        </select>
      </div>
    );
  };
  const number = (name: string, label: string, min: number, about?: string) => (
    <div class="field">
      <label for={`step-${name}`}>{label}</label>
      <input
        id={`step-${name}`}
        type="number"
        min={min}
        step={1}
        required={name !== 'cpu'}
        value={String(draft[name] ?? '')}
        onInput={(event) =>
          onChange({ [name]: event.currentTarget.value === '' ? '' : Number(event.currentTarget.value) })
        }
      />
      {about !== undefined && <span class="about">{about}</span>}
    </div>
  );
  const address = (name: string, label: string) => (
    <div class="field">
      <label for={`step-${name}`}>{label}</label>
      <input
        id={`step-${name}`}
        type="text"
        list="step-addresses"
        required
        pattern="0x[0-9a-fA-F]{1,16}"
        title="hex, as 0xfffff000"
        autocomplete="off"
        spellcheck={false}
        value={String(draft[name] ?? '')}
        onInput={(event) => onChange({ [name]: event.currentTarget.value })}
      />
    </div>
  );
  const devices = known.devices.map(({ id, name }) => [name ?? id, name ?? id] as const);
  switch (draft.op) {
    case 'map':
      return (
        <>
          <div class="step-two">
            {choice('device', 'Device', devices)}
            {draft.buffer !== undefined
              ? choice(
                  'buffer',
                  'Buffer',
                  known.buffers.map(
                    ({ id, name, lengthBytes }) => [id, `${name ?? id}, ${bytes(lengthBytes)}`] as const,
                  ),
                )
              : address('physicalAddress', 'Physical address')}
          </div>
          <div class="step-two">
            {choice('direction', 'Direction', [
              ['from-device', 'from device'],
              ['to-device', 'to device'],
              ['bidirectional', 'both'],
            ])}
            {choice('kind', 'Call', [
              ['single', 'map_single'],
              ['page', 'map_page'],
            ])}
          </div>
          <div class="step-two">
            {draft.buffer === undefined && number('lengthBytes', 'Bytes', 1)}
            {number('cpu', 'CPU', 0)}
          </div>
        </>
      );
    case 'dma':
      return (
        <>
          <div class="step-two">
            {choice('device', 'Device', devices)}
            {choice('access', 'Access', [
              ['write', 'writes'],
              ['read', 'reads'],
            ])}
          </div>
          <div class="step-two">
            {address('iova', 'Address')}
            {number('lengthBytes', 'Bytes', 1)}
          </div>
        </>
      );
    case 'unmap':
      return (
        <div class="step-two">
          <div class="field">
            <label for="step-mapping">Mapping</label>
            <select
              id="step-mapping"
              value={String(draft.mapping)}
              onChange={(event) => {
                const mapping = event.currentTarget.value;
                const device = known.mappings.find(({ id }) => id === mapping)?.device;
                onChange({ mapping, ...(device !== undefined && { device }) });
              }}
            >
              {known.mappings.length === 0 && <option value="">none is live</option>}
              {known.mappings.map(({ id, iova }) => (
                <option key={id} value={id}>
                  {id} at {iova}
                </option>
              ))}
            </select>
          </div>
          {number('cpu', 'CPU', 0)}
        </div>
      );
    case 'invalidate':
      return (
        <>
          <div class="step-two">
            {choice(
              'domain',
              'Domain',
              known.domains.map(({ id, name }) => [name ?? id, name ?? id] as const),
            )}
            {choice('scope', 'Scope', [
              ['domain', 'the domain'],
              ['range', 'a range'],
              ['global', 'everything'],
            ])}
          </div>
          {draft.scope === 'range' && (
            <>
              <div class="step-two">
                {address('iova', 'From')}
                {number('lengthBytes', 'Bytes', 1)}
              </div>
              <div class="field check">
                <input
                  id="step-leafOnly"
                  type="checkbox"
                  checked={draft.leafOnly === true}
                  onChange={(event) => onChange({ leafOnly: event.currentTarget.checked })}
                />
                <label for="step-leafOnly">Leaves only: keep the walk caches</label>
              </div>
            </>
          )}
        </>
      );
    case 'advance':
      return (
        <>
          {number('ns', 'Nanoseconds', 0)}
          <div class="step-ops">
            {PASSING.map(([ns, text]) => (
              <button key={ns} type="button" onClick={() => onChange({ ns })}>
                {text}
              </button>
            ))}
          </div>
        </>
      );
    case 'free':
      return choice(
        'buffer',
        'Buffer',
        known.buffers.map(({ id, name, lengthBytes }) => [id, `${name ?? id}, ${bytes(lengthBytes)}`] as const),
      );
    case 'tenant':
      return (
        <p class="small">
          A tenant named {String(draft.name)}, of kind {String(draft.kind)}.
        </p>
      );
    default:
      return number(
        'lengthBytes',
        'Bytes',
        1,
        draft.tenant === undefined ? 'of the host; whole frames' : `of ${String(draft.tenant)}; whole frames`,
      );
  }
}
