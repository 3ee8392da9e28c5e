import { NamesKeeper } from '../names/keeper.ts';
import { KnotServer } from '../names/knot-server.ts';
import type { Base } from './base.ts';

/** What serves the fleet's names, where the goal says so. */
export const createNames = ({ configuration, paths, clock, log }: Base, onChange: () => void): NamesKeeper =>
  new NamesKeeper({
    server: new KnotServer(paths.names, clock),
    listen: configuration.names.listen,
    clock,
    log,
    onChange,
  });
