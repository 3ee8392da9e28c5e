/** Files of certificates with their keys. */
export interface CertificateFiles {
  /** Null: there is none. */
  read(name: string): Promise<string | null>;
  write(name: string, pem: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Names of all that there are. */
  list(): Promise<readonly string[]>;
}
