/**
 * Names that become paths, XML values, DNS labels and bridge names. Checked once, where they enter.
 * A DNS label (RFC 1123), at most 40 characters so that `role-index` stays within 63.
 */
export const NAME_PATTERN = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

/** What is said of a name that is none. */
export const NAME_FORM =
  'must be a DNS label: lower-case letters, digits and dashes, a letter first, at most 40';

/** `sha256:` and 64 hex digits. */
export const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/;

/** `app/role-index` or `app/machine`. */
export const VM_ID_PATTERN = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?\/[a-z]([a-z0-9-]{0,48}[a-z0-9])?$/;

/** A version of an image: letters, digits, dot, dash, underscore, plus; starts with a letter or digit. */
export const VERSION_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;
