/**
 * What every network has in common. SOFT is two thirds and FINAL five sixths of the 128 columns, rounded up; data is there as long as no
 * more than `…Adversary` of them are in bad hands: quorum - 64 (README).
 */
export const DA_QUORUMS = {
  softColumns: 86,
  softAdversary: 22,
  finalColumns: 107,
  finalAdversary: 43,
  maintenanceBps: 2_000,
  unconfirmedBps: 1_000,
} as const
