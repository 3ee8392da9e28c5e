import type { KnotSettings, Listener } from './knot-configuration.ts';

/** A name server as a process of its own, which outlives whoever started it. */
export interface NameServer {
  /** Names of programs that this host lacks for it. */
  missing(): Promise<readonly string[]>;
  /** Whether it runs, with exactly these settings. */
  runsWith(settings: Omit<KnotSettings, 'folder' | 'user'>): Promise<boolean>;
  /** Ends what runs, and starts it anew. @throws WeftError with its own last words. */
  start(settings: Omit<KnotSettings, 'folder' | 'user'>): Promise<void>;
  /** Has it read its zone once more, and waits until it serves it. */
  reload(zone: string): Promise<void>;
  /** Serial of the zone that it answers with there. @throws WeftError where it does not answer. */
  serial(zone: string, listener: Listener): Promise<number>;
  /** Ends it and forgets all of it, if there is any. */
  remove(): Promise<void>;
  /** The zone's file; null: there is none. */
  readZone(): Promise<string | null>;
  writeZone(text: string): Promise<void>;
}
