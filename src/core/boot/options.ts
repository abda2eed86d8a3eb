/**
 * What the options of the kernel's command line mean for a session: which member of the spec each of them asks for, and what there is
 * to say about it. The docs' table is made of this one.
 *
 * Source: Linux 6.x `drivers/iommu/iommu.c`, `drivers/iommu/dma-iommu.c`, `drivers/iommu/intel/iommu.c`, `drivers/iommu/amd/init.c`,
 * `arch/x86/kernel/pci-dma.c`, `kernel/dma/swiotlb.c`; deprecations of 2021: commit 1d479f160c50.
 */

/** What an option can ask for, and the value it takes. The three `off` are switches of three parts of the kernel. */
export interface Asks {
  mode: 'translate' | 'passthrough';
  bounce: boolean;
  off: boolean;
  intelOff: boolean;
  amdOff: boolean;
  /** Whether unmap may return before its invalidation. */
  lazy: boolean;
  superpages: boolean;
  forcedac: boolean;
  fullFlush: boolean;
  poolBytes: number;
}
export type Target = keyof Asks;

export type Remark = {
  code: 'deprecated' | 'no-effect' | 'not-modelled' | 'differs';
  detail: string;
};

/** One word after the `=`, or one truth value. */
export interface Meaning {
  word: string;
  asks?: Partial<Asks>;
  remark?: Remark;
  /** The kernel reads nothing of the list after it. */
  ends?: true;
}

export interface KernelOption {
  name: string;
  /**
   * `switch`: one truth value; `list`: words between commas, of which the kernel compares only the beginning; `pool`: sizes, then
   * perhaps a word.
   */
  form: 'switch' | 'list' | 'pool';
  /** Read in the second pass over the line, after all early ones, wherever it stands. */
  late: boolean;
  source: string;
  meanings: Meaning[];
  /** Words that people write and that do not exist, with what they meant. */
  hints: Record<string, string>;
}

const ON = '1';
const OFF = '0';
const OF_GART: Remark = { code: 'no-effect', detail: 'matters to the GART only, whose merging the lab does not model' };
const IGNORED: Remark = { code: 'no-effect', detail: 'the kernel itself says that it ignores it' };

