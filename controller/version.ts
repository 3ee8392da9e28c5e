/** Version of this build; the same in package.json. */
export const CONTROLLER_VERSION = '0.1.0';
