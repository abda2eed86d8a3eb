/** What each option of the kernel command line asks for, what there is to say about it, and which of two wins. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readCommandLine } from '../../../src/core/boot/command-line.ts';
import { FAMILY, options } from '../../../src/core/boot/options.ts';

const asked = (line: string): Record<string, unknown> =>
  Object.fromEntries(Object.entries(readCommandLine(line).asked).map(([target, { value }]) => [target, value]));
const warned = (line: string): string[] =>
  readCommandLine(line).warnings.map(({ code, option }) => `${code} ${option}`);

describe('asks for', () => {
  const cases: [line: string, asks: Record<string, unknown>, warnings: string[]][] = [
    ['iommu.strict=1', { lazy: false }, []],
    ['iommu.strict=0', { lazy: true }, []],
    ['iommu.strict=y', { lazy: false }, []],
    ['iommu.strict=No', { lazy: true }, []],
    ['iommu.strict=on', { lazy: false }, []],
    ['iommu.strict=oFf', { lazy: true }, []],
    ['iommu.passthrough=1', { mode: 'passthrough' }, []],
    ['iommu.passthrough=0', { mode: 'translate' }, []],
    ['iommu.forcedac=1', { forcedac: true }, []],
    ['iommu.forcedac=0', { forcedac: false }, []],
    ['iommu=pt', { mode: 'passthrough' }, []],
    ['iommu=nopt', { mode: 'translate' }, []],
    ['iommu=off', { off: true }, []],
    ['iommu=soft', { mode: 'passthrough' }, ['differs iommu=soft']],
    ['iommu=force', {}, ['no-effect iommu=force']],
    ['iommu=noforce', {}, ['no-effect iommu=noforce']],
    ['iommu=merge,biomerge,nomerge', {}, ['merge', 'biomerge', 'nomerge'].map((word) => `no-effect iommu=${word}`)],
    ['iommu=panic,nopanic', {}, ['no-effect iommu=panic', 'no-effect iommu=nopanic']],
    ['iommu=forcesac,allowdac,nodac', {}, ['forcesac', 'allowdac', 'nodac'].map((word) => `no-effect iommu=${word}`)],
    ['iommu=usedac,pt', {}, ['no-effect iommu=usedac', 'no-effect iommu=pt']],
    ['iommu=fullflush', { fullFlush: true }, []],
    ['iommu=nofullflush', { fullFlush: false }, []],
    [
      'iommu=noagp,noaperture,memaper=3,leak',
      {},
      ['noagp', 'noaperture', 'memaper=3', 'leak'].map((word) => `no-effect iommu=${word}`),
    ],
    ['iommu=32768', {}, ['no-effect iommu=32768']],
    ['intel_iommu=on', { intelOff: false }, []],
    ['intel_iommu=off', { intelOff: true }, []],
    ['intel_iommu=on,sp_off', { intelOff: false, superpages: false }, []],
    ['intel_iommu=strict', { lazy: false }, ['deprecated intel_iommu=strict']],
    ['intel_iommu=forcedac', { forcedac: true }, ['deprecated intel_iommu=forcedac']],
    ['intel_iommu=igfx_off', {}, ['not-modelled intel_iommu=igfx_off']],
    ['intel_iommu=sm_on', {}, ['not-modelled intel_iommu=sm_on']],
    ['intel_iommu=sm_off', {}, []],
    ['intel_iommu=tboot_noforce', {}, ['no-effect intel_iommu=tboot_noforce']],
    ['amd_iommu=off', { amdOff: true }, []],
    ['amd_iommu=fullflush', { lazy: false }, ['deprecated amd_iommu=fullflush']],
    ['amd_iommu=force_isolation,force_enable,pgtbl_v1,v2_pgsizes_only', {}, []],
    ['amd_iommu=pgtbl_v2', {}, ['not-modelled amd_iommu=pgtbl_v2']],
    ['amd_iommu=irtcachedis', {}, ['not-modelled amd_iommu=irtcachedis']],
    ['amd_iommu=nohugepages', { superpages: false }, []],
    ['swiotlb=65536', { poolBytes: 2 ** 27 }, []],
    ['swiotlb=0x80', { poolBytes: 2 ** 18 }, []],
    ['swiotlb=0200', { poolBytes: 2 ** 18 }, []],
    ['swiotlb=1', { poolBytes: 2 ** 18 }, []],
    ['swiotlb=129', { poolBytes: 2 ** 19 }, []],
    ['swiotlb=0', {}, []],
    ['swiotlb=force', { bounce: true }, []],
    ['swiotlb=noforce', { bounce: false }, []],
    ['swiotlb=1024,force', { poolBytes: 2 ** 21, bounce: true }, []],
    ['swiotlb=1024,4,force', { poolBytes: 2 ** 21, bounce: true }, ['not-modelled swiotlb=1024,4']],
    ['swiotlb=,force', { bounce: true }, []],
    ['swiotlb=64M', { poolBytes: 2 ** 18 }, ['unknown-value swiotlb=M']],
    ['swiotlb=max', {}, ['unknown-value swiotlb=max']],
  ];
  for (const [line, expected, warnings] of cases)
    test(line, () => {
      assert.deepEqual(asked(line), expected);
      assert.deepEqual(warned(line), warnings);
    });

  test('every option and word of the table above: none is forgotten', () => {
    const lines = cases.map(([line]) => line).join(' ');
    for (const { name, meanings } of options)
      for (const { word } of meanings)
        assert.match(lines, new RegExp(`${name.replace('.', '\\.')}=([^ ]*,)?${word}`), `${name}=${word}`);
    assert.equal(options.filter(({ form }) => form === 'switch').length, 3);
  });
});

describe('what does not exist is named', () => {
  const cases: [line: string, warning: string, hint?: string][] = [
    ['amd_iommu=pt', 'unknown-value amd_iommu=pt', 'what is meant is iommu=pt'],
    ['amd_iommu=on', 'unknown-value amd_iommu=on', 'it is on without being told'],
    ['iommu=strict', 'unknown-value iommu=strict', 'iommu.strict=1'],
    ['iommu=on', 'unknown-value iommu=on', 'intel_iommu=on'],
    ['intel_iommu=pt', 'unknown-value intel_iommu=pt', 'iommu=pt'],
    ['intel_iommu=ON', 'unknown-value intel_iommu=ON'],
    ['iommu.strict=2', 'unknown-value iommu.strict=2', 'takes 0 or 1'],
    ['iommu.strict', 'no-value iommu.strict', 'iommu.strict=1'],
    ['iommu.passthrough=', 'no-value iommu.passthrough='],
    ['intel_iommu', 'no-value intel_iommu'],
    ['swiotlb', 'no-value swiotlb'],
    ['iommu_strict=1', 'unknown-option iommu_strict=1'],
    ['iommu.pt=1', 'unknown-option iommu.pt=1'],
    ['iommu.passthrought=1', 'unknown-option iommu.passthrought=1'],
    ['amd_iommu_strict', 'unknown-option amd_iommu_strict'],
    ['constructor', ''],
  ];
  for (const [line, warning, hint = ''] of cases)
    test(line, () => {
      const { asked: asks, warnings } = readCommandLine(line);
      assert.deepEqual(asks, {});
      assert.deepEqual(warned(line), warning === '' ? [] : [warning]);
      if (warning !== '') assert.ok(warnings[0]!.detail.includes(hint), warnings[0]!.detail);
    });

  test('a word that only begins like one is taken as that one, and said so', () => {
    assert.deepEqual(asked('iommu=ptx intel_iommu=strictly'), { mode: 'passthrough', lazy: false });
    assert.deepEqual(warned('iommu=ptx'), ['loose-match iommu=ptx']);
  });

  test('a hint is looked up among hints alone', () => {
    assert.deepEqual(warned('amd_iommu=constructor'), ['unknown-value amd_iommu=constructor']);
    assert.ok(!readCommandLine('amd_iommu=constructor').warnings[0]!.detail.includes('what is meant'));
  });

  test('a line of a thousand mistakes gets a hundred warnings', () => {
    assert.equal(readCommandLine(`iommu=${'x,'.repeat(1000)}`).warnings.length, 100);
  });
});

describe('of two that contradict each other', () => {
  const cases: [line: string, asks: Record<string, unknown>, warnings: string[]][] = [
    ['iommu.strict=0 iommu.strict=1', { lazy: false }, ['overruled iommu.strict=0']],
    ['iommu.strict=1 iommu.strict=0', { lazy: true }, ['overruled iommu.strict=1']],
    ['iommu=pt iommu.passthrough=0', { mode: 'translate' }, ['overruled iommu=pt']],
    ['iommu=pt,nopt', { mode: 'translate' }, ['overruled iommu=pt']],
    ['intel_iommu=off,on', { intelOff: false }, ['overruled intel_iommu=off']],
    [
      'iommu.strict=0 intel_iommu=strict',
      { lazy: false },
      ['deprecated intel_iommu=strict', 'overruled iommu.strict=0'],
    ],
    [
      'intel_iommu=strict iommu.strict=0',
      { lazy: false },
      ['deprecated intel_iommu=strict', 'overruled iommu.strict=0'],
    ],
    ['iommu.strict=1 iommu.strict=1', { lazy: false }, []],
    ['iommu=pt swiotlb=force', { mode: 'passthrough', bounce: true }, []],
    ['iommu=off intel_iommu=on', { off: true, intelOff: false }, []],
  ];
  for (const [line, expected, warnings] of cases)
    test(line, () => {
      assert.deepEqual(asked(line), expected);
      assert.deepEqual(warned(line), warnings);
    });

  test('the drivers’ own options are read after the others, and the warning says so', () => {
    const of = (line: string) => readCommandLine(line).warnings.find(({ code }) => code === 'overruled')!.detail;
    assert.match(of('intel_iommu=strict iommu.strict=0'), /is read after it and wins/);
    assert.match(of('iommu.strict=1 iommu.strict=0'), /stands later and wins/);
  });
});

test('options that have nothing to do with an IOMMU are passed over in silence', () => {
  const line =
    'BOOT_IMAGE=/vmlinuz-6.8 root=UUID=1-2 ro quiet splash "dyndbg=file drivers/usb/core/hub.c +p" console=ttyS0,115200n8 ' +
    'vfio_iommu_type1.dma_entry_limit=1000000 arm-smmu.disable_bypass=0 amd_iommu_dump amd_iommu_intr=vapic mitigations=off';
  assert.deepEqual(readCommandLine(line), { asked: {}, warnings: [] });
});

test('no line makes it throw, and each warning has a word to say', () => {
  const word = fc.oneof(
    fc.constantFrom(...options.flatMap(({ name, meanings }) => [name, ...meanings.map((m) => `${name}=${m.word}`)])),
    fc.stringMatching(/^[a-z_.=",0-9-]{0,12}$/),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words) => {
      for (const { option, detail } of readCommandLine(words.join(' ')).warnings) {
        assert.ok(detail.length > 5);
        assert.match(option.replace(/^"/, '').replaceAll('-', '_'), FAMILY);
      }
    }),
  );
});
