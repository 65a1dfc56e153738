// Loaded before the gateway: prints every name that is looked up and every address that is connected to.
import dns from 'node:dns';
import dgram from 'node:dgram';
import net from 'node:net';
import { writeSync } from 'node:fs';

const record = (kind, target) => writeSync(2, `network ${kind} ${target}\n`);
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...parts) {
  const given = Array.isArray(parts[0]) ? parts[0][0] : parts[0];
  record('connect', typeof given === 'object' ? `${given.host ?? given.path ?? '127.0.0.1'}` : String(given));
  return connect.apply(this, parts);
};
for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6']) {
  for (const home of [dns, dns.promises]) {
    const asked = home[name];
    home[name] = function (host, ...rest) {
      record('lookup', host);
      return asked.call(this, host, ...rest);
    };
  }
}
const send = dgram.Socket.prototype.send;
dgram.Socket.prototype.send = function (...parts) {
  record('datagram', parts.at(-2));
  return send.apply(this, parts);
};
