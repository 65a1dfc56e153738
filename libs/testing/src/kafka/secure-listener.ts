import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findJava, type KafkaListener } from '@pca/embedded-kafka';
import { freePort } from '@pca/embedded-postgres';

export interface SecureAccess {
  /** `127.0.0.1:<port>`, for TLS and SASL alone. */
  readonly brokers: string;
  /** The certificate that its own signs, PEM: what a client has to trust. */
  readonly certificate: string;
}

interface SecureListener {
  readonly listener: KafkaListener;
  readonly settings: Readonly<Record<string, string>>;
  readonly access: SecureAccess;
}

const storePassword = 'for-tests';

/** Makes a key and a certificate that it signs itself; resolves with the certificate. */
const makeKey = async (keystore: string): Promise<string> => {
  const { file } = await findJava();
  // The class behind keytool, which is in every Java, while the program may not be on the search path.
  const keytool = async (...args: string[]): Promise<string> => {
    const store = ['-keystore', keystore, '-storetype', 'PKCS12', '-storepass', storePassword, '-alias', 'broker'];
    return (await promisify(execFile)(file, ['-m', 'java.base/sun.security.tools.keytool.Main', ...args, ...store])).stdout;
  };
  await keytool(
    '-genkeypair',
    '-keyalg',
    'EC',
    '-dname',
    'CN=pca-test-broker',
    '-ext',
    'san=ip:127.0.0.1,dns:localhost',
    '-validity',
    '30',
  );
  return keytool('-exportcert', '-rfc');
};

/** A listener with TLS and SASL for some users; its key is put into the folder. */
export const secureListener = async (folder: string, users: Readonly<Record<string, string>>): Promise<SecureListener> => {
  const keystore = join(folder, 'keystore.p12');
  const certificate = await makeKey(keystore);
  const port = await freePort();
  const security = 'org.apache.kafka.common.security';
  const plainUsers = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const scram = `${security}.scram.ScramLoginModule required;`;
  const settings = {
    'ssl.keystore.location': keystore,
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': storePassword,
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'plain.sasl.jaas.config': `${security}.plain.PlainLoginModule required ${plainUsers.join(' ')};`,
    'scram-sha-256.sasl.jaas.config': scram,
    'scram-sha-512.sasl.jaas.config': scram,
  };
  return {
    listener: { name: 'SECURE', port, protocol: 'SASL_SSL' },
    settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [`listener.name.secure.${name}`, value])),
    access: { brokers: `127.0.0.1:${port}`, certificate },
  };
};
