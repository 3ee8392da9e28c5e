import { askSerial } from '../kit/ask-serial.ts';
import { askedFirst, askedThen, chooseServer, type Healths, noteAnswers } from './answering-servers.ts';
import { hasBackbone, type RouterPart } from './router-part.ts';

const NAMES_PORT = 53;
const ANSWER_LIMIT_MS = 1_000;

/** Whether a name server answers for a zone. Never fails. */
export type AsksServer = (zone: string, address: string) => Promise<boolean>;

const asksByDns: AsksServer = (zone, address) =>
  askSerial(zone, { address, port: NAMES_PORT }, { timeoutMs: ANSWER_LIMIT_MS, tries: 1 }).then(
    () => true,
    () => false,
  );

/**
 * To which of the goal's name servers guests' questions are led, by this host's own look at who answers: what the controller knows is older, and
 * nothing while it is away.
 */
export class ResolverWatch {
  readonly #asks: AsksServer;
  #healths: Healths = new Map();

  constructor(asks: AsksServer = asksByDns) {
    this.#asks = asks;
  }

  /** Asks for the zone's serial. @returns whether guests are to be led to another one now. */
  async look(part: RouterPart): Promise<boolean> {
    const { zone, servers = [] } = part.router?.resolver ?? {};
    // Who has no guests asks nobody, and where there is one server there is no choice.
    if (zone === undefined || servers.length < 2 || part.networks.length === 0 || !hasBackbone(part))
      return false;
    const before = chooseServer(servers, this.#healths);
    const answered = new Map<string, boolean>();
    const ask = (asked: readonly string[]) =>
      Promise.all(
        asked.map(async (server) => {
          answered.set(server, await this.#asks(zone, server));
        }),
      );
    await ask(askedFirst(servers, this.#healths));
    await ask(askedThen(servers, this.#healths, answered));
    this.#healths = noteAnswers(servers, this.#healths, answered);
    return chooseServer(servers, this.#healths) !== before;
  }

  /** The same goal, with the server that is chosen as the only one. */
  led(part: RouterPart): RouterPart {
    const { router } = part;
    if (!router?.resolver) return part;
    const server = chooseServer(router.resolver.servers, this.#healths);
    const servers = server === undefined ? [] : [server];
    return { ...part, router: { ...router, resolver: { ...router.resolver, servers } } };
  }
}
