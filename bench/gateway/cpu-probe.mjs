// Loaded before a measured process: answers its parent with the CPU time it has used, in microseconds.
import process from 'node:process';

process.on('message', (message) => {
  if (message !== 'cpu') return;
  const { user, system } = process.cpuUsage();
  process.send({ cpuMicros: user + system });
});
