import type { FenceDevice } from '../../../agent/protocol/index.ts';
import type { DeviceTest, FenceRequest, Fencer } from '../../../controller/fencing/contract.ts';

/** Cuts nothing: notes what was wanted, and answers tests by the name of the agent. */
export class FakeFencer implements Fencer {
  wanted: readonly FenceRequest[] = [];
  readonly answers = new Map<string, Pick<DeviceTest, 'ok' | 'power' | 'message'>>();

  want(requests: readonly FenceRequest[]): void {
    this.wanted = requests;
  }

  async test(devices: readonly FenceDevice[]): Promise<readonly DeviceTest[]> {
    return devices.map(({ agent }, index) => ({
      device: `${agent} (${index + 1} of ${devices.length})`,
      ...(this.answers.get(agent) ?? { ok: true, power: 'on', message: 'Status: ON' }),
      ms: 1,
    }));
  }

  async close(): Promise<void> {}
}
