import { join } from 'node:path';

/** Folders of the agent's state; layout in docs/architecture.md. */
export class AgentPaths {
  readonly identity: string;
  readonly blobs: string;
  readonly run: string;
  readonly accelerator: string;
  /** The name server's own. */
  readonly names: string;
  /** Of who advertises this host's router to guests. */
  readonly advertisements: string;
  /** What is known of the underlay, and of names there. */
  readonly underlay: string;
  /** What was last wanted of guests' networks. */
  readonly router: string;
  /** The private key of the tunnel between hosts. */
  readonly tunnelKey: string;

  constructor(stateFolder: string) {
    this.identity = join(stateFolder, 'identity');
    this.blobs = join(stateFolder, 'blobs', 'sha256');
    this.run = join(stateFolder, 'run');
    this.accelerator = join(stateFolder, 'accelerator.json');
    this.names = join(stateFolder, 'names');
    this.advertisements = join(stateFolder, 'router-advertisements');
    this.underlay = join(stateFolder, 'underlay.json');
    this.router = join(stateFolder, 'router.json');
    this.tunnelKey = join(stateFolder, 'wireguard.key');
  }

  /** Seed and console log of a VM. The id's form is checked where goals enter. */
  vm(vmId: string): string {
    return join(this.run, vmId);
  }

  seed(vmId: string, incarnation: number): string {
    return join(this.vm(vmId), `seed-${incarnation}.iso`);
  }

  /** The guest's screen as it was when it last crashed or hung. */
  picture(vmId: string): string {
    return join(this.vm(vmId), 'screen');
  }

  /** Says that its file systems may be frozen. */
  frozen(vmId: string): string {
    return join(this.vm(vmId), 'frozen');
  }

  consoleLog(vmId: string): string {
    return join(this.vm(vmId), 'console.log');
  }
}
