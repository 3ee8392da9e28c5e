export type Program = 'agent/main' | 'agent/guard/main' | 'controller/main';

/**
 * V8's flags for a program of ours. The agent lives on a host whose memory is for guests: its young objects get 2 MiB at a time instead of
 * 16, which its small messages never need; the guard likewise. The controller plans over many records and keeps V8's own size. Agent and
 * controller carry whole memories, and clear away after each piece of one (`joinStreams`).
 */
export const nodeFlags = (entry: Program): readonly string[] => [
  ...(entry === 'controller/main' ? [] : ['--max-semi-space-size=2']),
  ...(entry === 'agent/guard/main' ? [] : ['--expose-gc']),
];
