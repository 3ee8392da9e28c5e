/** Version of this build; the same in package.json. */
export const AGENT_VERSION = '0.1.0';
