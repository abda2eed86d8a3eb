/** What a proof of many independent cases is told. */
export interface ProofSettings<Proof> {
  /** How many cases. */
  count: number;
  /** Number of the first one, to go on where an earlier proof ended. */
  from: number;
  seed: number;
  /** For what it keeps meanwhile; on a disk. */
  folder: string;
  progress?(done: number, proof: Proof): void;
}
