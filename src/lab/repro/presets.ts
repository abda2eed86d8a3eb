/** Reproductions as experiments that are kept ready: the arms of the publication are run as they are. */
import type { ReproductionPreset } from '../presets.ts';
import { reproductions } from './index.ts';

export const reproductionPresets: ReproductionPreset[] = Object.values(reproductions).map((reproduction) => ({
  kind: `repro/${reproduction.id}`,
  title: reproduction.title,
  source: reproduction.citation,
  reproduction,
}));