export const options: readonly KernelOption[] = [
  {
    name: 'iommu.strict',
    form: 'switch',
    late: false,
    source: 'Linux drivers/iommu/iommu.c, iommu_dma_setup',
    meanings: [
      { word: ON, asks: { lazy: false } },
      { word: OFF, asks: { lazy: true } },
    ],
    hints: {},
  },
  {
    name: 'iommu.passthrough',
    form: 'switch',
    late: false,
    source: 'Linux drivers/iommu/iommu.c, iommu_set_def_domain_type',
    meanings: [
      { word: ON, asks: { mode: 'passthrough' } },
      { word: OFF, asks: { mode: 'translate' } },
    ],
    hints: {},
  },
  {
    name: 'iommu.forcedac',
    form: 'switch',
    late: false,
    source: 'Linux drivers/iommu/dma-iommu.c',
    meanings: [
      { word: ON, asks: { forcedac: true } },
      { word: OFF, asks: { forcedac: false } },
    ],
    hints: {},
  },
  {
    name: 'iommu',
    form: 'list',
    late: false,
    source: 'Linux arch/x86/kernel/pci-dma.c, iommu_setup; amd_gart_64.c',
    meanings: [
      { word: 'off', asks: { off: true } },
      {
        word: 'force',
        remark: {
          code: 'no-effect',
          detail: 'a hardware IOMMU is used anyway: the word is for the GART on small machines',
        },
      },
      { word: 'noforce', remark: OF_GART },
      { word: 'biomerge', remark: OF_GART },
      { word: 'merge', remark: OF_GART },
      { word: 'nomerge', remark: OF_GART },
      { word: 'panic', remark: OF_GART },
      { word: 'nopanic', remark: OF_GART },
      { word: 'forcesac', remark: IGNORED },
      { word: 'allowdac', remark: IGNORED },
      { word: 'nodac', remark: IGNORED },
      {
        word: 'usedac',
        ends: true,
        remark: { code: 'no-effect', detail: 'is about bridges of VIA; the kernel reads nothing of the list after it' },
      },
      {
        word: 'soft',
        asks: { mode: 'passthrough' },
        remark: {
          code: 'differs',
          detail:
            'Linux then bounces what a device’s mask cannot reach, and reaches the rest directly; the lab takes it as passthrough',
        },
      },
      { word: 'pt', asks: { mode: 'passthrough' } },
      { word: 'nopt', asks: { mode: 'translate' } },
      { word: 'fullflush', asks: { fullFlush: true } },
      { word: 'nofullflush', asks: { fullFlush: false } },
      { word: 'noagp', remark: OF_GART },
      { word: 'noaperture', remark: OF_GART },
      { word: 'memaper', remark: OF_GART },
      { word: 'leak', remark: OF_GART },
    ],
    hints: {
      strict: 'iommu.strict=1',
      lazy: 'iommu.strict=0',
      on: 'intel_iommu=on; on AMD it is on without being told',
      passthrough: 'iommu=pt or iommu.passthrough=1',
    },
  },
  {
    name: 'swiotlb',
    form: 'pool',
    late: false,
    source: 'Linux kernel/dma/swiotlb.c, setup_io_tlb_npages',
    meanings: [
      { word: 'force', asks: { bounce: true } },
      { word: 'noforce', asks: { bounce: false } },
    ],
    hints: {},
  },
  {
    name: 'intel_iommu',
    form: 'list',
    late: true,
    source: 'Linux drivers/iommu/intel/iommu.c, intel_iommu_setup',
    meanings: [
      { word: 'on', asks: { intelOff: false } },
      { word: 'off', asks: { intelOff: true } },
      {
        word: 'igfx_off',
        remark: { code: 'not-modelled', detail: 'there is no integrated graphics device to exempt' },
      },
      {
        word: 'forcedac',
        asks: { forcedac: true },
        remark: { code: 'deprecated', detail: 'write iommu.forcedac=1' },
      },
      {
        word: 'strict',
        asks: { lazy: false },
        remark: { code: 'deprecated', detail: 'write iommu.strict=1 (since 2021)' },
      },
      { word: 'sp_off', asks: { superpages: false } },
      {
        word: 'sm_on',
        remark: { code: 'not-modelled', detail: 'scalable mode: tables and faults here are those of legacy mode' },
      },
      { word: 'sm_off' },
      {
        word: 'tboot_noforce',
        remark: { code: 'no-effect', detail: 'there is no measured boot that would force it on' },
      },
    ],
    hints: {
      pt: 'iommu=pt',
      passthrough: 'iommu=pt',
      lazy: 'iommu.strict=0',
      nostrict: 'iommu.strict=0',
    },
  },
  {
    name: 'amd_iommu',
    form: 'list',
    late: true,
    source: 'Linux drivers/iommu/amd/init.c, parse_amd_iommu_options',
    meanings: [
      {
        word: 'fullflush',
        asks: { lazy: false },
        remark: { code: 'deprecated', detail: 'write iommu.strict=1 (since 2021)' },
      },
      { word: 'force_enable' },
      { word: 'off', asks: { amdOff: true } },
      // Each device has a domain of its own anyway, unless it is told to share one.
      { word: 'force_isolation' },
      { word: 'pgtbl_v1' },
      { word: 'pgtbl_v2', remark: { code: 'not-modelled', detail: 'tables in the CPU’s format' } },
      { word: 'irtcachedis', remark: { code: 'not-modelled', detail: 'interrupt remapping' } },
      { word: 'nohugepages', asks: { superpages: false } },
      { word: 'v2_pgsizes_only' },
    ],
    hints: {
      pt: 'iommu=pt; as it stands the devices are translated',
      on: 'nothing: it is on without being told',
      strict: 'iommu.strict=1',
      lazy: 'iommu.strict=0',
    },
  },
];

/** Names that begin like one of the above and exist, but change nothing here. */
export const harmless: ReadonlySet<string> = new Set(['amd_iommu_dump', 'amd_iommu_intr']);

/** Names that begin so are meant for an IOMMU: the ones that do not exist deserve a word. */
export const FAMILY = /^(iommu|intel_iommu|amd_iommu|swiotlb)/;
