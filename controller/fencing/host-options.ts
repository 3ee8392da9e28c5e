import { WeftError } from '../../agent/kit/errors.ts';
import type { FenceDevice } from '../../agent/protocol/index.ts';

/** They cut nothing: they say that a host is off when nobody made sure of it. */
const NO_EVIDENCE: ReadonlySet<string> = new Set([
  'fence_ack_manual',
  'fence_dummy',
  'fence_heuristics_ping',
]);
/** Is the address of something on the device, not of a file here. */
const HARMLESS: ReadonlySet<string> = new Set(['api_path']);
/**
 * Name a program or a file on the controller's machine, or a way of calling one (`password_script` goes to a shell), ask for
 * something else than what the controller asks, have passwords written to the system log or sent another way than the address
 * says, or (`missing_as_off`) take a device that does not know the host for a proof. The controller's operator can set them, beside the password.
 */
const CONTROLLERS_OWN =
  /(^|_)(path|script|file|exec|sudo|logfile|kubeconfig|openrc|cacert|tlscert|tlskey|tlscacert|debug)$|^(ssh_options|action|option|method|verbose|verbose_level|help|version|missing_as_off|password|passwd|port_as_ip|proxy|proxyhost|proxyport|store_path|devices|delay|random_sleep_range|disable_timeout)$/;

/** What the host's own configuration may say of a device. @throws WeftError `not-supported`. */
export function checkHostOptions({ agent, options }: FenceDevice): void {
  if (NO_EVIDENCE.has(agent))
    throw new WeftError('not-supported', `${agent} cuts no power: what it says proves nothing`, {
      remedy: 'Name a device that does; if you have none, see: weft host confirm-dead --help',
    });
  for (const name of Object.keys(options)) {
    // The agents take a dash for an underscore.
    const plain = name.replaceAll('-', '_');
    if (!CONTROLLERS_OWN.test(plain) || HARMLESS.has(plain)) continue;
    throw new WeftError('not-supported', `option ${name} of ${agent} is not taken from a host`, {
      remedy: `Write it on the controller's machine, as a line ${name}=… below the password in the device's secret.`,
    });
  }
}
