/** Part of every digest: raised whenever the same operations may give another state, so that results of two cores never mix. */
export const coreVersion = '3';
